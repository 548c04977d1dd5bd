package record

import (
	"cmp"
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/verdict"
)

// A Recording is what a run did.
type Recording struct {
	Command []string
	By      string // the back end
	Calls   map[Key]*Call
	Made    uint64 // calls in all
	Lost    uint64 // events that the back end could not deliver: the recording may lack a call
	// Clone3 counts the calls of clone3. Their flags lie behind a pointer, where no filter looks, so they stand in
	// Calls as the calls of clone that libc makes where clone3 is answered by ENOSYS.
	Clone3 map[abi.Arch]uint64
	// Files are the programs, by path, with what each of them mapped to run code from: its libraries, and modules that
	// it loaded by itself. A back end that has only names of programs knows none.
	Files     map[string]map[string]bool
	FilesLost bool              // there may be more
	ids       map[string]FileID // which file each of the names in Files stood for
	Denied    bool              // a gate has refused these calls
	Unseen    []string          // calls of the native architecture that passed without being counted; nil where all were

	gate    *verdict.Verdict // what a run is held against, if it is
	refused *Recording       // the calls that it does not let pass
}

// A FileID tells a file from another that has, or came to have, its name: elsewhere than in the program's root
// directory, or later.
type FileID struct {
	Device, Inode uint64
	Mapped        bool // as mappings name them, which overlay file systems do otherwise than stat(2)
}

// A Key is a call as the kernel tells calls apart.
type Key struct {
	Arch abi.Arch
	Nr   uint32
}

// A Call is what was seen of one call.
type Call struct {
	Count    uint64
	Programs map[string]uint64 // by the name of the executable
	Values   []Values          // of the arguments that matter, in the order of Arguments
	Example  bpf.Data          // the first one
}

// Values are the different values that an argument had.
type Values struct {
	Seen map[uint64]bool
	Many bool // more than are kept: the argument says nothing
}

// maxValues is how many different values of an argument are kept.
const maxValues = 64

// New is an empty recording.
func New(command []string, by string) *Recording {
	return &Recording{Command: command, By: by, Calls: map[Key]*Call{}, Clone3: map[abi.Arch]uint64{}, Files: map[string]map[string]bool{}, ids: map[string]FileID{}}
}

// hold has each call that is added from here on looked up in a gate: then [Recording.Lacking] is exact, whatever
// arguments it looks at.
func (r *Recording) hold(gate *verdict.Verdict) {
	if r.gate = gate; gate != nil {
		r.refused = New(r.Command, r.By)
	}
}

// Add takes in a call that a program made. isNew says that something of it was not seen before.
func (r *Recording) Add(a abi.Arch, d *bpf.Data, program string) (isNew bool) {
	r.Made++
	if r.gate != nil && !r.passes(r.gate.At(d)) {
		r.refused.Add(a, d, program)
	}
	k := Key{a, d.Nr}
	c, ok := r.Calls[k]
	if !ok {
		c = &Call{Programs: map[string]uint64{}, Example: *d}
		r.Calls[k] = c
		name, _ := a.Name(d.Nr)
		c.Values = make([]Values, len(Arguments(a, name)))
		isNew = true
	}
	c.Count++
	c.Programs[program]++
	if len(c.Values) > 0 {
		name, _ := a.Name(d.Nr)
		for i, m := range Arguments(a, name) {
			isNew = c.Values[i].add(m.value(d)) || isNew
		}
	}
	return isNew
}

// different is how many calls and values of arguments were seen.
func (r *Recording) different() (n int) {
	for _, c := range r.Calls {
		n++
		for _, v := range c.Values {
			n += len(v.Seen)
		}
	}
	return n
}

func (v *Values) add(x uint64) bool {
	if v.Many || v.Seen[x] {
		return false
	}
	if v.Seen == nil {
		v.Seen = map[uint64]bool{}
	}
	if len(v.Seen) == maxValues {
		v.Many, v.Seen = true, nil
		return true
	}
	v.Seen[x] = true
	return true
}

// Archs are the architectures of the calls, native first.
func (r *Recording) Archs(native abi.Arch) []abi.Arch {
	out := []abi.Arch{native}
	for k := range r.Calls {
		if !slices.Contains(out, k.Arch) {
			out = append(out, k.Arch)
		}
	}
	slices.Sort(out[1:])
	return out
}

