package main

import (
	"cmp"
	"context"
	"errors"

	"monban/abi"
	"monban/gate"
	"monban/learn"
	"monban/record"
	"monban/verdict"
)

// run makes the recording, and writes its gate or holds it against one.
func (p *recordPlan) run(ctx context.Context) error {
	if len(p.command) == 0 && !p.attach.asked && len(p.denied.sources) == 0 {
		return exit{exitUsage, errors.New("no command given (try: monban record -o ls.gate -- ls)")}
	}
	o, err := p.learning.options()
	if err != nil {
		return err
	}
	earlier, held, err := p.gates()
	if err != nil {
		return err
	}
	var old *learn.Earlier
	if earlier != nil {
		if old, err = earlierGate(earlier, p.learning.name(), o.Native); err != nil {
			return exit{exitUsage, err}
		}
	}
	against, err := p.against(cmp.Or(earlier, held))
	if err != nil {
		return err
	}
	if err := p.fits(held != nil); err != nil {
		return err
	}
	rec, result, err := p.record(ctx, against)
	if err != nil {
		return err
	}
	if held != nil {
		if err := checked(p.out, rec, held, p.asJSON); err != nil || result == (record.Result{}) {
			return err
		}
		return exit{statusOf(result), errors.New("the program failed: what it did not reach is not checked")}
	}
	f := learn.Recording(rec, o)
	if old != nil {
		both, more, err := old.Add(rec, o)
		if err != nil {
			return inSpare(p.out, cmp.Or(p.learning.out, "monban")+".gate", []byte(f.String()), exit{exitUsage, err})
		}
		if len(more) > 0 {
			archs, _ := earlier.Archs()
			say("%s spoke for %s only; the new gate speaks for %s, too", earlier.Name, abi.Join(archs, ", "), abi.Join(more, ", "))
		}
		f = both
	}
	if err := p.learning.keep(p.out, f, o.Native); err != nil {
		return err
	}
	if status := statusOf(result); status != 0 {
		return exit{status, nil}
	}
	return nil
}

// gates reads the gate that is added to, or the one that the run is held against.
func (p *recordPlan) gates() (earlier, held *gate.Gate, err error) {
	if p.known != "" {
		if earlier, err = p.flags.read(p.known); err != nil {
			return nil, nil, err
		}
	}
	if p.check != "" {
		held, err = p.flags.read(p.check)
	}
	return earlier, held, err
}

// against is what the run is held against, if anything; a gate that looks at what eBPF does not see is recorded by
// ptrace.
func (p *recordPlan) against(g *gate.Gate) (*verdict.Verdict, error) {
	if g == nil {
		return nil, nil
	}
	archs, err := g.Archs()
	if err != nil {
		return nil, err
	}
	elsewhere, err := gate.Exact(g, func(v verdict.Verdict) (bool, error) { return record.LooksElsewhere(v, archs) })
	if err != nil {
		return nil, err
	}
	if elsewhere && p.learning.backend == "" && !p.attach.asked {
		p.learning.backend = "ptrace" // it sees each call with all of its arguments
	}
	v, err := g.Verdict()
	return &v, err
}

// fits says which flags do not go together.
func (p *recordPlan) fits(held bool) error {
	wrong := ""
	switch {
	case held && p.written:
		wrong = "--check writes nothing: leave out -o, or add to the gate with --known"
	case p.asJSON && !held:
		wrong = "--json is for --check: a gate has formats (--to)"
	case p.learning.backend == "notify" && held:
		wrong = "--check needs a back end that sees all calls: ebpf or ptrace"
	case len(p.denied.sources) > 0 && (len(p.command) > 0 || p.attach.asked):
		wrong = "--from-denials reads a log: it takes no command"
	case p.attach.asked && (len(p.command) > 0 || p.learning.backend == "ptrace" || p.learning.backend == "notify"):
		wrong = "what runs already is recorded by eBPF, and without a command"
	default:
		return nil
	}
	return exit{exitUsage, errors.New(wrong)}
}

// record makes the recording: of a log, of what runs already, or of a command.
func (p *recordPlan) record(ctx context.Context, against *verdict.Verdict) (rec *record.Recording, result record.Result, err error) {
	switch {
	case len(p.denied.sources) > 0:
		rec, err = p.denied.read()
	case p.attach.asked:
		rec, err = p.attach.record(ctx)
	default:
		return recorded(ctx, p.command, p.learning.backend, against, false)
	}
	return rec, result, err
}
