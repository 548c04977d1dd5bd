package compile

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
)

// A mood says what a gate's answers may be.
type mood int

const (
	anything  mood = iota // every action, any architectures
	survives              // what a thread survives on this machine, with calls that do no harm
	sometimes             // that, and what it doesn't survive
)

// maker makes gates out of random numbers.
type maker struct {
	*rand.Rand
	g     *gate
	mood  mood
	calls []string
	used  []uint64
}

func randomGate(r *rand.Rand, m mood) *gate {
	k := &maker{Rand: r, g: &gate{}, mood: m}
	g := k.g
	g.archs = k.archs()
	if k.one(4) {
		g.kernel = pick(r, abi.Version{Major: 4, Minor: 4}, abi.Version{Major: 5, Minor: 10}, abi.Version{Major: 6, Minor: 1},
			abi.Version{Major: 6, Minor: 12})
	}
	g.wide = k.one(6)
	// Without a header: kill_process, errno(ENOSYS), kill_process.
	kill, nosys := action{do: bpf.KillProcess}, action{do: bpf.Errno, errno: "ENOSYS"}
	for _, h := range []struct {
		is   *action
		none action
	}{{&g.def, kill}, {&g.unknown, nosys}, {&g.bad, kill}} {
		if *h.is = h.none; k.one(5) && (m != survives || h.none == nosys) {
			continue
		}
		*h.is = k.action()
	}
	for range 1 + k.IntN(5) {
		k.calls = append(k.calls, k.call())
	}
	if m != anything {
		g.lines = append(g.lines, runtimeNeeds())
	}
	for range 1 + k.IntN(10) {
		g.lines = append(g.lines, k.line())
	}
	return g
}

