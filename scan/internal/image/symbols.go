package image

import (
	"debug/elf"
	"fmt"
	"slices"
)

// An Export is a symbol that other images see.
type Export struct {
	Addr    uint64
	Version string
	Data    bool // not code
}

// symbols reads both tables of symbols, one of which, or both, may be missing.
func (m *Image) symbols() {
	dynamic, _ := m.File.DynamicSymbols() // none is not an error for a static program
	static, _ := m.File.Symbols()
	for i, s := range slices.Concat(dynamic, static) {
		t := elf.ST_TYPE(s.Info)
		if s.Section == elf.SHN_UNDEF || s.Value == 0 || t == elf.STT_TLS || t == elf.STT_SECTION || t == elf.STT_FILE {
			continue
		}
		code := m.IsCode(s.Value) && t != elf.STT_OBJECT
		if i < len(dynamic) {
			m.Exports[s.Name] = append(m.Exports[s.Name], Export{s.Value, s.Version, !code})
		}
		switch {
		case code && (t == elf.STT_FUNC || t == elf.STT_GNU_IFUNC):
			m.Starts = append(m.Starts, s.Value)
			m.Names[s.Value] = s.Name
		case !code && t == elf.STT_OBJECT && m.IsData(s.Value):
			m.Objects = append(m.Objects, s.Value)
			m.Sizes[s.Value] = max(m.Sizes[s.Value], s.Size)
		}
	}
}

// Exported are the functions and tables that a module shows to whoever loads it, sorted.
func (m *Image) Exported() (out []uint64) {
	for _, all := range m.Exports {
		for _, e := range all {
			out = append(out, e.Addr)
		}
	}
	slices.Sort(out)
	return out
}

// Defined are the symbols that a pointer may be to: of several versions the one that is asked for; where that is not
// there, all.
func (m *Image) Defined(p Pointer) []Export {
	all := m.Exports[p.Symbol]
	if p.Version != "" {
		if exact := slices.DeleteFunc(slices.Clone(all), func(e Export) bool { return e.Version != p.Version }); len(exact) > 0 {
			return exact
		}
	}
	return all
}

// Function is the name of the function that starts at an address, or the address where it has none.
func (m *Image) Function(start uint64) string {
	if n := m.Names[start]; n != "" {
		return n
	}
	return fmt.Sprintf("%#x", start)
}
