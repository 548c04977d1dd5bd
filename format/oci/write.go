package oci

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/format/codec"
	"monban/format/rows"
	"monban/verdict"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// write says a meaning as a profile in the specification's fields, which every runtime reads: what Docker's and
// Podman's additions depend on is settled already.
func write(m *codec.Meaning) (*codec.Text, error) {
	w, err := Compose(m, nil)
	if err != nil {
		return nil, err
	}
	src, err := json.MarshalIndent(w.Profile, "", "\t")
	if err != nil {
		return nil, err
	}
	return &codec.Text{Bytes: append(src, '\n'), Notes: w.Notes, ReadBack: &w.ReadBack}, nil
}

// Composed is a profile that means what it was made from, if it is read with ReadBack.
type Composed struct {
	Profile  *specs.LinuxSeccomp
	Notes    []string
	ReadBack codec.Options
}

// Compose makes a profile of a meaning, without Docker's and Podman's additions. It has been read back and compared.
// Each test becomes one of those that respell makes of it, if that is not nil. Errors name what a profile cannot say.
func Compose(m *codec.Meaning, respell func(rows.Test) ([]rows.Test, error)) (*Composed, error) {
	bad, runtimes, err := runtimes(m)
	if err != nil {
		return nil, err
	}
	// An architecture all of whose calls are refused as those of strangers are need not be listed.
	var archs []abi.Arch
	for _, a := range m.Policy.Archs {
		switch do, ok, err := everything(m.Verdict, a); {
		case err != nil:
			return nil, err
		case !ok || do != bad:
			archs = append(archs, a)
		}
	}
	if len(archs) == 0 {
		archs = m.Policy.Archs
	}
	if err := refused(m.Verdict, archs); err != nil {
		return nil, err
	}
	var first error
	for _, runtime := range runtimes {
		w := &composer{v: m.Verdict, want: m.Verdict, archs: archs, respell: respell, runtime: runtime}
		err := w.compose()
		if err == nil {
			notes, err := w.notes()
			return &Composed{w.profile, notes, w.back(runtime)}, err
		}
		first = cmp.Or(first, err)
	}
	return nil, first
}

func (w *composer) compose() error {
	if err := w.headers(); err != nil {
		return err
	}
	if w.runtime == "runc" {
		if err := w.unstub(); err != nil {
			return err
		}
	}
	if err := w.rules(); err != nil {
		return err
	}
	return w.check()
}

// back are the options for reading a profile as a runtime does.
func (w *composer) back(runtime string) codec.Options {
	return codec.Options{Archs: w.archs, Native: w.archs[0], Runtime: runtime}
}

type composer struct {
	want, v   verdict.Verdict // what it is to mean, and that without what the runtime adds
	runtime   string          // whose reading is to mean that
	archs     []abi.Arch
	respell   func(rows.Test) ([]rows.Test, error)
	profile   *specs.LinuxSeccomp
	otherwise bpf.Action // the default action
	ordered   []string   // calls under several rules with order comparisons
	notify    bool
}

// runtimes are the readings under which other architectures get what they are to get.
func runtimes(m *codec.Meaning) (bpf.Action, []string, error) {
	elsewhere := m.Verdict.Elsewhere()
	bad, ok := elsewhere[0].Then.Constant()
	switch ok = ok && len(elsewhere) == 1; {
	case ok && bad == bpf.KillProcess:
		return bad, []string{""}, nil
	case ok && bad == bpf.KillThread:
		return bad, []string{"crun", "runc"}, nil
	case !ok:
		return bad, nil, errors.New("architectures that it does not speak for get different answers, and a profile leaves them to the runtime, which kills (write badarch kill_process)")
	default:
		return bad, nil, fmt.Errorf("architectures that it does not speak for get %s, and a profile leaves them to the runtime, which kills (write badarch kill_process)", bad)
	}
}

