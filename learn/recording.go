package learn

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/inspect"
	"monban/internal/plain"
	"monban/policy"
	"monban/policy/lang"
	"monban/record"
)

// Options say how what was learnt becomes a gate.
type Options struct {
	Args    record.Args
	Default *policy.Action // for all other calls; nil is errno(EPERM)
	Native  abi.Arch
	Extra   []Extra // calls for somebody else than the program
}

// other is the action for all other calls.
func (o *Options) other() policy.Action {
	if o.Default != nil {
		return *o.Default
	}
	return policy.Action{Kind: bpf.Errno, Errno: "EPERM"}
}

// An Extra is a list of calls with the reason why they are allowed.
type Extra struct {
	Why   string
	Calls []string
}

// Runc is the calls that runc's init makes after it has put the filter on, up to the program's start: a profile without
// them starts no container. They were measured with strace on runc 1.1.5, with and without no_new_privs, for root and
// another user; what the Go runtime does in between now and then stands behind them.
func Runc() Extra {
	return Extra{"runc makes these between the filter and the program's start", []string{
		"execve", "capget", "capset", "chdir", "close", "epoll_ctl", "epoll_pwait", "faccessat2", "fchown", "fcntl", "fstat", "fstatfs", "futex", "getcwd",
		"getdents64", "getpid", "getppid", "nanosleep", "newfstatat", "openat", "openat2", "prctl", "read", "sched_yield", "setgid", "setgroups",
		"setuid", "write",
		"clone", "epoll_create1", "eventfd2", "gettid", "madvise", "mmap", "munmap", "mprotect", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
		"sigaltstack", "tgkill",
	}}
}

// Recording is the gate of a recording, with comments that say what was seen.
func Recording(r *record.Recording, o Options) *lang.File {
	f := &lang.File{Name: "the recording"}
	f.Note("What this run did, by monban record (%s):", r.By)
	f.Note("  %s", strings.Join(r.Command, " "))
	f.Note("%s of %s. Behind each: how often, and by which programs.", plain.Count(r.Made, "call"), plain.Count(len(r.Calls), "kind"))
	if r.Lost > 0 {
		f.Note("Events were lost, %d of them: a call may be missing.", r.Lost)
	}
	archs := r.Archs(o.Native)
	f.Section("", &lang.Header{Word: "arch", Args: lang.Archs(archs)}, lang.HeadAction("default", o.other()))
	for _, a := range archs {
		w := writer{f: f, r: r, o: &o, arch: a, seen: map[string]bool{}}
		if len(archs) > 1 {
			w.on = []abi.Arch{a}
		}
		w.write(true)
	}
	return f
}

// additions are the rules alone, to be put before those of an earlier gate, which does not speak for some
// architectures.
func additions(r *record.Recording, o Options, title string, strange []abi.Arch) *lang.File {
	f := &lang.File{}
	f.Note("%s, by monban record (%s):", title, r.By)
	f.Note("  %s", strings.Join(r.Command, " "))
	for _, a := range r.Archs(o.Native) {
		if len(r.Keys(a)) > 0 || r.Clone3[a] > 0 || a == o.Native && len(o.Extra) > 0 {
			w := writer{f: f, r: r, o: &o, arch: a, on: []abi.Arch{a}, seen: map[string]bool{}}
			w.write(slices.Contains(strange, a))
		}
	}
	return f
}

// A writer writes the rules of one architecture.
type writer struct {
	f    *lang.File
	r    *record.Recording
	o    *Options
	arch abi.Arch
	on   []abi.Arch      // what the rules are limited to; nil: nothing
	seen map[string]bool // the calls that there are rules for
}

// rules are a line of rules.
func (w *writer) rules(do policy.Action, comment string, items ...lang.Item) lang.Line {
	return &lang.Rules{On: lang.Archs(w.on), Do: lang.Act(do), Items: items, Comment: comment}
}

var (
	allow  = policy.Action{Kind: bpf.Allow}
	enosys = policy.Action{Kind: bpf.Errno, Errno: "ENOSYS"}
)

// write adds the rules by what calls are for; alone says that no gate has, on this architecture, what any run may make.
func (w *writer) write(alone bool) {
	const uncounted = "let pass while recording, so not counted"
	a := w.arch
	byPurpose := map[string][]lang.Line{}
	for _, k := range w.r.Keys(a) {
		c := w.r.Calls[k]
		item, purpose := w.item(k, c)
		comment := uncounted
		if c.Count > 0 {
			comment = fmt.Sprintf("%d: %s", c.Count, programs(c))
		}
		byPurpose[purpose] = append(byPurpose[purpose], w.rules(allow, lang.Remark("%s", comment), item))
	}
	if n := w.r.Clone3[a]; n > 0 {
		w.seen["clone3"] = true
		p := inspect.Purpose("clone3")
		byPurpose[p] = append(byPurpose[p], w.rules(enosys, lang.Remark("%d: its flags are behind a pointer; libc falls back to clone", n), lang.Calls("clone3")...))
	}
	for _, p := range inspect.Purposes() {
		if lines := byPurpose[p]; lines != nil {
			w.f.Section(p, lines...)
		}
	}
	if alone {
		if _, ok := a.Number("clone3"); ok && !w.seen["clone3"] {
			// Refused otherwise, it would keep libc from making threads that another run, or another gate joined with
			// this one, allows.
			w.f.Section("not seen; libc falls back to clone, whose flags a gate can see", w.rules(enosys, "", lang.Calls("clone3")...))
			w.seen["clone3"] = true
		}
		w.list("not seen, but any run may make them", record.Always())
		if a == w.o.Native {
			w.list(uncounted, w.r.Unseen)
		}
	}
	for _, e := range w.o.Extra {
		w.list(e.Why, e.Calls)
	}
}

// item is a call that was made, with its condition, and what it is for.
func (w *writer) item(k record.Key, c *record.Call) (lang.Item, string) {
	name, ok := w.arch.Name(k.Nr)
	if !ok {
		is := policy.Compare{X: policy.Operand{Name: "nr"}, Op: policy.EQ, Y: policy.Num(k.Nr)}
		return lang.Item{Name: policy.AnyCall, Cond: lang.NewCondition(is)}, inspect.Other
	}
	w.seen[name] = true
	it := lang.Item{Name: name}
	// Somebody else who needs the call has arguments of his own.
	if !slices.ContainsFunc(w.o.Extra, func(e Extra) bool { return slices.Contains(e.Calls, name) }) {
		it.Cond = lang.NewCondition(record.Generalise(w.arch, name, c, w.o.Args))
	}
	return it, inspect.Purpose(name)
}

// perLine is how many calls without conditions share a line.
const perLine = 8

// list adds rules for those of some calls that the architecture has and that have none yet, with the reason.
func (w *writer) list(why string, calls []string) {
	var lines []lang.Line
	lacking := slices.DeleteFunc(slices.Clone(calls), func(name string) bool {
		_, ok := w.arch.Number(name)
		known := w.seen[name]
		w.seen[name] = known || ok
		return !ok || known
	})
	for some := range slices.Chunk(lacking, perLine) {
		lines = append(lines, w.rules(allow, "", lang.Calls(some...)...))
	}
	if lines != nil {
		w.f.Section(why, lines...)
	}
}

// programs lists who made a call, the most frequent first.
func programs(c *record.Call) string {
	names := slices.SortedFunc(maps.Keys(c.Programs), func(x, y string) int {
		return cmp.Or(cmp.Compare(c.Programs[y], c.Programs[x]), strings.Compare(x, y))
	})
	const most = 4
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return strings.Join(names, " ")
}
