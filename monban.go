package monban

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/compile"
	"monban/internal/regular"
	"monban/policy"
	"monban/policy/lang"
	"monban/seccomp"
	"monban/verdict"
)

// A Policy says which system calls are allowed; see package policy.
type Policy = policy.Policy

// ErrBreaksRuntime says that a policy would break the Go runtime itself.
var ErrBreaksRuntime = errors.New("this policy would break the Go runtime")

// Parse reads a policy in the policy language, for the running machine. It can include presets, not files.
func Parse(text string) (*Policy, error) {
	return lang.Load("policy", []byte(text), lang.Options{})
}

// Load reads a policy file, for the running machine. Files that it includes are looked up from where it lies.
func Load(file string) (*Policy, error) {
	f, err := regular.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	src, err := lang.ReadAll(f, file)
	if err != nil {
		return nil, err
	}
	return lang.Load(file, src, lang.Options{ReadFile: lang.ReadIncluded})
}

// Enforce puts every thread of the running program behind the policy, for good, and sets no_new_privs. It needs no privilege.
//
// A policy that would break the Go runtime is refused with ErrBreaksRuntime and what is missing; include @go-runtime gives all
// that the runtime needs. Nothing is installed when Enforce returns an error, unless the policy is so long that it takes several
// filters and the kernel fails in between: see seccomp.InstallStack.
func Enforce(p *Policy) error {
	programs, err := gate(p, abi.Native())
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

// gate compiles a policy for a machine's own kernel and checks that a Go program can live behind it.
func gate(p *Policy, native abi.Arch) ([]bpf.Program, error) {
	p, err := p.For(native)
	if err != nil {
		return nil, err
	}
	order, err := p.ByteOrder()
	if err != nil {
		return nil, err
	}
	space := verdict.NewSpace(verdict.DefaultBudget)
	return verdict.Exact(space, func() ([]bpf.Program, error) {
		v, err := p.Verdict(space)
		if err != nil {
			return nil, err
		}
		if err := livable(v, native); err != nil {
			return nil, err
		}
		return compile.Programs(v, order)
	})
}

// livable checks a verdict against what the Go runtime needs on the architecture.
func livable(v verdict.Verdict, native abi.Arch) error {
	own := v.On(native, bpf.Allow)
	for a := range own.Actions() {
		switch {
		case a == bpf.KillThread:
			return fmt.Errorf("%w: kill_thread ends one thread and leaves the others waiting for it: write kill_process", ErrBreaksRuntime)
		case a.Asks():
			return fmt.Errorf("the policy says %s, and nobody is there to answer", a)
		}
	}
	needs, err := lang.LoadPreset("@go-runtime", lang.Options{Native: native})
	if err != nil {
		return err
	}
	must, err := needs.Verdict(v.Space())
	if err != nil {
		return err
	}
	must = must.Restrict(verdict.Arch, native.Token())
	var missing []string
	for nr, call := range native.Calls() {
		_, broken := verdict.Violation(must.Restrict(verdict.Nr, nr), own.Restrict(verdict.Nr, nr), func(need, got bpf.Action) bool {
			return need == bpf.Allow && !got.Passes()
		})
		if broken {
			missing = append(missing, call)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return fmt.Errorf("%w: it needs %s: write include @go-runtime", ErrBreaksRuntime, strings.Join(missing, " "))
}
