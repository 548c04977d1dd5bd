package image

import (
	"debug/elf"
	"slices"
	"testing"

	"monban/scan/internal/elftest"
)

// Functions, their ends and their landing pads, from the tables that unwinders read.
func TestUnwind(t *testing.T) {
	f := elftest.File{Type: elf.ET_DYN, Sections: []elftest.Section{elftest.Exec(0x1000, make([]byte, 0x100)), elftest.ReadOnly(0x5000, elftest.LandingPads(0x10, 0, 0x20)),
		elftest.EHFrame(0x4000, false, elftest.Frame{Start: 0x1000, Length: 0x30, LSDA: 0x5000}, elftest.Frame{Start: 0x1040, Length: 8}, elftest.Frame{Start: 0x9000, Length: 8})}}
	m := read(t, f)
	slices.Sort(m.Starts)
	if want := []uint64{0x1000, 0x1040}; !slices.Equal(m.Starts, want) || m.Framed != 2 {
		t.Errorf("%d functions, at %#x; want %#x", m.Framed, m.Starts, want)
	}
	if m.Ends[0x1000] != 0x1030 || m.Ends[0x1040] != 0x1048 {
		t.Errorf("they end at %#x", m.Ends)
	}
	if want := []uint64{0x1010, 0x1020}; !slices.Equal(m.Pads[0x1000], want) || len(m.Pads) != 1 {
		t.Errorf("landing pads %#x; want %#x", m.Pads, want)
	}
	// How a signal handler returns is described from the byte before it on.
	f.Sections[2] = elftest.EHFrame(0x4000, true, elftest.Frame{Start: 0x0fff, Length: 9})
	if m := read(t, f); !slices.Equal(m.Starts, []uint64{0x1000}) || m.Ends[0x1000] != 0x1008 {
		t.Errorf("a signal handler's return is at %#x, to %#x", m.Starts, m.Ends)
	}
}

// Tables that are cut off or nonsense give what was read before.
func TestBrokenUnwind(t *testing.T) {
	whole := elftest.EHFrame(0x4000, false, elftest.Frame{Start: 0x1000, Length: 8}, elftest.Frame{Start: 0x1010, Length: 8, LSDA: 0x5000})
	for n := range whole.Data {
		for _, change := range []func([]byte) []byte{
			func(b []byte) []byte { return b[:n] },
			func(b []byte) []byte { b[n] = 0xff; return b },
			func(b []byte) []byte { b[n] = 0; return b },
		} {
			s := whole
			s.Data = change(slices.Clone(whole.Data))
			m := read(t, elftest.File{Type: elf.ET_DYN, Sections: []elftest.Section{elftest.Exec(0x1000, make([]byte, 0x40)), elftest.ReadOnly(0x5000, elftest.LandingPads(1)), s}})
			if m.Framed > 2 {
				t.Errorf("%d functions of 2", m.Framed)
			}
		}
	}
}

func TestEncodings(t *testing.T) {
	const at = 0x1000
	for _, c := range []struct {
		name string
		enc  byte
		data string
		want uint64
		bad  bool
	}{
		{"eight bytes", 0x04, "\x01\x00\x00\x00\x01\x00\x00\x00", 1<<32 + 1, false},
		{"a pointer", 0x00, "\x05\x00\x00\x00\x00\x00\x00\x00", 5, false},
		{"eight signed bytes, relative", 0x1c, "\xff\xff\xff\xff\xff\xff\xff\xff", at - 1, false},
		{"ULEB128", 0x01, "\x80\x01", 128, false},
		{"SLEB128", 0x09, "\x7f", ^uint64(0), false},
		{"SLEB128 of two bytes", 0x09, "\xff\x00", 127, false},
		{"two bytes", 0x02, "\xff\xff", 0xffff, false},
		{"two signed bytes", 0x0a, "\xff\xff", ^uint64(0), false},
		{"four bytes", 0x03, "\xff\xff\xff\xff", 0xffffffff, false},
		{"four signed bytes", 0x0b, "\xfe\xff\xff\xff", ^uint64(1), false},
		{"nothing, relative", 0x1b, "\x00\x00\x00\x00", 0, false},
		{"cut off", 0x03, "\xff\xff", 0, true},
		{"unknown", 0x0f, "\xff\xff\xff\xff", 0, true},
		{"ULEB128 without an end", 0x01, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 0, true},
	} {
		r := reader{b: []byte(c.data), addr: at}
		if got := r.encoded(c.enc); got != c.want || r.bad != c.bad {
			t.Errorf("%s: %#x, bad %v; want %#x, %v", c.name, got, r.bad, c.want, c.bad)
		}
	}
	r := reader{b: []byte("zR\x00x")}
	if got := r.text(); got != "zR" || r.text() != "" || !r.bad {
		t.Errorf("texts %q, bad %v", got, r.bad)
	}
}

// Go's own table survives stripping.
func TestGoTables(t *testing.T) {
	funcs := []elftest.GoFunc{{Start: 0x1000, Name: "main.main"}, {Start: 0x1010, Name: "main.(*T).Method"}, {Start: 0x1020, Name: "main.T.Method"}}
	table, module := elftest.GoTables(0x4000, 0x5000, 0x1000, 0x1040, funcs...)
	types := elftest.ReadOnly(0x6000, elftest.Ints(1, 0x10, 0x20, 0x30)) // offsets of a method, among other numbers
	f := elftest.File{Sections: []elftest.Section{elftest.Exec(0x1000, make([]byte, 0x40)), table, module, types}}
	m := read(t, f)
	for _, want := range funcs {
		if got := m.Function(want.Start); got != want.Name || !slices.Contains(m.Starts, want.Start) {
			t.Errorf("%#x is %s; want %s", want.Start, got, want.Name)
		}
	}
	if m.GoText != 0x1000 || m.GoEnd != 0x1040 || !m.IsGo(0x103f) || m.IsGo(0x1040) || m.IsGo(0xfff) {
		t.Errorf("Go's code lies from %#x to %#x", m.GoText, m.GoEnd)
	}
	if want := []uint64{0x1010, 0x1020}; !slices.Equal(m.Roots, want) {
		t.Errorf("methods %#x; want %#x", m.Roots, want)
	}
	for name, change := range map[string]func(){
		"another magic":       func() { f.Sections[1].Data[0] = 0 },
		"pointers of 4 bytes": func() { f.Sections[1].Data[7] = 4 },
		"no functions":        func() { f.Sections[1].Data[8] = 0 },
		"code elsewhere":      func() { f.Sections[2].Data[8*22+2] = 0xff },
	} {
		f.Sections[1].Data, f.Sections[2].Data = slices.Clone(table.Data), slices.Clone(module.Data)
		if change(); read(t, f).GoEnd != 0 {
			t.Errorf("%s: Go's code was found", name)
		}
	}
}
