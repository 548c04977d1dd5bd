package oci

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/format/rows"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"monban/format/codec"
)

// action is an answer in the specification's words.
func action(a bpf.Action) (specs.LinuxSeccompAction, *uint, error) {
	kind, data := a.Kind(), uint(a.Data())
	for name, known := range actions {
		if known.Kind != kind || name == string(specs.ActKill) {
			continue
		}
		switch {
		case kind.NeedsData():
			return specs.LinuxSeccompAction(name), &data, nil
		case data != 0:
			return "", nil, fmt.Errorf("a profile has no number for this action, %s (leave it out)", a)
		}
		return specs.LinuxSeccompAction(name), nil, nil
	}
	return "", nil, fmt.Errorf("a profile has no %s", a)
}

// rules says what each named call gets: lists of names for the same answer, those without tests first.
func (w *composer) rules() error {
	var narrow []abi.Arch
	if w.runtime != "" {
		narrow = slices.DeleteFunc(slices.Clone(w.archs), func(a abi.Arch) bool { return a.PointerBits() == a.Bits() })
	}
	entries, err := rows.Entries(w.v, w.archs, w.otherwise, narrow...)
	if err != nil {
		return err
	}
	names := map[string][]string{}
	byKey := map[string][]rows.Row{}
	for i, e := range entries {
		if i > 0 && entries[i-1].Name == e.Name {
			return &codec.OptionError{Option: codec.OptionArchs, Err: fmt.Errorf(
				"%s does not get the same on %s and on %s, and a profile has one list for all architectures (write one profile for each, or another format)",
				e.Name, entries[i-1].Archs[0], e.Archs[0])}
		}
		key := fmt.Sprint(e.Rows)
		names[key], byKey[key] = append(names[key], e.Name), e.Rows
		if len(e.Rows) > 1 && slices.ContainsFunc(e.Rows, ordered) {
			w.ordered = append(w.ordered, e.Name)
		}
	}
	conditional := func(list []rows.Row) int { return min(len(list[0].Tests), 1) }
	for _, key := range slices.SortedFunc(maps.Keys(names), func(a, b string) int {
		x, y := byKey[a], byKey[b]
		return cmp.Or(cmp.Compare(conditional(x), conditional(y)), -cmp.Compare(int32(x[0].Action), int32(y[0].Action)), slices.Compare(names[a], names[b]))
	}) {
		for _, r := range byKey[key] {
			name, errno, err := action(r.Action)
			if err != nil {
				return fmt.Errorf("%s: %w", names[key][0], err)
			}
			if r.Action == bpf.Notify {
				w.notify = true
				if slices.Contains(names[key], "write") {
					return fmt.Errorf("write gets notify, which runc refuses, because it needs write itself to hand the listener over (let it pass)")
				}
			}
			alternatives, err := w.args(r)
			if err != nil {
				return fmt.Errorf("%s: %w", names[key][0], err)
			}
			for _, args := range alternatives {
				w.profile.Syscalls = append(w.profile.Syscalls, specs.LinuxSyscall{Names: names[key], Action: name, ErrnoRet: errno, Args: args})
			}
		}
	}
	return nil
}

func ordered(r rows.Row) bool {
	return slices.ContainsFunc(r.Tests, func(t rows.Test) bool { return t.Op != rows.EQ && t.Op != rows.NE && t.Op != rows.MaskedEQ })
}

// maxRules bounds what one row may come to where its tests are spelled otherwise.
const maxRules = 4096

// args are the tests of a row, in one or several rules.
func (w *composer) args(r rows.Row) ([][]specs.LinuxSeccompArg, error) {
	all := [][]specs.LinuxSeccompArg{nil}
	for _, t := range r.Tests {
		spelled := []rows.Test{t}
		if w.respell != nil {
			var err error
			if spelled, err = w.respell(t); err != nil {
				return nil, err
			}
		}
		var longer [][]specs.LinuxSeccompArg
		for _, args := range all {
			for _, t := range spelled {
				longer = append(longer, append(slices.Clone(args), arg(t)))
			}
		}
		if all = longer; len(all) > maxRules {
			return nil, fmt.Errorf("it takes more than %d rules", maxRules)
		}
	}
	return all, nil
}

func arg(t rows.Test) specs.LinuxSeccompArg {
	a := specs.LinuxSeccompArg{Index: uint(t.Arg), Value: t.Value}
	switch t.Op {
	case rows.EQ:
		a.Op = specs.OpEqualTo
	case rows.NE:
		a.Op = specs.OpNotEqual
	case rows.LT:
		a.Op = specs.OpLessThan
	case rows.LE:
		a.Op = specs.OpLessEqual
	case rows.GT:
		a.Op = specs.OpGreaterThan
	case rows.GE:
		a.Op = specs.OpGreaterEqual
	case rows.MaskedEQ:
		a.Op, a.Value, a.ValueTwo = specs.OpMaskedEqual, t.Mask, t.Value
	}
	return a
}
