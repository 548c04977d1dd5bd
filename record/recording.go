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
	// Clone3 counts the calls of clone3. Their flags lie behind a pointer, where no filter looks, so they stand in Calls as the calls of
	// clone that libc makes where clone3 is answered by ENOSYS.
	Clone3 map[abi.Arch]uint64
	Denied bool     // a gate has refused these calls
	Unseen []string // calls of the native architecture that passed without being counted; nil where all were
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
	Values   []Values          // of the arguments that matter, in the order of Matter
	Example  bpf.Data          // the first one
	Others   []bpf.Data        // one for each new value of an argument that matters
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
	return &Recording{Command: command, By: by, Calls: map[Key]*Call{}, Clone3: map[abi.Arch]uint64{}}
}

// Add takes in a call that a program made. isNew says that something of it was not seen before.
func (r *Recording) Add(a abi.Arch, d *bpf.Data, program string) (isNew bool) {
	r.Made++
	k := Key{a, d.Nr}
	c, ok := r.Calls[k]
	if !ok {
		c = &Call{Programs: map[string]uint64{}, Example: *d}
		r.Calls[k] = c
		name, _ := a.Name(d.Nr)
		c.Values = make([]Values, len(Matter(a, name)))
		isNew = true
	}
	c.Count++
	c.Programs[program]++
	if len(c.Values) > 0 {
		name, _ := a.Name(d.Nr)
		changed := false
		for i, m := range Matter(a, name) {
			changed = c.Values[i].add(m.value(d)) || changed
		}
		if changed && c.Count > 1 {
			c.Others = append(c.Others, *d)
		}
		isNew = isNew || changed
	}
	return isNew
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

// Lacking is the part of a recording that a gate does not let pass.
func (r *Recording) Lacking(v verdict.Verdict) *Recording {
	if r.Denied {
		return r // that is how they came here
	}
	out := New(r.Command, r.By)
	for k, c := range r.Calls {
		for _, d := range append([]bpf.Data{c.Example}, c.Others...) {
			if do := v.At(&d); do.Kind() == bpf.Allow || do.Kind() == bpf.Log {
				continue
			}
			if out.Calls[k] == nil {
				out.Calls[k] = &Call{Count: c.Count, Programs: c.Programs, Values: make([]Values, len(c.Values)), Example: d}
			}
			name, _ := k.Arch.Name(k.Nr)
			for i, m := range Matter(k.Arch, name) {
				out.Calls[k].Values[i].add(m.value(&d))
			}
		}
	}
	return out
}

// An UnavailableError says that a back end does not work here; nothing has run.
type UnavailableError struct{ Err error }

func (e *UnavailableError) Error() string { return e.Err.Error() }

func (e *UnavailableError) Unwrap() error { return e.Err }
