package monban

import (
	"io/fs"
	"runtime"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/internal/regular"
	"monban/policy"
	"monban/policy/lang"
	"monban/seccomp"
	"monban/verdict"
)

// A Policy says which system calls are allowed; see package policy.
type Policy = policy.Policy

// Options say what a policy is for and where it lies. The zero value is the running machine.
type Options struct {
	Arch   abi.Arch    // the machine: what "native" in a policy means, and whose kernel enforces it
	Kernel abi.Version // the kernel whose calls a policy speaks of that names none; zero is the newest
	FS     fs.FS       // the files that Load and includes read, by their names there; nil: for Load the machine's, for Parse none
}

func (o Options) lang(readFile func(string) ([]byte, error)) lang.Options {
	if o.FS != nil {
		readFile = func(name string) ([]byte, error) { return lang.ReadIncludedIn(o.FS, name) }
	}
	return lang.Options{Native: o.Arch, Kernel: o.Kernel, ReadFile: readFile}
}

// Parse reads a policy in the policy language. It can include presets, and files of o.FS.
func Parse(text string, o Options) (*Policy, error) {
	return lang.Load("policy", []byte(text), o.lang(nil))
}

// Load reads a policy file. Files that it includes are looked up from where it lies.
func Load(file string, o Options) (*Policy, error) {
	f, err := o.open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	src, err := lang.ReadAll(f, file)
	if err != nil {
		return nil, err
	}
	return lang.Load(file, src, o.lang(lang.ReadIncluded))
}

func (o Options) open(file string) (fs.File, error) {
	if o.FS != nil {
		return regular.OpenIn(o.FS, file)
	}
	return regular.Open(file)
}

// Check says what Enforce would refuse: nil means that a Go program on the machine can live behind the policy, and that
// it compiles.
func Check(p *Policy, o Options) error {
	_, err := filters(p, o.Arch)
	return err
}

// Enforce puts every thread of the running program behind the policy, for good, and sets no_new_privs. It needs no
// privilege.
//
// A policy that would break the Go runtime is refused with a *RuntimeError, which says what is missing; include
// @go-runtime gives all that the runtime can need. Nothing is installed when Enforce returns an error, unless the
// policy is so long that it takes several filters and the kernel fails in between: see seccomp.InstallStack.
func Enforce(p *Policy) error {
	programs, err := filters(p, abi.Native())
	if err != nil {
		return err
	}
	// Both must meet on one thread; from there TSYNC takes them to the others.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := seccomp.NoNewPrivs(); err != nil {
		return err
	}
	return seccomp.InstallStack(programs, seccomp.TSYNC)
}

// filters compiles a policy for a machine's own kernel and checks that a Go program can live behind it.
func filters(p *Policy, native abi.Arch) ([]bpf.Program, error) {
	if p == nil {
		return nil, errNoPolicy
	}
	g, err := gate.OfPolicy(p.Name, p).For(native)
	if err != nil {
		return nil, err
	}
	if _, err := gate.Exact(g, func(v verdict.Verdict) (bool, error) { return true, livable(v, native) }); err != nil {
		return nil, err
	}
	return g.Filters()
}
