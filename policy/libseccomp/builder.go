package libseccomp

import (
	"fmt"
	"math"
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/internal/nearest"
	"monban/policy"
)

// An Errno is what a Builder's methods refuse, to be asked for with errors.Is: the name of the errno that libseccomp
// returns.
type Errno string

// What is refused.
const (
	ErrExists      Errno = "EEXIST"     // architecture there already, or not there
	ErrDomain      Errno = "EDOM"       // the call or byte order does not fit the architecture
	ErrInvalid     Errno = "EINVAL"     // an argument has no meaning
	ErrUnsupported Errno = "EOPNOTSUPP" // a value or combination that is not supported
	ErrAccess      Errno = "EACCES"     // the filter's default action as a rule, or a read-only attribute
	ErrNoCall      Errno = "EFAULT"     // a number that has no name to translate by
)

func (e Errno) Error() string { return string(e) }

// A Builder makes a policy from calls like those of libseccomp's rule API, with their meaning:
//
//   - Rules of one call and action are alternatives; the tests of one rule must all hold.
//   - The first rule without tests decides its call, whatever other rules say of it and in whatever order they came.
//   - Where rules with tests overlap and their actions differ, which libseccomp leaves open, the more restrictive
//     action wins, as where the kernel stacks filters; of actions that differ in their data only, the rule added first.
//   - Comparisons are unsigned and look at the whole register; on 32-bit architectures, to which libseccomp counts x32
//     and the N32s of MIPS, at the low 32 bits of register and constant.
//   - Calls behind socketcall and ipc are matched there too, by the first argument, and tests of the other arguments
//     look at the multiplexer's own.
//   - Numbers that nobody has assigned get the default action.
//
// On x86_64 libseccomp answers the number -1, which a tracer sets to skip a call, with the default action; a Builder's
// policy answers it as a number of x32.
type Builder struct {
	native abi.Arch
	state  builderState
	saved  []builderState // one for each transaction begun
}

type builderState struct {
	attrs   [AttrCtlWaitKill + 1]uint32
	filters []archFilter
}

// An archFilter holds the rules of one architecture in the order in which they were added.
type archFilter struct {
	arch  abi.Arch
	rules []builtRule
}

type builtRule struct {
	action bpf.Action
	call   string // "" where nr has no name
	nr     uint32
	tests  []Test
}

// A TestOp is how a Test compares, with libseccomp's numbers.
type TestOp uint8

// The comparisons of enum scmp_compare.
const (
	TestNE       TestOp = iota + 1 // argument != A
	TestLT                         // argument < A
	TestLE                         // argument <= A
	TestEQ                         // argument == A
	TestGE                         // argument >= A
	TestGT                         // argument > A
	TestMaskedEQ                   // argument & A == B & A
)

// A Test compares one argument, 0 to 5, with one or two numbers (struct scmp_arg_cmp).
type Test struct {
	Arg  int
	Op   TestOp
	A, B uint64
}

// New returns a filter with one architecture, the native one, and no rules (seccomp_init). Numbers of calls are always
// those of native.
func New(native abi.Arch, def bpf.Action) (*Builder, error) {
	b := &Builder{native: native}
	return b, b.Reset(def)
}

// Reset makes the filter as New does (seccomp_reset). Transactions that were begun are forgotten.
func (b *Builder) Reset(def bpf.Action) error {
	if err := validAction(def); err != nil {
		return err
	}
	b.saved = nil
	b.state = builderState{filters: []archFilter{{arch: b.native}}}
	b.state.attrs[AttrActDefault] = uint32(def)
	b.state.attrs[AttrActBadArch] = uint32(bpf.KillThread)
	b.state.attrs[AttrCtlNNP] = 1
	b.state.attrs[AttrCtlOptimize] = 1
	return nil
}

func validAction(a bpf.Action) error {
	if a.Known() && (a.Data() == 0 || a.NeedsData() && a.Data() <= a.MaxData()) { // trap's data is not for libseccomp
		return nil
	}
	return fmt.Errorf("%#x is not an action (its data must be an errno up to 4095, or trace's message): %w", uint32(a), ErrInvalid)
}

func (b *Builder) find(a abi.Arch) int {
	return slices.IndexFunc(b.state.filters, func(f archFilter) bool { return f.arch == a })
}

