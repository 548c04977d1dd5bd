package systemd

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/format/codec"
	"monban/format/rows"
	"monban/policy"
	"monban/verdict"
)

// write says a meaning as a drop-in for a service.
func write(m *codec.Meaning) (*codec.Text, error) {
	native, err := nativeOf(m)
	if err != nil {
		return nil, err
	}
	w := &writer{m: m, native: native, archs: m.Policy.Archs, back: m.Options}
	w.back.Archs, w.back.Native = nil, native
	if err := w.others(); err != nil {
		return nil, err
	}
	calls, err := w.calls()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# For %s.\n[Service]\n%s", native, w.architectures)
	if err := w.filter(&b, calls); err != nil {
		return nil, err
	}
	return &codec.Text{Bytes: b.Bytes(), KillsForeign: true, ReadBack: &w.back}, nil
}

// nativeOf is the architecture whose kernel runs all of the gate's.
func nativeOf(m *codec.Meaning) (abi.Arch, error) {
	for _, a := range append([]abi.Arch{m.Native}, m.Policy.Archs...) {
		family := a.Family()
		if slices.Contains(m.Policy.Archs, a) && !slices.ContainsFunc(m.Policy.Archs, func(b abi.Arch) bool { return !slices.Contains(family, b) }) {
			return a, nil
		}
	}
	return 0, &codec.OptionError{Option: codec.OptionArchs, Err: errors.New("no one kernel runs all of its architectures: choose some")}
}

type writer struct {
	m             *codec.Meaning
	native        abi.Arch
	archs         []abi.Arch
	back          codec.Options
	architectures string     // the line, or nothing
	unnamed       bpf.Action // what numbers without a name get
}

// others settles what other architectures, and numbers without a name, get.
func (w *writer) others() error {
	bad, ok := w.m.Verdict.Restrict(verdict.Arch, 0).Constant()
	switch {
	case ok && bad.Kills():
		var names []string
		for _, a := range w.archs {
			names = append(names, word(a))
		}
		w.architectures = "SystemCallArchitectures=" + strings.Join(names, " ") + "\n"
	case ok && bad == bpf.Allow && len(w.archs) == len(w.native.Family()):
	default:
		return fmt.Errorf("other architectures get %s, and systemd kills their threads or lets all of them pass (write badarch kill_thread)", bad)
	}
	found := false
	for _, a := range w.archs {
		err := rows.Unnamed(w.m.Verdict, a, func(s verdict.Span) error {
			do, ok := s.Then.Constant()
			if !ok || found && do != w.unnamed {
				return fmt.Errorf("number %#x on %s has no name and another answer than the numbers below, and systemd names calls", s.Lo, a)
			}
			w.unnamed, found = do, true
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// word is systemd's name of an architecture.
func word(a abi.Arch) string {
	for name, b := range archWords {
		if a == b {
			return name
		}
	}
	return a.String()
}

// calls are what the named calls get, the same on all architectures that have them.
func (w *writer) calls() (map[string]bpf.Action, error) {
	calls := map[string]bpf.Action{}
	on := map[string]abi.Arch{}
	for _, a := range w.archs {
		named, err := rows.Calls(w.m.Verdict, a)
		if err != nil {
			return nil, err
		}
		for _, c := range named {
			do, ok := c.Left.Constant()
			if !ok {
				return nil, fmt.Errorf("%s depends on its arguments, and SystemCallFilter= names calls only", c)
			}
			if old, ok := calls[c.Name]; ok && old != do {
				return nil, &codec.OptionError{Option: codec.OptionArchs, Err: fmt.Errorf(
					"%s gets %s on %s and %s on %s, and systemd has one list for all: choose one", c.Name, old, on[c.Name], do, a)}
			}
			calls[c.Name], on[c.Name] = do, a
		}
	}
	return calls, nil
}

// filter writes the lists. What numbers without a name get is what calls that are in no list get.
func (w *writer) filter(b *bytes.Buffer, calls map[string]bpf.Action) error {
	var allowed, logged []string
	denied := map[bpf.Action][]string{}
	defaults, _ := abi.Group("@default", abi.Version{})
	for _, c := range slices.Sorted(maps.Keys(calls)) {
		switch do := calls[c]; {
		case do == bpf.Allow:
			allowed = append(allowed, c)
		case do == bpf.Log:
			allowed, logged = append(allowed, c), append(logged, c)
		case do != w.unnamed || slices.Contains(defaults, c):
			denied[do] = append(denied[do], c)
		}
	}
	switch w.unnamed.Kind() {
	case bpf.Allow:
	case bpf.KillProcess, bpf.Errno:
		if w.unnamed != bpf.KillProcess {
			fmt.Fprintf(b, "SystemCallErrorNumber=%s\n", w.errno(w.unnamed))
		}
		if len(allowed) == 0 {
			return errors.New("no call is allowed, and an allow list of systemd always has @default")
		}
		fmt.Fprintf(b, "SystemCallFilter=%s\n", strings.Join(allowed, " "))
	default:
		return fmt.Errorf("numbers that nobody has get %s, and systemd kills the process, answers with an error or allows (see unknown)", w.unnamed)
	}
	for _, do := range slices.Sorted(maps.Keys(denied)) {
		if do != bpf.KillProcess && do.Kind() != bpf.Errno {
			return fmt.Errorf("%s gets %s, and systemd has no word for that", denied[do][0], policy.ActionOn(w.native, do))
		}
		var words []string
		for _, c := range denied[do] {
			words = append(words, c+":"+w.errno(do))
		}
		fmt.Fprintf(b, "SystemCallFilter=~%s\n", strings.Join(words, " "))
	}
	if len(logged) > 0 {
		fmt.Fprintf(b, "SystemCallLog=%s\n", strings.Join(logged, " "))
	}
	return nil
}

// errno is an action as systemd says it, an error by its name.
func (w *writer) errno(do bpf.Action) string {
	if do == bpf.KillProcess {
		return "kill"
	}
	if name, ok := w.native.ErrnoName(do.Data()); ok {
		return name
	}
	return fmt.Sprint(do.Data())
}
