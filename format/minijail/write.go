package minijail

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/format/codec"
	"monban/format/rows"
	"monban/policy"
	"monban/verdict"
)

// words are actions as minijail says them.
var words = map[bpf.Action]string{
	bpf.Allow: "allow", bpf.KillProcess: "kill-process", bpf.KillThread: "kill-thread", bpf.Trap: "trap", bpf.Trace: "trace",
	bpf.Log: "log", bpf.Notify: "user-notify",
}

// write says a meaning as a policy for one architecture.
func write(m *codec.Meaning) (*codec.Text, error) {
	a, err := only(m.Policy.Archs)
	if err != nil {
		return nil, err
	}
	byDefault, err := others(m.Verdict, a)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# For %s.\n", a)
	switch byDefault {
	case bpf.Allow:
		b.WriteString("@denylist\n")
	case bpf.KillProcess:
	case bpf.KillThread, bpf.Trap, bpf.Notify:
		fmt.Fprintf(&b, "@default %s\n", words[byDefault])
	default:
		return nil, fmt.Errorf("numbers that nobody has get %s, and minijail's default kills, traps, notifies or allows (write unknown kill_process)", byDefault)
	}
	if a == abi.X86_64 {
		if err := x32(m.Verdict, byDefault); err != nil {
			return nil, err
		}
	}
	calls, err := rows.Calls(m.Verdict, a)
	if err != nil {
		return nil, err
	}
	for _, c := range calls {
		list, err := rows.Of(c, byDefault)
		if err != nil {
			return nil, err
		}
		if len(list) == 0 {
			continue
		}
		filters, err := filters(list, byDefault == bpf.Allow)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c, err)
		}
		fmt.Fprintf(&b, "%s: %s\n", c.Name, filters)
	}
	o := m.Options
	o.Archs = []abi.Arch{a}
	text := &codec.Text{Bytes: b.Bytes(), KillsForeign: true, ReadBack: &o}
	if m.Policy.BadArch.Kind != bpf.KillThread {
		text.Notes = []string{"a call of another architecture ends the thread that makes it, not the process: that is minijail's own way"}
	}
	return text, nil
}

// only is the architecture that a gate is for. x32 may come with x86_64, since minijail speaks for its numbers.
func only(archs []abi.Arch) (abi.Arch, error) {
	own := slices.DeleteFunc(slices.Clone(archs), func(a abi.Arch) bool { return a == abi.X32 })
	if len(own) != 1 {
		return 0, &codec.OptionError{Option: codec.OptionArchs, Err: errors.New("a minijail policy is for one architecture: choose it")}
	}
	return own[0], nil
}

// others is what numbers without a name get, x32's included; other architectures must get what minijail gives them.
func others(v verdict.Verdict, a abi.Arch) (bpf.Action, error) {
	for _, other := range []uint32{0, ^uint32(0)} {
		if do, ok := v.Restrict(verdict.Arch, other).Constant(); !ok || !do.Kills() {
			return 0, fmt.Errorf("other architectures get %s, and minijail kills their threads (write badarch kill_thread)", do)
		}
	}
	byDefault, found := bpf.Action(0), false
	err := rows.Unnamed(v, a, func(s verdict.Span) error {
		do, ok := s.Then.Constant()
		if !ok || found && do != byDefault {
			return fmt.Errorf("number %#x on %s has no name and another answer than the numbers below, and minijail has one default (see badarch and unknown)", s.Lo, a)
		}
		byDefault, found = do, true
		return nil
	})
	return byDefault, err
}

// x32 checks what x32's numbers get: minijail does not know x32, and answers all of them, those with names too, by its
// default.
func x32(v verdict.Verdict, byDefault bpf.Action) error {
	s := v.Space()
	for do := range s.Verdict(s.If(s.Calls(abi.X32), v.Node(), s.Action(byDefault))).Actions() {
		if do != byDefault && !(do.Kills() && byDefault.Kills()) {
			return fmt.Errorf("x32's numbers get %s, and minijail gives them its default, %s (write arch x86_64 x32, and on x32: %s any)", do, byDefault, byDefault)
		}
	}
	return nil
}

// filters writes what a call gets: an action, or conditions with theirs.
func filters(list []rows.Row, denylist bool) (string, error) {
	var order []bpf.Action
	clauses := map[bpf.Action][]string{}
	for _, row := range list {
		if !slices.Contains(order, row.Action) {
			order = append(order, row.Action)
		}
		var atoms []string
		for _, t := range row.Tests {
			atoms = append(atoms, atomsOf(t)...)
		}
		clauses[row.Action] = append(clauses[row.Action], strings.Join(atoms, " && "))
	}
	var all []string
	for _, do := range order {
		word, ok := words[do]
		if do.Kind() == bpf.Errno {
			word, ok = fmt.Sprintf("return %d", do.Data()), true
		}
		if !ok || denylist && do.Kind() != bpf.Errno {
			return "", fmt.Errorf("minijail has no word for %s here", policy.ActionOn(abi.X86_64, do))
		}
		switch expr := strings.Join(clauses[do], " || "); {
		case expr == "":
			all = append(all, word)
		case do == bpf.Allow:
			all = append(all, expr)
		default:
			all = append(all, expr+"; "+word)
		}
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return "{ " + strings.Join(all, ", ") + " }", nil
}

// atomsOf are comparisons that hold together when a test does. & asks for any of some bits, "in" for no others.
func atomsOf(t rows.Test) []string {
	if t.Op != rows.MaskedEQ {
		return []string{fmt.Sprintf("arg%d %s %#x", t.Arg, t.Op, t.Value)}
	}
	var atoms []string
	if clear := t.Mask &^ t.Value; clear != 0 {
		atoms = append(atoms, fmt.Sprintf("arg%d in ~%#x", t.Arg, clear))
	}
	for set := t.Value; set != 0; set &= set - 1 {
		atoms = append(atoms, fmt.Sprintf("arg%d & %#x", t.Arg, uint64(1)<<bits.TrailingZeros64(set)))
	}
	return atoms
}
