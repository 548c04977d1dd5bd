package scan

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"maps"
	"slices"
)

// functions finds where functions start: symbols are there already; unwind tables and Go's own table survive stripping.
func (m *image) functions() {
	m.pclntab()
	frames := m.unwind()
	for _, s := range m.file.Sections {
		if s.Flags&elf.SHF_EXECINSTR == 0 || s.Addr == 0 {
			continue
		}
		m.starts = append(m.starts, s.Addr)
		step := uint64(0)
		switch s.Name {
		case ".plt", ".plt.sec", ".iplt":
			step = 16
		case ".plt.got":
			step = 8 // its stubs have 8 bytes, or 16 with endbr64: halves do no harm
		}
		for a := s.Addr; step > 0 && a < s.Addr+min(s.Size, 1<<22); a += step {
			m.starts = append(m.starts, a)
		}
	}
	for _, s := range m.segments {
		if s.exec {
			m.starts = append(m.starts, s.addr)
		}
	}
	m.starts = append(m.starts, m.file.Entry)
	framed := slices.Sorted(maps.Keys(m.ends))
	for _, p := range m.pointers {
		if p.addr == 0 || p.symbol != "" || m.isGo(p.addr) || !m.isCode(p.addr) {
			continue
		}
		// Inside a function it is a label of it.
		k, found := slices.BinarySearch(framed, p.addr)
		if !found && (k == 0 || m.ends[framed[k-1]] <= p.addr) {
			m.starts = append(m.starts, p.addr)
		}
	}
	if frames == 0 {
		m.called()
	}
	m.gaps()
	m.starts = slices.DeleteFunc(m.starts, func(a uint64) bool { return !m.isCode(a) })
	slices.Sort(m.starts)
	m.starts = slices.Compact(m.starts)
	slices.Sort(m.objects)
	m.objects = slices.Compact(m.objects)
}

// gaps takes code behind functions that unwind tables end before, and that no table knows, for functions: assembly often has none.
func (m *image) gaps() {
	slices.Sort(m.starts)
	for start, end := range m.ends {
		k, found := slices.BinarySearch(m.starts, end)
		if found || end <= start || !m.isCode(end) {
			continue
		}
		code, _ := m.at(end)
		if k < len(m.starts) {
			code = code[:min(uint64(len(code)), m.starts[k]-end)]
		}
		if m.looksLikeCode(code, end) {
			m.gap[end] = true
		}
	}
	m.starts = append(m.starts, slices.Collect(maps.Keys(m.gap))...)
}

// looksLikeCode tells code from padding, and from the tables that some assembly keeps beside its code: what does not decode, or is zero,
// is none.
func (m *image) looksLikeCode(code []byte, addr uint64) bool {
	const most = 256 // instructions
	does := false
	for n, off := 0, 0; n < most && off < len(code); n++ {
		if m.mach == &x86 && (x86Bad(code[off:]) || bytes.HasPrefix(code[off:], []byte{0, 0})) {
			return false
		}
		i := m.mach.decode(code[off:], addr+uint64(off), m.fixed)
		does = does || !i.pads && i.kind != kindEnd
		off += int(i.next - i.addr)
	}
	return does
}

// called takes what is called for functions, where no table names any.
func (m *image) called() {
	for _, s := range m.segments {
		if !s.exec {
			continue
		}
		for off := 0; off < len(s.data); {
			if a := s.addr + uint64(off); m.isGo(a) {
				off += int(m.goEnd - a)
				continue
			}
			i := m.mach.decode(s.data[off:], s.addr+uint64(off), m.fixed)
			if i.kind == kindCall && i.target != 0 {
				m.starts = append(m.starts, i.target)
			}
			off += int(i.next - i.addr)
		}
	}
}

