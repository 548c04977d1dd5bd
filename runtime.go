package monban

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
	"monban/policy/lang"
	"monban/verdict"
)

// A RuntimeError says that a policy would break the Go runtime itself. The preset @go-runtime has all that the runtime
// can need.
type RuntimeError struct {
	Arch    abi.Arch
	Missing []string   // the calls that it needs and the policy refuses, in order
	Action  bpf.Action // where nothing is missing: an answer that the runtime cannot live with
}

func (e *RuntimeError) Error() string {
	if e.Missing == nil {
		return fmt.Sprintf("this policy would break the Go runtime: %s ends one thread and leaves the others waiting for it: write kill_process", e.Action)
	}
	return fmt.Sprintf("this policy would break the Go runtime: it needs %s: write include @go-runtime", strings.Join(e.Missing, " "))
}

// A SupervisorError says that a policy leaves calls to a supervisor or tracer, and that there is none.
type SupervisorError struct{ Action bpf.Action }

func (e *SupervisorError) Error() string {
	return fmt.Sprintf("the policy says %s, and nobody is there to answer", e.Action)
}

// needs is what every Go program needs while it runs, whatever it does: less than @go-runtime, which also has what only
// some do (profiles, cgo) and what runtimes of other versions call.
//
//go:embed runtime.gate
var needs []byte

// livable checks a verdict against what the Go runtime needs on the architecture.
func livable(v verdict.Verdict, native abi.Arch) error {
	own := v.On(native, bpf.Allow)
	for a := range own.Actions() {
		switch {
		case a == bpf.KillThread:
			return &RuntimeError{Arch: native, Action: a}
		case a.Asks():
			return &SupervisorError{a}
		}
	}
	p, err := lang.Load("runtime.gate", needs, lang.Options{Archs: []abi.Arch{native}, Native: native})
	if err != nil {
		return err
	}
	missing, err := lacking(p, own, native)
	if err != nil || missing == nil {
		return err
	}
	return &RuntimeError{Arch: native, Missing: missing}
}

// lacking are the calls of which a policy lets something pass that a verdict refuses.
func lacking(p *policy.Policy, v verdict.Verdict, a abi.Arch) (calls []string, err error) {
	must, err := p.Verdict(v.Space())
	if err != nil {
		return nil, err
	}
	for nr, call := range a.Calls() {
		_, broken := verdict.Violation(must.Call(a, nr), v.Call(a, nr), func(need, got bpf.Action) bool {
			return need == bpf.Allow && !got.Passes()
		})
		if broken {
			calls = append(calls, call)
		}
	}
	slices.Sort(calls)
	return calls, nil
}