// headers finds the default action: what all numbers without a name get.
func (w *composer) headers() error {
	w.profile = &specs.LinuxSeccomp{}
	found := false
	for _, a := range w.archs {
		w.profile.Architectures = append(w.profile.Architectures, specs.Arch(a.SCMP()))
		enosys, _ := a.Errno("ENOSYS")
		stub := bpf.Errno | bpf.Action(enosys)
		err := rows.Unnamed(w.v, a, func(s verdict.Span) error {
			do, ok := s.Then.Constant()
			switch {
			case !ok:
				return fmt.Errorf("number %d on %s has no name and gets different answers, and a profile names calls (leave the rule for it out)", s.Lo, a)
			case !found, w.otherwise == stub && w.runtime == "runc":
				w.otherwise, found = do, true
			case do == w.otherwise:
			case do == stub && w.runtime == "runc": // may be what runc itself adds: that is compared later
			default:
				return fmt.Errorf("number %d on %s has no name and gets %s where others get %s, and a profile has one default action for them (see unknown)",
					s.Lo, a, do, w.otherwise)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	action, errno, err := action(w.otherwise)
	switch {
	case err != nil:
		return fmt.Errorf("numbers without a name: %w", err)
	case w.otherwise == bpf.Notify:
		return fmt.Errorf("numbers without a name get notify, which runtimes do not take as a default action (write unknown errno(ENOSYS))")
	}
	w.profile.DefaultAction, w.profile.DefaultErrnoRet = action, errno
	return nil
}

// unstub takes out what runc adds: ENOSYS for all numbers above the last that a profile needs to name.
func (w *composer) unstub() error {
	s := w.v.Space()
	byToken := map[uint32]verdict.Node{}
	for _, a := range w.archs {
		enosys, _ := a.Errno("ENOSYS")
		last := uint32(0)
		calls, err := rows.Calls(w.v, a)
		if err != nil {
			return err
		}
		for _, c := range calls {
			if do, ok := c.Left.Constant(); !ok || do != w.otherwise && do != bpf.Errno|bpf.Action(enosys) {
				last = max(last, c.Nr)
			}
		}
		_, top := a.Numbers()
		base, ok := byToken[a.Token()]
		if !ok {
			base = w.v.Restrict(verdict.Arch, a.Token()).Node()
		}
		byToken[a.Token()] = s.Patch(verdict.Nr, []verdict.Case{{Lo: last + 1, Hi: top, Then: s.Action(w.otherwise)}}, base)
	}
	var cases []verdict.Case
	for _, token := range slices.Sorted(maps.Keys(byToken)) {
		cases = append(cases, verdict.Case{Lo: token, Hi: token, Then: byToken[token]})
	}
	w.v = s.Verdict(s.Patch(verdict.Arch, cases, w.v.Node()))
	return nil
}

// refused is an error where all calls of some architectures are killed, but neither as those of strangers nor as
// others'.
func refused(v verdict.Verdict, archs []abi.Arch) error {
	killed, open := -1, false
	var by bpf.Action
	for i, a := range archs {
		do, ok, err := everything(v, a)
		switch {
		case err != nil:
			return err
		case !ok || !do.Kills():
			open = true
		case killed < 0:
			killed, by = i, do
		}
	}
	if killed < 0 || !open {
		return nil
	}
	return fmt.Errorf("all calls of %s get %s, but those of architectures that it does not speak for something else: "+
		"a profile cannot tell the two apart (give badarch the same answer)", archs[killed], by)
}

// everything is the one answer to all numbers of an architecture, if there is one.
func everything(v verdict.Verdict, a abi.Arch) (do bpf.Action, ok bool, err error) {
	first := true
	same := func(left verdict.Verdict) error {
		x, constant := left.Constant()
		if first {
			do, first = x, false
		}
		if !constant || x != do {
			return errDiffer
		}
		return nil
	}
	calls, err := rows.Calls(v, a)
	if err != nil {
		return 0, false, err
	}
	for _, c := range calls {
		if same(c.Left) != nil {
			return 0, false, nil
		}
	}
	switch err := rows.Unnamed(v, a, func(s verdict.Span) error { return same(s.Then) }); {
	case errors.Is(err, errDiffer):
		return 0, false, nil
	case err != nil:
		return 0, false, err
	}
	return do, true, nil
}

// errDiffer ends a walk through the numbers at two that get different answers.
var errDiffer = errors.New("not the same")