// AddArch adds an architecture without rules: those that were added before are not for it (seccomp_arch_add).
func (b *Builder) AddArch(a abi.Arch) error {
	if b.find(a) >= 0 {
		return fmt.Errorf("the filter has %s already: %w", a, ErrExists)
	}
	if f := b.state.filters; len(f) > 0 && f[0].arch.ByteOrder() != a.ByteOrder() {
		return fmt.Errorf("%s and %s differ in byte order, build a filter for each: %w", f[0].arch, a, ErrDomain)
	}
	b.state.filters = append(b.state.filters, archFilter{arch: a})
	return nil
}

// RemoveArch removes an architecture and its rules (seccomp_arch_remove).
func (b *Builder) RemoveArch(a abi.Arch) error {
	if err := b.HasArch(a); err != nil {
		return err
	}
	i := b.find(a)
	b.state.filters = slices.Delete(b.state.filters, i, i+1)
	return nil
}

// HasArch is nil if the filter has the architecture and ErrExists if not (seccomp_arch_exist).
func (b *Builder) HasArch(a abi.Arch) error {
	if b.find(a) < 0 {
		return fmt.Errorf("the filter does not have %s: %w", a, ErrExists)
	}
	return nil
}

// AddRule adds a rule for the call of that name to every architecture that has it (seccomp_rule_add, and its array form
// with tests...).
func (b *Builder) AddRule(do bpf.Action, call string, tests ...Test) error {
	return b.add(do, builtRule{call: call}, false, tests)
}

// AddRuleExact is AddRule for a filter of one architecture, which must have the call (seccomp_rule_add_exact).
func (b *Builder) AddRuleExact(do bpf.Action, call string, tests ...Test) error {
	return b.add(do, builtRule{call: call}, true, tests)
}

// AddNumber is AddRule by the native architecture's number, which is translated by name to the others; -101 to -120 and
// -201 to -224 are the calls behind socketcall and ipc. A number without a name is for the native architecture only.
func (b *Builder) AddNumber(do bpf.Action, nr int32, tests ...Test) error {
	return b.add(do, b.numbered(nr), false, tests)
}

// AddNumberExact is AddNumber for a filter of one architecture.
func (b *Builder) AddNumberExact(do bpf.Action, nr int32, tests ...Test) error {
	return b.add(do, b.numbered(nr), true, tests)
}

func (b *Builder) numbered(nr int32) builtRule {
	r := builtRule{nr: uint32(nr)}
	switch {
	case nr <= -201:
		r.call, _ = abi.X86.MuxMember("ipc", uint32(-nr-200))
	case nr <= -101:
		r.call, _ = abi.X86.MuxMember("socketcall", uint32(-nr-100))
	case nr >= 0:
		r.call, _ = b.native.Name(uint32(nr))
	}
	return r
}

func (b *Builder) add(do bpf.Action, r builtRule, exact bool, tests []Test) error {
	if err := validAction(do); err != nil {
		return err
	}
	if uint32(do) == b.state.attrs[AttrActDefault] {
		return fmt.Errorf("a rule's action must differ from the default: %w", ErrAccess)
	}
	if r.call != "" && !abi.Known(r.call) {
		return fmt.Errorf("no architecture has a system call %s%s: %w", r.call, nearest.Hint(r.call, abi.Calls()), ErrInvalid)
	}
	if r.call == "" && (int32(r.nr) == -1 || int32(r.nr) == -2) {
		return fmt.Errorf("%d is not a call's number: %w", int32(r.nr), ErrInvalid)
	}
	if err := validTests(tests); err != nil {
		return err
	}
	if exact && len(b.state.filters) > 1 {
		return fmt.Errorf("an exact rule needs a filter of one architecture, this one has %d: %w", len(b.state.filters), ErrUnsupported)
	}
	r.action, r.tests = do, slices.Clone(tests)
	var on []int
	for i, f := range b.state.filters {
		switch {
		case r.call == "" && (f.arch != b.native || int32(r.nr) < 0):
			return fmt.Errorf("%d has no name to find it on %s by: %w", int32(r.nr), f.arch, ErrNoCall)
		case r.call == "" || len(f.arch.Reaching(r.call)) > 0:
			on = append(on, i)
		case exact:
			return fmt.Errorf("%s has no system call %s: %w", f.arch, r.call, ErrDomain)
		}
	}
	for _, i := range on {
		f := &b.state.filters[i]
		f.rules = append(f.rules, r)
	}
	return nil
}

