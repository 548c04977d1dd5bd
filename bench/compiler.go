package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"monban/abi"
	"monban/bpf"
	"monban/compile"
	"monban/verdict"
)

// errCannot says that a compiler has no way to express a policy. It is a finding, not a failure.
var errCannot = errors.New("cannot")

// A compiler is one way from rules to a program.
type compiler struct {
	name  string
	runc  bool // its programs have runc's meaning: other architectures lose their thread, numbers that are too new get ENOSYS
	build func(*Rules) (built, error)
}

// built is what a compiler made of a policy.
type built struct {
	program bpf.Program
	took    time.Duration // from the compiler's own form of the policy, in memory, to the program
	unknown []gap         // what was left out because the compiler doesn't know it
}

// A gap is a call that a compiler's own table lacks on an architecture.
type gap struct {
	call string
	arch abi.Arch
}

// compilers are all that are compared. Each is set against the row of Monban before it that has the same meaning.
func compilers() []compiler {
	return []compiler{
		monban(false),
		libseccompCompiler(1),
		libseccompCompiler(2),
		gvisorCompiler(),
		elasticCompiler(),
		monban(true),
		runcCompiler(),
	}
}

const (
	monbanName     = "Monban"
	monbanRuncName = "Monban, as runc"
)

// monban compiles as the library does, proof included.
func monban(runc bool) compiler {
	name := monbanName
	if runc {
		name = monbanRuncName
	}
	return compiler{name, runc, func(r *Rules) (built, error) {
		parts, err := monbanParts(r, runc)
		return built{program: parts.program, took: parts.meaning + parts.compile}, err
	}}
}

// parts is where Monban's time goes.
type parts struct {
	program                 bpf.Program
	meaning, compile, proof time.Duration // compile has the proof in it
}

func monbanParts(r *Rules, runc bool) (p parts, err error) {
	pol, err := r.policy(runc, nil)
	if err != nil {
		return p, err
	}
	start := time.Now()
	v, err := pol.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		return p, err
	}
	p.meaning = time.Since(start)
	start = time.Now()
	if p.program, err = compile.Program(v, binary.LittleEndian, compile.Options{}); err != nil {
		return p, err
	}
	p.compile = time.Since(start)
	// A second proof in a space of its own, as nothing of the first may help it.
	if v, err = pol.Verdict(verdict.NewSpace(verdict.DefaultBudget)); err != nil {
		return p, err
	}
	start = time.Now()
	err = compile.Prove(p.program, v, binary.LittleEndian)
	p.proof = time.Since(start)
	return p, err
}

// several refuses policies for more than one architecture, for compilers that make programs for the native one only.
func several(r *Rules) error {
	if len(r.Archs) > 1 {
		return fmt.Errorf("%w: one architecture only", errCannot)
	}
	return nil
}

// moduleVersion is the version of a module that this program was built with.
func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if i := slices.IndexFunc(info.Deps, func(m *debug.Module) bool { return m.Path == path }); i >= 0 {
		return info.Deps[i].Version
	}
	return "unknown"
}
