package oci

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/format/codec"
	"monban/format/rows"
	"monban/policy"
	"monban/verdict"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// write says a meaning as a profile in the specification's fields, which every runtime reads: what Docker's and Podman's additions
// depend on is settled already.
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

// Compose makes a profile of a meaning, without Docker's and Podman's additions. It has been read back and compared. Each test
// becomes one of those that respell makes of it, if that is not nil. Errors name what a profile cannot say.
func Compose(m *codec.Meaning, respell func(rows.Test) ([]rows.Test, error)) (*Composed, error) {
	runtimes, err := runtimes(m)
	if err != nil {
		return nil, err
	}
	var first error
	for _, runtime := range runtimes {
		w := &composer{v: m.Verdict, want: m.Verdict, archs: m.Policy.Archs, respell: respell, runtime: runtime}
		err := w.compose()
		if err == nil {
			return &Composed{w.profile, w.notes(), w.back(runtime)}, nil
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
		w.unstub()
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
func runtimes(m *codec.Meaning) ([]string, error) {
	tokens := map[uint32]bool{}
	for _, a := range m.Policy.Archs {
		tokens[a.Token()] = true
	}
	free := uint32(0)
	for tokens[free] {
		free++
	}
	switch bad, ok := m.Verdict.Restrict(verdict.Arch, free).Constant(); {
	case ok && bad == bpf.KillProcess:
		return []string{""}, nil
	case ok && bad == bpf.KillThread:
		return []string{"crun", "runc"}, nil
	default:
		return nil, fmt.Errorf("architectures that it does not speak for get %s, and a profile leaves them to the runtime, which kills (write badarch kill_process)", bad)
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
		for s := range rows.Unnamed(w.v, a) {
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
func (w *composer) unstub() {
	s := w.v.Space()
	byToken := map[uint32]verdict.Node{}
	for _, a := range w.archs {
		enosys, _ := a.Errno("ENOSYS")
		last, top := uint32(0), uint32(math.MaxUint32)
		for c := range rows.Calls(w.v, a) {
			if do, ok := c.Left.Constant(); !ok || do != w.otherwise && do != bpf.Errno|bpf.Action(enosys) {
				last = max(last, c.Nr)
			}
		}
		if a == abi.X86_64 {
			top = abi.X32Bit - 1
		}
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
}

// action is an answer in the specification's words.
func action(a bpf.Action) (specs.LinuxSeccompAction, *uint, error) {
	kind, data := a.Kind(), uint(a.Data())
	for name, known := range actions {
		if known.Kind != kind || name == string(specs.ActKill) {
			continue
		}
		switch {
		case kind == bpf.Errno || kind == bpf.Trace:
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
		narrow = narrowArchs
	}
	entries, err := rows.Entries(w.v, w.archs, w.otherwise, narrow...)
	if err != nil {
		return err
	}
	names := map[string][]string{}
	byKey := map[string][]rows.Row{}
	for i, e := range entries {
		if i > 0 && entries[i-1].Name == e.Name {
			return fmt.Errorf("%s does not get the same on %s and on %s, and a profile has one list for all architectures (write one profile for each with --arch, or another format)",
				e.Name, entries[i-1].Archs[0], e.Archs[0])
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

// read is the profile's meaning as a runtime reads it.
func (w *composer) read(runtime string) (verdict.Verdict, error) {
	where := Places{Rules: make([]int, len(w.profile.Syscalls))}
	for _, c := range w.profile.Syscalls {
		where.Names = append(where.Names, make([]int, len(c.Names)))
	}
	o := w.back(runtime)
	p, _, err := Import(codec.NewSource("the profile", nil), w.profile, where, Options{Archs: o.Archs, Native: &o.Native, Runtime: o.Runtime})
	if err != nil {
		return verdict.Verdict{}, err
	}
	return p.Verdict(w.v.Space())
}

// check compares the profile with what it is to mean. Where a profile's rule reaches through a multiplexer, that can differ.
func (w *composer) check() error {
	got, err := w.read(w.runtime)
	if err != nil || got == w.want {
		return err
	}
	for _, a := range w.archs {
		for c := range rows.Calls(w.want, a) {
			left := got.Restrict(verdict.Arch, a.Token()).Restrict(verdict.Nr, c.Nr)
			if left == c.Left {
				continue
			}
			d := verdict.Differences(c.Left, left)[0]
			d.Data.Arch, d.Data.Nr = a.Token(), c.Nr
			hint := "no rules of a profile say that"
			if c.Name == "socketcall" || c.Name == "ipc" {
				hint = fmt.Sprintf("rules of a profile about the calls behind %s hold for it too: give it one answer of its own, or leave %s out with --arch", c.Name, a)
			}
			return fmt.Errorf("%s must get %s on %s and would get %s: %s", policy.FormatCall(a, &d.Data), d.A, a, d.B, hint)
		}
	}
	d := verdict.Differences(w.want, got)[0]
	return fmt.Errorf("number %d must get %s and would get %s: no rules of a profile say that", d.Data.Nr, d.A, d.B)
}

// notes tell what the runtimes make of it beyond what it says.
func (w *composer) notes() (notes []string) {
	if w.runtime == "" {
		notes = append(notes, "container runtimes answer calls of other architectures with kill_thread (libseccomp's default), not kill_process")
	}
	if got, err := w.read("runc"); err == nil && w.runtime != "runc" {
		var newer, low []string
		for _, a := range w.archs {
			for c := range rows.Calls(w.want, a) {
				left := got.Restrict(verdict.Arch, a.Token()).Restrict(verdict.Nr, c.Nr)
				if _, constant := left.Constant(); left != c.Left && constant {
					newer = append(newer, c.Name)
				} else if left != c.Left {
					low = append(low, c.Name)
				}
			}
		}
		_, enosys, _ := action(w.otherwise)
		if n, _ := w.archs[0].Errno("ENOSYS"); enosys == nil || *enosys != uint(n) {
			switch w.otherwise.Kind() {
			case bpf.Allow, bpf.Log, bpf.Trace:
			default:
				notes = append(notes, "runc answers numbers above the newest call that the profile names with errno(ENOSYS)"+among(newer))
			}
		}
		if len(low) > 0 {
			notes = append(notes, "on x32 and the N32s, runtimes look at the low 32 bits of arguments only"+among(low))
		}
	}
	switch w.otherwise.Kind() {
	case bpf.Allow, bpf.Log:
		notes = append(notes, fmt.Sprintf("names that the runtime's libseccomp is too old for are passed over: those calls get %s", w.otherwise))
	}
	if len(w.ordered) > 0 {
		notes = append(notes, "libseccomp up to 2.6.1 has been seen to get several rules with order comparisons for one call wrong; "+
			"compare what is installed (monban dump)"+among(w.ordered))
	}
	if w.notify {
		notes = append(notes, "notify: add listenerPath, the socket of the agent that answers; runtimes refuse the profile without it")
	}
	return notes
}

// among lists some names.
func among(names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	const many = 8
	switch {
	case len(names) == 0:
		return ""
	case len(names) > many:
		return fmt.Sprintf(": %s and %d more", strings.Join(names[:many], " "), len(names)-many)
	}
	return ": " + strings.Join(names, " ")
}
