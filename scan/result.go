package scan

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"monban/abi"
	"monban/scan/internal/code"
	"monban/scan/internal/graph"
	"monban/scan/internal/load"
	"monban/scan/internal/trace"
)

// A Result is what programs can reach.
type Result struct {
	Arch       abi.Arch
	Files      []string // programs, interpreters, libraries and modules
	Calls      []Call   // by number
	Unresolved []Site   // where a call's number could not be traced: there, any call is possible
	Loaders    []string // files that load modules by dlopen; which ones is not known
	Lookups    []string // files that look up functions by dlsym, with names that are not known
	Modules    []string // modules of the name service that libc loads, by nsswitch.conf, if that is reached
	Missed     []string // of Options.Mapped
	Programs   []string // programs that stand by path in code that is reached, if it can execute
}

// A Call is a system call that can be reached, and one way there.
type Call struct {
	Nr   uint32
	Name string // "" for a number that no call has
	Path []Step // from the start to the instruction that sets the number; empty for what the kernel itself makes a program call
}

// A Step is a function on the way to a call.
type Step struct {
	File     string
	Function string // its name, or its address where it has none
	How      string // how it is reached: calls, jumps, by pointer, …
}

// A Site is an instruction whose call is not known.
type Site struct {
	File     string
	Function string
	Address  uint64
	Why      string
}

// Add joins what other programs reach; an empty result takes any architecture. It fails with an ArchError.
func (r *Result) Add(other *Result) error {
	if r.Files == nil {
		r.Arch = other.Arch
	}
	if other.Arch != r.Arch {
		return &ArchError{File: other.Files[0], FileArch: other.Arch, Other: r.Files[0], OtherArch: r.Arch}
	}
	r.Files = union(r.Files, other.Files)
	r.Loaders = union(r.Loaders, other.Loaders)
	r.Lookups = union(r.Lookups, other.Lookups)
	r.Modules = union(r.Modules, other.Modules)
	r.Missed = union(r.Missed, other.Missed)
	r.Unresolved = union(r.Unresolved, other.Unresolved)
	r.Programs = slices.DeleteFunc(union(r.Programs, other.Programs), func(p string) bool { return slices.Contains(r.Files, p) })
	for _, c := range other.Calls {
		if k, found := slices.BinarySearchFunc(r.Calls, c.Nr, func(c Call, nr uint32) int { return cmp.Compare(c.Nr, nr) }); !found {
			r.Calls = slices.Insert(r.Calls, k, c)
		}
	}
	return nil
}

// union is a, and what b has beside.
func union[T comparable](a, b []T) []T {
	known := make(map[T]bool, len(a))
	for _, s := range a {
		known[s] = true
	}
	for _, s := range b {
		if !known[s] {
			known[s] = true
			a = append(a, s)
		}
	}
	return a
}

// kernels are calls that the kernel makes a program make: how a signal handler returns, and how a call goes on after a
// stop.
var kernels = []string{"rt_sigreturn", "restart_syscall"}

// result puts into words what was found.
func result(l *load.Program, g *graph.Graph, calls *trace.Calls) *Result {
	r := &Result{Arch: l.First().Machine.Arch}
	for _, m := range g.Codes {
		r.Files = append(r.Files, m.Name)
		if g.Loads[m] {
			r.Loaders = append(r.Loaders, m.Name)
		}
		if calls.Lookups[m] {
			r.Lookups = append(r.Lookups, m.Name)
		}
	}
	for _, name := range kernels {
		if nr, ok := r.Arch.Number(name); ok {
			if _, found := calls.Numbers[nr]; !found {
				r.Calls = append(r.Calls, Call{Nr: nr, Name: name})
			}
		}
	}
	for nr, at := range calls.Numbers {
		name, _ := r.Arch.Name(nr)
		r.Calls = append(r.Calls, Call{nr, name, path(g, at.Part)})
	}
	slices.SortFunc(r.Calls, func(a, b Call) int { return cmp.Compare(a.Nr, b.Nr) })
	for at, why := range calls.Unknown {
		r.Unresolved = append(r.Unresolved, Site{at.Part.Code.Name, at.Part.Name(), at.Addr, why})
	}
	slices.SortFunc(r.Unresolved, func(a, b Site) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Address, b.Address))
	})
	r.names(l, g)
	return r
}

// names finds what the program may load and execute by the names that stand in its code.
func (r *Result) names(l *load.Program, g *graph.Graph) {
	executes := slices.ContainsFunc(r.Calls, func(c Call) bool { return c.Name == "execve" || c.Name == "execveat" })
	looks := false
	programs := map[string]bool{}
	for s := range g.Texts {
		looks = looks || strings.HasPrefix(s, "libnss_")
		if _, known := programs[s]; executes && !known && strings.HasPrefix(s, "/") {
			programs[s] = l.Executable(s)
		}
	}
	if looks {
		r.Modules = l.NameService()
	}
	maps.DeleteFunc(programs, func(_ string, executable bool) bool { return !executable })
	r.Programs = slices.Sorted(maps.Keys(programs))
}

// path is the way from the start to a part.
func path(g *graph.Graph, p *code.Part) (steps []Step) {
	const most = 1000
	for p != nil && len(steps) < most {
		o := g.Reached[p]
		steps = append(steps, Step{p.Code.Name, p.Name(), o.How})
		p = o.From
	}
	slices.Reverse(steps)
	return steps
}
