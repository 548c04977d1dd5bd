package abi

import (
	"embed"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:generate go run ./gen

//go:embed data
var data embed.FS

// table returns the lines of an embedded table, comments aside.
func table(name string) iter.Seq[string] {
	text, err := data.ReadFile("data/" + name)
	if err != nil {
		panic("abi: " + err.Error()) // the tables are part of the program
	}
	return func(yield func(string) bool) {
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSuffix(line, "\n")
			if line != "" && line[0] != '#' && !yield(line) {
				return
			}
		}
	}
}

type numbered struct {
	nr   uint32
	call string
}

// numbers is the table of one architecture.
type numbers struct {
	ascending []numbered
	byName    map[string]uint32
}

var numberTables [archCount]struct {
	once sync.Once
	numbers
}

func (a Arch) numbers() *numbers {
	t := &numberTables[a]
	t.once.Do(func() { t.numbers = readNumbers(a) })
	return &t.numbers
}

func readNumbers(a Arch) numbers {
	t := numbers{ascending: make([]numbered, 0, 512), byName: make(map[string]uint32, 512)}
	for line := range table("numbers/" + a.String() + ".txt") {
		number, call, _ := strings.Cut(line, " ")
		nr, _ := strconv.ParseUint(number, 10, 32) // a test reads every line
		t.byName[call] = uint32(nr)
		t.ascending = append(t.ascending, numbered{uint32(nr), call})
	}
	return t
}

// Number returns the call's own number on a, as seccomp_data.nr holds it: those of x32 have X32Bit set. A call that is
// only reached through a multiplexer has none; see [Arch.Mux].
func (a Arch) Number(call string) (nr uint32, ok bool) {
	nr, ok = a.numbers().byName[call]
	return nr, ok
}

// Name returns the call that has the number nr on a.
func (a Arch) Name(nr uint32) (call string, ok bool) {
	t := a.numbers().ascending
	i, ok := slices.BinarySearchFunc(t, nr, func(n numbered, nr uint32) int {
		switch {
		case n.nr < nr:
			return -1
		case n.nr > nr:
			return 1
		}
		return 0
	})
	if !ok {
		return "", false
	}
	return t[i].call, true
}

// Calls yields the numbers that a has, ascending, with their calls.
func (a Arch) Calls() iter.Seq2[uint32, string] {
	return func(yield func(uint32, string) bool) {
		for _, n := range a.numbers().ascending {
			if !yield(n.nr, n.call) {
				return
			}
		}
	}
}

// A Mux is the place of a call behind a multiplexing call, whose first argument is Sub. The kernel looks at the low 16
// bits of ipc's first argument only, and at all 32 of socketcall's.
type Mux struct {
	Call string // "socketcall" or "ipc"
	Sub  uint32
}

var muxes = sync.OnceValues(func() (map[string]Mux, map[Mux]string) {
	byCall, byMux := make(map[string]Mux, 40), make(map[Mux]string, 40)
	for line := range table("mux.txt") {
		f := strings.Fields(line)
		sub, _ := strconv.ParseUint(f[1], 10, 32)
		m := Mux{Call: f[0], Sub: uint32(sub)}
		byCall[f[2]], byMux[m] = m, f[2]
	}
	return byCall, byMux
})

// Mux tells how the call is reached through a multiplexer, on an architecture that has that multiplexer. The call may
// have a number of its own besides: on x86, socket is 359 since Linux 4.3, and socketcall's 1.
func (a Arch) Mux(call string) (Mux, bool) {
	byCall, _ := muxes()
	m, ok := byCall[call]
	if !ok {
		return Mux{}, false
	}
	if _, ok := a.Number(m.Call); !ok {
		return Mux{}, false
	}
	return m, true
}

// Reaching returns the numbers that the call is made by on a: its own, and that of the multiplexer which it is a member
// of. It has none on an architecture that doesn't have the call.
func (a Arch) Reaching(call string) []uint32 {
	var out []uint32
	if nr, ok := a.Number(call); ok {
		out = append(out, nr)
	}
	if m, ok := a.Mux(call); ok {
		nr, _ := a.Number(m.Call)
		out = append(out, nr)
	}
	return out
}

// MuxMember returns the call that the multiplexer muxCall makes for sub, on an architecture that has that multiplexer.
func (a Arch) MuxMember(muxCall string, sub uint32) (call string, ok bool) {
	_, byMux := muxes()
	if call, ok = byMux[Mux{muxCall, sub}]; !ok {
		return "", false
	}
	if _, ok := a.Number(muxCall); !ok {
		return "", false
	}
	return call, true
}

//go:embed data/since.txt
var sinceText string

// since finds a call's versions: the usual one or "-", then arch=version for those that differ.
func since(call string) (versions string, ok bool) {
	line, _ := seek(sinceText, call)
	name, versions, _ := strings.Cut(line, " ")
	return versions, name == call && call != ""
}

var callNames = sync.OnceValue(func() []string {
	names := make([]string, 0, 600)
	for line := range table("since.txt") {
		name, _, _ := strings.Cut(line, " ")
		names = append(names, name)
	}
	return names
})

// Known reports whether any architecture has a call of that name.
func Known(call string) bool {
	_, ok := since(call)
	return ok
}

// Calls returns the names of all calls of all architectures, sorted.
func Calls() []string { return slices.Clone(callNames()) }

// Since returns the kernel that introduced the call; ok is false where that is not known.
func Since(call string) (v Version, ok bool) {
	versions, ok := since(call)
	usual, _, _ := strings.Cut(versions, " ")
	if !ok || usual == "-" {
		return Version{}, false
	}
	v, err := ParseVersion(usual)
	return v, err == nil
}

// Since returns the kernel since which the call has its own number on a, where that is known to differ, and else what
// [Since] does. It is not checked that a has the call.
func (a Arch) Since(call string) (Version, bool) {
	versions, _ := since(call)
	for word := range strings.FieldsSeq(versions) {
		if arch, version, ok := strings.Cut(word, "="); ok && arch == a.String() {
			v, err := ParseVersion(version)
			return v, err == nil
		}
	}
	return Since(call)
}