// Keys are the calls of an architecture, by number.
func (r *Recording) Keys(a abi.Arch) (out []Key) {
	for k := range r.Calls {
		if k.Arch == a {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(x, y Key) int { return cmp.Compare(x.Nr, y.Nr) })
	return out
}

// Lacking is the part of a recording that a gate does not let pass. If the run was held against the gate it is exact.
// Otherwise each argument that matters may have had its values together with any of the other's, and those that don't
// matter any value: what could have been refused is lacking.
//
// The error is verdict.ErrTooComplex.
func (r *Recording) Lacking(v verdict.Verdict) (*Recording, error) {
	return verdict.Exact(v.Space(), func() (*Recording, error) { return r.lackingOf(v), nil })
}

func (r *Recording) lackingOf(v verdict.Verdict) *Recording {
	out := r.refused
	if out == nil {
		out = New(r.Command, r.By)
		for k, c := range r.Calls {
			name, _ := k.Arch.Name(k.Nr)
			r.lacking(out, k, c, v.Call(k.Arch, k.Nr), Arguments(k.Arch, name), c.Example)
		}
	}
	// Where clone3 is answered otherwise than by ENOSYS, libc makes no clone instead.
	for a, n := range r.Clone3 {
		nr, ok := a.Number("clone3")
		if !ok || n == 0 {
			continue
		}
		for do := range v.Call(a, nr).Actions() {
			if enosys, _ := a.Constant("ENOSYS"); !r.passes(do) && (do.Kind() != bpf.Errno || uint64(do.Data()) != enosys) {
				out.Clone3[a] = n
			}
		}
	}
	return out
}

// lacking adds to out the values of a call that a gate, of which v is left, may not let pass; d has those that were
// chosen already.
func (r *Recording) lacking(out *Recording, k Key, c *Call, v verdict.Verdict, rest []Argument, d bpf.Data) {
	refuses := false
	for do := range v.Actions() {
		refuses = refuses || !r.passes(do)
	}
	switch i := len(c.Values) - len(rest); {
	case !refuses:
	case len(rest) > 0 && !c.Values[i].Many:
		m := &rest[0]
		for x := range c.Values[i].Seen {
			d := d
			m.set(&d, x)
			left := v
			for _, w := range m.words() {
				left = left.Restrict(w, w.Of(&d))
			}
			r.lacking(out, k, c, left, rest[1:], d)
		}
	case len(rest) > 0:
		r.lacking(out, k, c, v, rest[1:], d)
	default:
		l := out.Calls[k]
		if l == nil {
			l = &Call{Count: c.Count, Programs: c.Programs, Values: make([]Values, len(c.Values)), Example: d}
			out.Calls[k] = l
		}
		name, _ := k.Arch.Name(k.Nr)
		for i, m := range Arguments(k.Arch, name) {
			if c.Values[i].Many {
				l.Values[i] = Values{Many: true}
			} else {
				l.Values[i].add(m.value(&d))
			}
		}
	}
}

// passes says whether an action does not refuse a call. A log of denials has also what was let pass and logged.
func (r *Recording) passes(do bpf.Action) bool {
	return do.Passes() && !(do.Kind() == bpf.Log && r.Denied)
}

// Kinds is how many kinds of calls are in it, clone3 apart from clone.
func (r *Recording) Kinds() int { return len(r.Calls) + len(r.Clone3) }

// LooksElsewhere says whether a gate looks at arguments that do not matter: only back ends that see each call by
// itself, ptrace and notify, can then tell what of a run it refuses. The error is verdict.ErrTooComplex.
func LooksElsewhere(v verdict.Verdict, archs []abi.Arch) (bool, error) {
	return verdict.Exact(v.Space(), func() (bool, error) { return looksElsewhere(v, archs), nil })
}

func looksElsewhere(v verdict.Verdict, archs []abi.Arch) bool {
	for _, a := range archs {
		of := v.Restrict(verdict.Arch, a.Token())
		for nr, name := range a.Calls() {
			call := of.Restrict(verdict.Nr, nr)
			if _, same := call.Constant(); same {
				continue
			}
			var known []verdict.Word
			for _, m := range Arguments(a, name) {
				known = append(known, m.words()...)
			}
			for i := range 6 {
				for _, w := range []verdict.Word{verdict.ArgHi(i), verdict.ArgLo(i)} {
					if !slices.Contains(known, w) && call.Support(w) != 0 {
						return true
					}
				}
			}
		}
	}
	return false
}

// An UnavailableError says that a back end does not work here; nothing has run.
type UnavailableError struct{ Err error }

func (e *UnavailableError) Error() string { return e.Err.Error() }

func (e *UnavailableError) Unwrap() error { return e.Err }
