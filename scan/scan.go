package scan

import (
	"cmp"
	"context"
	"debug/elf"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"monban/abi"
	"monban/internal/regular"
)

// Options say what belongs to a program beside what the loader loads.
type Options struct {
	Root        string   // the file system that the program is for; "" is this one
	Also        []string // modules that it loads by dlopen
	Mapped      []string // files that a run mapped: modules are those that no other file needs; what cannot be loaded is Missed
	Follow      []string // programs that it executes
	LibraryPath []string // where the loader looks first, as LD_LIBRARY_PATH
	Preload     []string // libraries that it loads first, as LD_PRELOAD
}

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

// A BadFileError says why a file cannot be scanned.
type BadFileError struct{ File, Why string }

func (e *BadFileError) Error() string { return e.File + ": " + e.Why }

// kernels are calls that the kernel makes a program make: how a signal handler returns, and how a call goes on after a stop.
var kernels = []string{"rt_sigreturn", "restart_syscall"}

// Files scans programs, together with all that they load. Programs of different architectures are not scanned together. It fails with a
// BadFileError, an error that names a missing file, or the context's.
func Files(ctx context.Context, programs []string, o Options) (*Result, error) {
	r := &Result{}
	for _, name := range slices.Concat(programs, o.Follow) {
		one, err := program(ctx, name, o)
		if err != nil {
			return nil, err
		}
		if err := r.Add(one); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Add joins what other programs reach; an empty result takes any architecture. It fails where they are for another architecture.
func (r *Result) Add(other *Result) error {
	if r.Files == nil {
		r.Arch = other.Arch
	}
	if other.Arch != r.Arch {
		return fmt.Errorf("%s: for %v, and %s is for %v: scan them apart", other.Files[0], other.Arch, r.Files[0], r.Arch)
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

func union[T comparable](a, b []T) []T {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

// program scans one program.
func program(ctx context.Context, name string, o Options) (*Result, error) {
	l := &loader{root: strings.TrimSuffix(o.Root, "/"), paths: o.LibraryPath, preload: o.Preload, byPath: map[string]*image{}}
	first, err := l.load(name)
	if err != nil {
		return nil, err
	}
	l.shared = len(l.images)
	first.roots = append(first.roots, first.file.Entry)
	if first.file.Entry == 0 { // a library by itself: what anybody may call
		first.roots = append(first.roots, first.functionsExported()...)
	}
	for _, also := range o.Also {
		m, err := l.load(also)
		if err != nil {
			return nil, err
		}
		m.roots = append(m.roots, m.functionsExported()...)
	}
	missed := l.mapped(o.Mapped)
	g, err := newGraph(ctx, l)
	if err != nil {
		return nil, err
	}
	r := g.resolve().result(first)
	r.Missed = missed
	return r, nil
}

// mapped loads what a run mapped beside. A file that none of the others needs was loaded by dlopen, and anybody may call what it shows.
func (l *loader) mapped(files []string) (missed []string) {
	var modules []*image
	for _, name := range files {
		known := len(l.byPath)
		m, err := l.load(name)
		switch {
		case err != nil:
			missed = append(missed, name)
		case len(l.byPath) > known:
			modules = append(modules, m)
		}
	}
	for _, m := range modules {
		names, _ := m.file.DynString(elf.DT_SONAME)
		if !slices.ContainsFunc(l.images, func(by *image) bool {
			needed, _ := by.file.DynString(elf.DT_NEEDED)
			return by != m && slices.ContainsFunc(names, func(n string) bool { return slices.Contains(needed, n) })
		}) {
			m.roots = append(m.roots, m.functionsExported()...)
		}
	}
	return missed
}

// functionsExported are the functions and tables that a module shows to who loads it.
func (m *image) functionsExported() (out []uint64) {
	for _, all := range m.exports {
		for _, e := range all {
			out = append(out, e.addr)
		}
	}
	slices.Sort(out)
	return out
}

func (m *image) arch() abi.Arch {
	if m.mach == &arm64 {
		return abi.AArch64
	}
	return abi.X86_64
}

func (r *resolver) result(first *image) *Result {
	out := &Result{Arch: first.arch()}
	for _, m := range r.images {
		out.Files = append(out.Files, m.name)
		if r.loads[m] {
			out.Loaders = append(out.Loaders, m.name)
		}
		if r.lookups[m] {
			out.Lookups = append(out.Lookups, m.name)
		}
	}
	for _, name := range kernels {
		if nr, ok := out.Arch.Number(name); ok {
			if _, found := r.numbers[nr]; !found {
				out.Calls = append(out.Calls, Call{Nr: nr, Name: name})
			}
		}
	}
	for _, nr := range slices.Sorted(maps.Keys(r.numbers)) {
		name, _ := out.Arch.Name(nr)
		out.Calls = append(out.Calls, Call{nr, name, r.path(r.numbers[nr].part)})
	}
	slices.SortFunc(out.Calls, func(a, b Call) int { return cmp.Compare(a.Nr, b.Nr) })
	for at, why := range r.unknown {
		m := at.part.image
		out.Unresolved = append(out.Unresolved, Site{m.name, m.function(at.part), at.addr, why})
	}
	slices.SortFunc(out.Unresolved, func(a, b Site) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Address, b.Address))
	})
	for _, s := range r.texts {
		if strings.HasPrefix(s, "libnss_") {
			out.Modules = r.nameService(first)
			break
		}
	}
	executes := slices.ContainsFunc(out.Calls, func(c Call) bool { return c.Name == "execve" || c.Name == "execveat" })
	if executes {
		for _, s := range r.texts {
			if strings.HasPrefix(s, "/") && !slices.Contains(out.Programs, s) && r.executable(s) {
				out.Programs = append(out.Programs, s)
			}
		}
		slices.Sort(out.Programs)
	}
	return out
}

func (l *loader) executable(name string) bool {
	if filepath.Clean(name) != name {
		return false
	}
	p, err := l.path(name)
	if err != nil || strings.HasPrefix(name, "/proc/") {
		return false
	}
	st, err := os.Stat(p)
	if err != nil || !st.Mode().IsRegular() || st.Mode()&fs.FileMode(0o111) == 0 {
		return false
	}
	f, err := regular.Open(p)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 4)
	n, _ := f.Read(head)
	return string(head[:n]) == elf.ELFMAG || strings.HasPrefix(string(head[:n]), "#!")
}

// nameService is the list of modules that nsswitch.conf(5) names and that are there but not scanned.
func (l *loader) nameService(first *image) (out []string) {
	p, err := l.path("/etc/nsswitch.conf")
	if err != nil {
		return nil
	}
	b, err := regular.Read(p, maxConfig)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		_, services, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		for s := range strings.FieldsSeq(services) {
			path, found := l.find("libnss_"+s+".so.2", first, first, nil)
			scanned := slices.ContainsFunc(l.images, func(m *image) bool { return filepath.Base(m.name) == filepath.Base(path) })
			if found && !scanned && !slices.Contains(out, path) {
				out = append(out, path)
			}
		}
	}
	return out
}

// function is a part's name, or its address.
func (m *image) function(p *part) string {
	if n := m.names[p.start]; n != "" {
		return n
	}
	return fmt.Sprintf("%#x", p.start)
}

// path is the way from the start to a part.
func (r *resolver) path(p *part) (steps []Step) {
	for p != nil && len(steps) < 1000 {
		o := r.reached[p]
		steps = append(steps, Step{p.image.name, p.image.function(p), o.how})
		p = o.from
	}
	slices.Reverse(steps)
	return steps
}
