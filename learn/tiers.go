package learn

import (
	"slices"

	"monban/abi"
	"monban/gate"
	"monban/inspect"
	"monban/internal/plain"
	"monban/policy"
	"monban/policy/lang"
	"monban/record"
	"monban/scan"
)

// Tiers is the gate of a run and of a scan of the programs that took part in it: what was seen is allowed, what can be
// reached beside gets an action of its own. Errors are those of the recording's policy, or of gate.Exact.
func Tiers(rec *record.Recording, r *scan.Result, o Options, reachable policy.Action) (*lang.File, error) {
	f := Recording(rec, o)
	p, err := f.Resolve(lang.Options{Native: o.Native})
	if err != nil {
		return nil, err
	}
	s, err := inspect.Summarise(gate.OfPolicy(f.Name, p), r.Arch)
	if err != nil {
		return nil, err
	}
	settled := map[string]bool{"clone3": true} // answered so that libc takes clone
	for _, call := range s.Calls {
		settled[call.Name] = settled[call.Name] || call.Passes() == inspect.Always
	}
	unseen := slices.DeleteFunc(names(r), func(name string) bool { return settled[name] })
	if r.Arch != o.Native || len(unseen) == 0 {
		return f, nil
	}
	var on []abi.Arch
	if len(rec.Archs(o.Native)) > 1 {
		on = []abi.Arch{r.Arch}
	}
	f.Section("", &lang.Comment{Text: lang.Remark("Reachable, never seen in this run (or not with such arguments): %s.", plain.Count(len(unseen), "call"))})
	byPurpose(f, on, reachable, unseen)
	return f, nil
}
