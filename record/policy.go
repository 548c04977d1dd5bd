package record

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"monban/abi"
	"monban/inspect"
	"monban/internal/plain"
)

// always are calls that any run may make without the program's doing, or that only tell a program about itself: how it ends, how a
// signal handler returns, what is resumed after a stop, what libc and language runtimes do when memory, time or other threads want it,
// and what the vDSO falls back to. A recording that happens to lack one would break the next run now and then.
var always = []string{
	"exit", "exit_group", "rt_sigreturn", "sigreturn", "restart_syscall", "rt_sigprocmask", "rt_sigaction", "sigaltstack",
	"futex", "futex_time64", "sched_yield", "nanosleep", "clock_nanosleep", "clock_nanosleep_time64", "clock_gettime", "clock_gettime64",
	"gettimeofday", "time", "getcpu", "brk", "munmap", "mremap", "madvise", "getpid", "gettid", "getrandom", "rseq", "set_robust_list",
	"sched_getaffinity", "membarrier",
}

// AnyRun says that any run may make a call.
func AnyRun(call string) bool { return slices.Contains(always, call) }

// Options say how a recording becomes a policy.
type Options struct {
	Args    Args
	Default string // the action for all other calls; "" is errno(EPERM)
	Native  abi.Arch
	Extra   []Extra    // calls for somebody else than the program
	New     []abi.Arch // of Rules: those that the earlier gate does not speak for

	added bool // to a gate that has the calls that any run may make
}

// An Extra is a list of calls with the reason why they are allowed.
type Extra struct {
	Why   string
	Calls []string
}

// Runc are the calls that runc's init makes after it has put the filter on, up to the program's start: a profile without them starts
// no container. They were measured with strace on runc 1.1.5, with and without no_new_privs, for root and another user; what the Go
// runtime does in between now and then stands behind them.
var Runc = Extra{"runc makes these between the filter and the program's start", []string{
	"execve", "capget", "capset", "chdir", "close", "epoll_ctl", "epoll_pwait", "faccessat2", "fchown", "fcntl", "fstat", "fstatfs", "futex", "getcwd",
	"getdents64", "getpid", "getppid", "nanosleep", "newfstatat", "openat", "openat2", "prctl", "read", "sched_yield", "setgid", "setgroups",
	"setuid", "write",
	"clone", "epoll_create1", "eventfd2", "gettid", "madvise", "mmap", "munmap", "mprotect", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
	"sigaltstack", "tgkill",
}}

// Text is the policy in the language, with comments that say what was seen. It can be loaded as it is.
func (r *Recording) Text(o Options) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# What this run did, by monban record (%s):\n#   %s\n", r.By, oneLine(r.Command))
	fmt.Fprintf(&b, "# %d calls of %d kinds. Behind each: how often, and by which programs.\n", r.Made, len(r.Calls))
	if r.Lost > 0 {
		fmt.Fprintf(&b, "# Events were lost, %d of them: a call may be missing.\n", r.Lost)
	}
	archs := r.Archs(o.Native)
	var names []string
	for _, a := range archs {
		names = append(names, a.String())
	}
	fmt.Fprintf(&b, "\narch     %s\ndefault  %s\n", strings.Join(names, " "), cmp.Or(o.Default, "errno(EPERM)"))
	for _, a := range archs {
		r.arch(&b, a, len(archs) > 1, o)
	}
	return b.String()
}

// Rules are the rules alone, to be put before those of an earlier gate.
func (r *Recording) Rules(o Options, title string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s, by monban record (%s):\n#   %s\n", title, r.By, oneLine(r.Command))
	for _, a := range r.Archs(o.Native) {
		if len(r.Keys(a)) > 0 || r.Clone3[a] > 0 || a == o.Native && len(o.Extra) > 0 {
			r.arch(&b, a, true, Options{Args: o.Args, Native: o.Native, Extra: o.Extra, New: o.New, added: true})
		}
	}
	return b.String()
}

// arch writes the rules of one architecture, by what calls are for.
func (r *Recording) arch(b *strings.Builder, a abi.Arch, several bool, o Options) {
	start := ""
	if several {
		start = "on " + a.String() + ": "
	}
	byPurpose := map[string][]string{}
	seen := map[string]bool{}
	for _, k := range r.Keys(a) {
		name, ok := a.Name(k.Nr)
		c := r.Calls[k]
		purpose := inspect.Other
		item := fmt.Sprintf("any(nr == %d)", k.Nr)
		if ok {
			seen[name] = true
			purpose = inspect.Purpose(name)
			item = name
			// Somebody else who needs the call has arguments of his own.
			shared := slices.ContainsFunc(o.Extra, func(e Extra) bool { return slices.Contains(e.Calls, name) })
			if cond := Generalise(a, name, c, o.Args); cond != nil && !shared {
				item += "(" + cond.String() + ")"
			}
		}
		comment := "let pass while recording, so not counted"
		if c.Count > 0 {
			comment = fmt.Sprintf("%d: %s", c.Count, programs(c))
		}
		byPurpose[purpose] = append(byPurpose[purpose], fmt.Sprintf("%sallow    %-32s # %s", start, item, comment))
	}
	if n := r.Clone3[a]; n > 0 {
		seen["clone3"] = true
		byPurpose[inspect.Purpose("clone3")] = append(byPurpose[inspect.Purpose("clone3")],
			fmt.Sprintf("%serrno(ENOSYS) clone3 # %d: its flags are behind a pointer; libc falls back to clone", start, n))
	}
	for _, p := range inspect.Purposes() {
		if lines := byPurpose[p]; lines != nil {
			fmt.Fprintf(b, "\n# %s\n%s\n", p, strings.Join(lines, "\n"))
		}
	}
	list := func(why string, calls []string) {
		var lacking []string
		for _, name := range calls {
			if _, ok := a.Number(name); ok && !seen[name] {
				lacking = append(lacking, name)
				seen[name] = true
			}
		}
		if lacking == nil {
			return
		}
		fmt.Fprintf(b, "\n# %s\n", why)
		for line := range slices.Chunk(lacking, 8) {
			fmt.Fprintf(b, "%sallow    %s\n", start, strings.Join(line, " "))
		}
	}
	if !o.added || slices.Contains(o.New, a) {
		if _, ok := a.Number("clone3"); ok && !seen["clone3"] {
			// Refused otherwise, it would keep libc from making threads that another run, or another gate joined with this one, allows.
			fmt.Fprintf(b, "\n# not seen; libc falls back to clone, whose flags a gate can see\n%serrno(ENOSYS) clone3\n", start)
			seen["clone3"] = true
		}
		list("not seen, but any run may make them", always)
		if a == o.Native {
			list("let pass while recording, so not counted", r.Unseen)
		}
	}
	for _, e := range o.Extra {
		list(e.Why, e.Calls)
	}
}

// programs lists who made a call, the most frequent first.
func programs(c *Call) string {
	names := slices.SortedFunc(maps.Keys(c.Programs), func(x, y string) int {
		return cmp.Or(cmp.Compare(c.Programs[y], c.Programs[x]), strings.Compare(x, y))
	})
	const most = 4
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return oneLine(names)
}

// oneLine joins words for a comment. A program chooses its name and its arguments: a line break in them would begin a rule of its own.
func oneLine(words []string) string { return plain.Text(strings.Join(words, " ")) }