// unwind reads the bounds of functions, and their landing pads, from .eh_frame, and says how many there are.
func (m *image) unwind() (n int) {
	b, addr := m.section(".eh_frame")
	type cie struct {
		lsda, pc byte
		signal   bool
	}
	cies := map[int]cie{}
	for off := 0; off+8 <= len(b); {
		size := int(binary.LittleEndian.Uint32(b[off:]))
		if size == 0 {
			off += 4
			continue
		}
		end := off + 4 + size
		if size < 4 || end > len(b) || end < off {
			return n
		}
		body := reader{b: b[:end], off: off + 8, addr: addr}
		id := int(binary.LittleEndian.Uint32(b[off+4:]))
		if id == 0 {
			c := cie{lsda: omitted}
			body.off++ // version
			words := body.text()
			body.uleb()
			body.uleb()
			body.uleb()
			if len(words) > 0 && words[0] == 'z' {
				body.uleb()
				for _, w := range words[1:] {
					switch w {
					case 'L':
						c.lsda = body.byte()
					case 'R':
						c.pc = body.byte()
					case 'S':
						c.signal = true
					case 'P':
						body.encoded(body.byte())
					}
				}
			}
			cies[off] = c
		} else if c, ok := cies[off+4-id]; ok {
			start := body.encoded(c.pc)
			length := body.encoded(c.pc & 0x0f)
			if c.signal { // a signal handler's return: described from the byte before it on, for unwinders' sake
				start, length = start+1, length-1
			}
			if !body.bad && m.isCode(start) {
				n++
				m.starts = append(m.starts, start)
				m.ends[start] = start + length
				if c.lsda != omitted {
					body.uleb()
					if at := body.encoded(c.lsda); at != 0 && !body.bad {
						m.landingPads(start, at)
					}
				}
			}
		}
		off = end
	}
	return n
}

// landingPads reads where an exception may enter a function: in C++, Rust and C with cleanups, nothing jumps there.
func (m *image) landingPads(start, table uint64) {
	mem, _ := m.at(table)
	r := reader{b: mem, addr: table}
	base := start
	if enc := r.byte(); enc != omitted {
		base = r.encoded(enc)
	}
	if enc := r.byte(); enc != omitted {
		r.uleb()
	}
	enc := r.byte()
	size := r.uleb()
	end := r.off + int(min(size, uint64(len(mem))))
	for r.off < end && !r.bad {
		r.encoded(enc & 0x0f)
		r.encoded(enc & 0x0f)
		pad := r.encoded(enc & 0x0f)
		r.uleb()
		if pad != 0 && !r.bad && m.isCode(base+pad) {
			m.pads[start] = append(m.pads[start], base+pad)
		}
	}
}

// omitted is DW_EH_PE_omit of the LSB's exception frames.
const omitted = 0xff

// A reader reads DWARF's encodings.
type reader struct {
	b    []byte
	off  int
	addr uint64 // of b
	bad  bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.b)-r.off || r.off < 0 {
		r.bad = true
		return make([]byte, 8)
	}
	r.off += n
	return r.b[r.off-n : r.off]
}

func (r *reader) byte() byte { return r.take(1)[0] }

func (r *reader) text() string {
	for k := r.off; k < len(r.b); k++ {
		if r.b[k] == 0 {
			s := string(r.b[r.off:k])
			r.off = k + 1
			return s
		}
	}
	r.bad = true
	return ""
}

func (r *reader) uleb() (v uint64) {
	for shift := 0; shift < 64; shift += 7 {
		c := r.byte()
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	r.bad = true
	return 0
}

func (r *reader) sleb() int64 {
	begin := r.off
	v := int64(r.uleb())
	if bits := 7 * (r.off - begin); !r.bad && bits < 64 && r.b[r.off-1]&0x40 != 0 {
		v |= -1 << bits
	}
	return v
}

// encoded is a pointer in one of DW_EH_PE's encodings. Indirect ones, which only personalities have, are read and not followed.
func (r *reader) encoded(enc byte) uint64 {
	at := r.addr + uint64(r.off)
	var v uint64
	switch enc & 0x0f {
	case 0x00, 0x04, 0x0c:
		v = binary.LittleEndian.Uint64(r.take(8))
	case 0x01:
		v = r.uleb()
	case 0x09:
		v = uint64(r.sleb())
	case 0x02:
		v = uint64(binary.LittleEndian.Uint16(r.take(2)))
	case 0x0a:
		v = uint64(int64(int16(binary.LittleEndian.Uint16(r.take(2)))))
	case 0x03:
		v = uint64(binary.LittleEndian.Uint32(r.take(4)))
	case 0x0b:
		v = uint64(int64(int32(binary.LittleEndian.Uint32(r.take(4)))))
	default:
		r.bad = true
	}
	if enc&0x70 == 0x10 && v != 0 {
		v += at
	}
	return v
}

// bounds are those of the function that an address lies in: up to where the next one starts.
func (m *image) bounds(addr uint64) (start, end uint64) {
	i, found := slices.BinarySearch(m.starts, addr)
	if !found {
		i--
	}
	if i < 0 {
		return addr, addr
	}
	b, _ := m.at(m.starts[i])
	end = m.starts[i] + uint64(len(b))
	if i+1 < len(m.starts) && m.starts[i+1] < end {
		end = m.starts[i+1]
	}
	return m.starts[i], end
}