// runtimeNeeds lets the Go runtime go on, make its thread sleep and end it.
func runtimeNeeds() line {
	l := line{do: action{text: "allow", do: bpf.Allow}}
	for _, call := range strings.Fields(`exit exit_group futex futex_time64 mmap mmap2 munmap mprotect madvise sigaltstack
		rt_sigaction rt_sigprocmask rt_sigreturn sigreturn tgkill getpid gettid sched_yield nanosleep clock_nanosleep
		epoll_pwait epoll_ctl eventfd2 write read close clock_gettime restart_syscall prctl rseq set_robust_list`) {
		l.items = append(l.items, item{call: call, optional: true})
	}
	return l
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// one is true once in n times.
func (k *maker) one(n int) bool { return k.IntN(n) == 0 }

func (k *maker) archs() []abi.Arch {
	family := pick(k.Rand, pick(k.Rand, abi.Archs()...), abi.X86_64, abi.X86_64, abi.AArch64, abi.S390X).Family()
	if k.mood != anything {
		family = abi.Native().Family()
	}
	archs := []abi.Arch{family[0]}
	for _, a := range family[1:] {
		if k.one(2) {
			archs = append(archs, a)
		}
	}
	if k.mood == anything && k.one(4) { // strangers, perhaps of another byte order
		for range 1 + k.IntN(2) {
			if a := pick(k.Rand, abi.Archs()...); !slices.Contains(archs, a) {
				archs = append(archs, a)
			}
		}
	}
	k.Shuffle(len(archs), func(i, j int) { archs[i], archs[j] = archs[j], archs[i] })
	return archs
}

func (k *maker) action() action {
	data := func(kind string, do bpf.Action, n int) action {
		return action{text: fmt.Sprintf("%s(%d)", kind, n), do: do | bpf.Action(n)}
	}
	errnos := []int{0, 1, 13, 38, 4094, 4095}
	all := []action{
		{text: "allow", do: bpf.Allow}, {text: "allow", do: bpf.Allow}, {text: "notify", do: bpf.Notify},
		data("errno", bpf.Errno, k.IntN(4096)), data("errno", bpf.Errno, pick(k.Rand, errnos...)),
		data("trace", bpf.Trace, pick(k.Rand, 0, 1, 9, 0x7fff, 0xffff)),
	}
	name := pick(k.Rand, "EPERM", "ENOSYS", "EACCES", "EAFNOSUPPORT")
	all = append(all, action{text: "errno(" + name + ")", do: bpf.Errno, errno: name})
	if k.mood != survives || k.one(10) { // logs are not to be flooded
		all = append(all, action{text: "log", do: bpf.Log})
	}
	if k.mood != survives {
		all = append(all, data("trap", bpf.Trap, pick(k.Rand, 0, 1, 9, 0xffff)), action{text: "trap", do: bpf.Trap},
			action{text: "kill_thread", do: bpf.KillThread}, action{text: "kill_process", do: bpf.KillProcess})
	}
	return pick(k.Rand, all...)
}

// harmless calls do nothing whatever their arguments, and their results stay what they are; a descriptor may come and
// go.
var harmless = strings.Fields(`getppid getuid geteuid getgid getegid sched_get_priority_max sched_get_priority_min
	timer_getoverrun io_destroy lookup_dcookie pkey_free nfsservctl _sysctl`)

func (k *maker) call() string {
	if k.mood != anything {
		return pick(k.Rand, harmless...)
	}
	// Members of multiplexers, values in two registers or of 16 bits, signed ones, and whatever comes.
	calls := append(strings.Fields(`read socket bind connect shmget semop clone ioctl openat pread64 mmap fchmod setuid lseek kill
		fadvise64 sync_file_range prctl personality socketcall ipc`), abi.Calls()...)
	for {
		call := pick(k.Rand, calls...)
		if k.one(2) {
			call = pick(k.Rand, calls[:20]...)
		}
		if slices.ContainsFunc(k.g.archs, func(a abi.Arch) bool { return has(a, call) }) {
			return call
		}
	}
}

func (k *maker) line() line {
	l := line{do: k.action()}
	if k.one(6) {
		l.on = []abi.Arch{pick(k.Rand, k.g.archs...)}
		if k.one(3) {
			l.on = append(l.on, pick(k.Rand, abi.Archs()...))
		}
	}
	for range 1 + k.IntN(3) {
		it := item{call: pick(k.Rand, k.calls...), optional: len(l.items) > 0 && l.items[len(l.items)-1].optional}
		switch {
		case k.one(7):
			it.call = "any"
		case k.one(20):
			it.call = pick(k.Rand, "@clock", "@network-io", "@ipc", "@chown", "@io-uring")
			if k.mood != anything {
				it.call = pick(k.Rand, "@swap", "@clock") // nothing that the runtime or the test needs
			}
		case k.one(12) && k.mood == anything:
			it.call, it.optional = pick(k.Rand, abi.Calls()...), true
		}
		scope := k.g.scope(&l, it.call)
		if len(scope) == 0 {
			it.optional = true // for the rest of the line, which the next items see to
		}
		if it.call[0] != '@' && !k.one(4) || it.call == "any" {
			c := k.cond(&l, it.call, scope, k.IntN(4))
			if it.call == "any" && k.one(2) {
				numbers := k.comparison(&l, it.call, scope, "nr")
				c = cond{op: pick(k.Rand, "&&", "&&", "||"), subs: []cond{numbers, c}}
			}
			it.cond = &c
		}
		l.items = append(l.items, it)
	}
	return l
}

func (k *maker) cond(l *line, call string, scope []abi.Arch, depth int) cond {
	if depth == 0 || k.one(4) {
		return k.comparison(l, call, scope, "")
	}
	if k.one(4) {
		return cond{op: "!", subs: []cond{k.cond(l, call, scope, depth-1)}}
	}
	c := cond{op: pick(k.Rand, "&&", "||")}
	for range 2 + k.IntN(2) {
		c.subs = append(c.subs, k.cond(l, call, scope, depth-1))
	}
	return c
}

// comparison compares an operand that means something on all of scope with constants that fit there.
func (k *maker) comparison(l *line, call string, scope []abi.Arch, name string) cond {
	c := cond{op: pick(k.Rand, "==", "!=", "<", "<=", ">", ">=", "in"), mirrored: k.one(5)}
	c.x = operand{name: name, wide: k.one(3)}
	if name == "" {
		c.x.name = k.argument(call, scope)
	}
	for range []int{0, 0, 0, 0, 1, 1, 2, 3}[k.IntN(8)] {
		op := bitop{op: pick[byte](k.Rand, '&', '&', '&', '|', '^', '~')}
		if op.op != '~' {
			op.k = k.constant(call, scope, c.x, false)
		}
		c.x.bits = append(c.x.bits, op)
	}
	n := 1
	if c.op == "in" {
		n, c.mirrored = 1+k.IntN(3), false
	}
	for range n {
		i := interval{lo: k.constant(call, scope, c.x, c.op != "==" && c.op != "!=" && c.op != "in")}
		i.hi = i.lo
		if c.op == "in" && k.one(2) {
			a, b := k.constant(call, scope, c.x, true), k.constant(call, scope, c.x, true)
			switch {
			case k.g.ascending(call, scope, c.x, a, b):
				i = interval{a, b}
			case k.g.ascending(call, scope, c.x, b, a):
				i = interval{b, a}
			}
		}
		c.set = append(c.set, i)
	}
	return c
}

// argument is the name of one that is known on all of scope.
func (k *maker) argument(call string, scope []abi.Arch) string {
	if call == "any" && k.one(4) {
		return "nr"
	}
	if k.one(12) && k.mood == anything { // a live call's is unknown beforehand
		return "ip"
	}
	if len(scope) > 0 && call != "any" && k.one(2) {
		args, _ := scope[0].Args(call)
		for range min(len(args), 4) {
			arg := pick(k.Rand, args...)
			name := pick(k.Rand, append(arg.Aliases, arg.Name)...)
			if !slices.ContainsFunc(scope, func(a abi.Arch) bool {
				_, ok := k.g.field(a, call, operand{name: name})
				return !ok || name == ""
			}) {
				return name
			}
		}
	}
	return fmt.Sprintf("arg%d", pick(k.Rand, 0, 0, 0, 1, 1, 2, 3, 4, 5))
}

// constant is one near where something changes, that fits the operand on all of scope.
func (k *maker) constant(call string, scope []abi.Arch, x operand, ordered bool) constant {
	bits := 64
	fits := func(c constant) bool {
		for _, a := range scope {
			f, _ := k.g.field(a, call, x)
			bits = min(bits, f.bits)
			v, known := c.on(a)
			top := int64(v) >> (f.bits - 1) // 0 or -1 where v is a signed number of that width
			fit := f.bits == 64 || v>>f.bits == 0 && !(ordered && f.signed && top != 0) || top == -1
			if !known || !fit {
				return false
			}
		}
		return len(scope) > 0 || c.name == ""
	}
	for range 8 {
		var c constant
		switch {
		case k.one(12):
			c.name = pick(k.Rand, "AF_INET", "O_CREAT", "O_DIRECT", "CLONE_NEWUSER", "TIOCSTI", "AT_FDCWD", "SOCK_STREAM", "EAGAIN")
		case len(k.used) > 0 && k.one(3):
			c.n = pick(k.Rand, k.used...) + uint64(k.IntN(3)) - 1
		default:
			c.n = k.number()
		}
		if fits(c) {
			k.used = append(k.used, c.n)
			return c
		}
	}
	return constant{n: k.number() & (1<<(bits-1) - 1)}
}

// number is likely one at the edge of a width, a mask, or a small one.
func (k *maker) number() uint64 {
	switch k.IntN(10) {
	case 0, 1, 2:
		return pick[uint64](k.Rand, 0, 0, 1, 2, 3, 5, 7, 0xff, 0x100, 0x5412)
	case 3, 4, 5:
		n := uint64(1) << pick(k.Rand, 15, 16, 31, 32, 63)
		return pick(k.Rand, n-1, n, n+1, -n, 2*n-1)
	case 6: // -1, -2, …
		return -uint64(1 + k.IntN(5))
	case 7: // a run of bits
		return (uint64(1)<<(1+k.IntN(16)) - 1) << k.IntN(64)
	case 8:
		a, b := k.IntN(64), k.IntN(64)
		return 1<<a | 1<<b
	}
	return k.Uint64() >> k.IntN(64)
}