func validTests(tests []Test) error {
	seen := 0
	for _, t := range tests {
		switch {
		case t.Arg < 0 || t.Arg > 5:
			return fmt.Errorf("argument %d: a call has arguments 0 to 5: %w", t.Arg, ErrInvalid)
		case seen>>t.Arg&1 == 1:
			return fmt.Errorf("argument %d is tested twice in one rule: %w", t.Arg, ErrInvalid)
		case t.Op < TestNE || t.Op > TestMaskedEQ:
			return fmt.Errorf("argument %d: %d is not a comparison: %w", t.Arg, t.Op, ErrInvalid)
		}
		seen |= 1 << t.Arg
	}
	return nil
}

// Prioritize is there for libseccomp's sake (seccomp_syscall_priority): order is the compiler's to find, and priority
// has no part in what a filter means. Only the name is checked.
func (b *Builder) Prioritize(call string, _ uint8) error {
	if !abi.Known(call) {
		return fmt.Errorf("no architecture has a system call %s%s: %w", call, nearest.Hint(call, abi.Calls()), ErrInvalid)
	}
	return nil
}

// Merge takes the architectures of src, with their rules, into b and leaves src as it was (seccomp_merge, which
// releases src). The filters must have the same attributes and no architecture in common.
func (b *Builder) Merge(src *Builder) error {
	if b.state.attrs != src.state.attrs {
		return fmt.Errorf("the filters' attributes differ: %w", ErrInvalid)
	}
	for _, f := range src.state.filters {
		if b.find(f.arch) >= 0 {
			return fmt.Errorf("both filters have %s: %w", f.arch, ErrExists)
		}
		if d := b.state.filters; len(d) > 0 && d[0].arch.ByteOrder() != f.arch.ByteOrder() {
			return fmt.Errorf("%s and %s differ in byte order: %w", d[0].arch, f.arch, ErrDomain)
		}
	}
	b.state.filters = append(b.state.filters, src.state.clone().filters...)
	return nil
}

func (s builderState) clone() builderState {
	s.filters = slices.Clone(s.filters)
	for i := range s.filters {
		s.filters[i].rules = slices.Clone(s.filters[i].rules)
	}
	return s
}

// Begin starts a transaction, perhaps within another (seccomp_transaction_start, of libseccomp 2.6).
func (b *Builder) Begin() { b.saved = append(b.saved, b.state.clone()) }

// Commit keeps what was done since Begin.
func (b *Builder) Commit() error {
	_, err := b.end()
	return err
}

// Reject undoes what was done since Begin.
func (b *Builder) Reject() error {
	s, err := b.end()
	if err == nil {
		b.state = s
	}
	return err
}

func (b *Builder) end() (builderState, error) {
	n := len(b.saved) - 1
	if n < 0 {
		return builderState{}, fmt.Errorf("no transaction has begun: %w", ErrInvalid)
	}
	s := b.saved[n]
	b.saved = b.saved[:n]
	return s, nil
}

// low32 says whether libseccomp counts an architecture as one of 32 bits.
func low32(a abi.Arch) bool {
	return a.Bits() == 32 || a == abi.X32 || a == abi.MIPS64N32 || a == abi.MIPSEL64N32
}

// expr is the test on one architecture, and its operand's mask such that x32's upper halves are left out.
func (t Test) expr(a abi.Arch) policy.Expr {
	width := uint64(math.MaxUint64)
	if low32(a) {
		width = math.MaxUint32
	}
	x, mask, y := policy.Operand{Arg: t.Arg, Wide: true}, width, t.A&width
	if t.Op == TestMaskedEQ {
		mask, y = t.A&width, t.A&t.B&width
	}
	if mask != math.MaxUint64 {
		x.Mask = policy.Num(mask)
	}
	op := [...]policy.Op{TestNE: policy.NE, TestLT: policy.LT, TestLE: policy.LE, TestEQ: policy.EQ, TestGE: policy.GE, TestGT: policy.GT, TestMaskedEQ: policy.EQ}[t.Op]
	return policy.Compare{X: x, Op: op, Y: policy.Num(y)}
}
