package code

import "slices"

// objectAlign is what compilers align larger objects to. An address that code mentions begins an object of its own if
// it is aligned so; if not, it may be a field of one.
const objectAlign = 32

// boundaries are where objects of data begin, as far as can be told, sorted.
func (m *Code) boundaries() []uint64 {
	out := slices.Clone(m.Objects)
	for _, s := range m.File.Sections {
		if s.Addr != 0 {
			out = append(out, s.Addr)
		}
	}
	for _, p := range m.parts {
		for _, r := range p.Refs {
			if r%objectAlign == 0 {
				out = append(out, r)
			}
		}
	}
	for _, p := range m.Pointers {
		if p.Symbol == "" && p.Addr%objectAlign == 0 {
			out = append(out, p.Addr)
		}
	}
	out = slices.DeleteFunc(out, func(a uint64) bool { return !m.IsData(a) })
	slices.Sort(out)
	out = slices.Compact(out)
	// What a symbol says the size of is one object, whatever is mentioned inside.
	var end uint64
	return slices.DeleteFunc(out, func(a uint64) bool {
		if a < end {
			return true
		}
		end = a + min(m.Sizes[a], ^a)
		return false
	})
}

// IsSlot says that an address is that of a single pointer, which code names by itself.
func (m *Code) IsSlot(addr uint64) bool {
	p, ok := m.PointerAt(addr)
	return ok && p.Slot || m.InSlots(addr)
}

// Object is where the object of data that an address lies in begins and ends, as far as can be told.
func (m *Code) Object(addr uint64) (begin, end uint64) {
	k, found := slices.BinarySearch(m.objects, addr)
	if found {
		k++
	}
	begin, end = addr, ^uint64(0)
	if k > 0 {
		begin = m.objects[k-1]
	}
	if k < len(m.objects) {
		end = m.objects[k]
	}
	return begin, end
}
