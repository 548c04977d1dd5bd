package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/gate"
	"monban/inspect"
	"monban/internal/plain"
	"monban/policy"
	"monban/record"
	"monban/verdict"
)

// The JSON of record --check.
type (
	checkJSON struct {
		Gate    string        `json:"gate"`
		Allows  bool          `json:"allows"`
		Made    uint64        `json:"made"`
		Lost    uint64        `json:"lost"`
		Lacking []lackingJSON `json:"lacking"`
		Unused  []unusedJSON  `json:"unused"`
	}
	lackingJSON struct {
		Arch     string   `json:"arch"`
		Name     string   `json:"name,omitempty"`
		Number   uint32   `json:"number"`
		Example  string   `json:"example,omitempty"`
		Action   string   `json:"action,omitempty"`
		Count    uint64   `json:"count"`
		Programs []string `json:"programs,omitempty"`
	}
	unusedJSON struct {
		Arch  string   `json:"arch"`
		Calls []string `json:"calls"`
	}
)

// checked holds a run against a gate: what it lacks, and what it allows that the run never made.
func checked(cmd *cobra.Command, rec *record.Recording, g *gate.Gate, asJSON bool) error {
	j := checkJSON{Gate: g.Name, Made: rec.Made, Lost: rec.Lost}
	archs, err := g.Archs()
	if err != nil {
		return err
	}
	_, err = gate.Exact(g, func(v verdict.Verdict) (_ bool, err error) {
		if j.Lacking, err = lackingOf(rec, v); err != nil {
			return false, err
		}
		j.Unused, err = unusedOf(rec, v, archs)
		return true, err
	})
	if err != nil {
		return err
	}
	j.Allows = len(j.Lacking) == 0 && rec.Lost == 0 // what was lost may be what it lacks
	var status error
	if !j.Allows {
		status = exit{exitFindings, nil}
	}
	w := cmd.OutOrStdout()
	if asJSON {
		if err := printJSON(w, "record-check/1", j); err != nil {
			return err
		}
		return status
	}
	for _, l := range j.Lacking {
		what := fmt.Sprintf("%s on %s: %s, made %s", l.Example, l.Arch, l.Action, plain.Count(l.Count, "time"))
		if l.Example == "" {
			what = fmt.Sprintf("%s on %s, made %s: libc falls back to clone only from errno(ENOSYS)", l.Name, l.Arch, plain.Count(l.Count, "time"))
		}
		plain.Paragraph(w, "  ", "%s %s", styled(w, red, "refused"), what)
	}
	for _, u := range j.Unused {
		plain.Paragraph(w, "  ", "allowed on %s and never made: %s", u.Arch, strings.Join(u.Calls, " "))
	}
	switch {
	case len(j.Lacking) > 0:
		plain.Fprintf(w, "%s: it lacks %s of this run\n", g.Name, plain.Count(len(j.Lacking), "call"))
	case rec.Lost > 0:
		plain.Fprintf(w, "%s: it allows all %s that were seen of this run; it lost %s\n", g.Name, plain.Count(len(rec.Calls), "call"), plain.Count(rec.Lost, "event"))
	default:
		plain.Fprintf(w, "%s: it allows all %s of this run\n", g.Name, plain.Count(len(rec.Calls), "call"))
	}
	return status
}

func lackingOf(rec *record.Recording, v verdict.Verdict) ([]lackingJSON, error) {
	out := []lackingJSON{}
	lacking, err := rec.Lacking(v)
	if err != nil {
		return nil, err
	}
	for _, a := range lacking.Archs(abi.Native()) {
		for _, k := range lacking.Keys(a) {
			c := lacking.Calls[k]
			name, _ := a.Name(k.Nr)
			out = append(out, lackingJSON{a.String(), name, k.Nr, policy.FormatCall(a, &c.Example), policy.ActionOn(a, v.At(&c.Example)).String(), c.Count,
				slices.Sorted(maps.Keys(c.Programs))})
		}
	}
	for _, a := range slices.Sorted(maps.Keys(lacking.Clone3)) {
		nr, _ := a.Number("clone3")
		out = append(out, lackingJSON{Arch: a.String(), Name: "clone3", Number: nr, Count: lacking.Clone3[a]})
	}
	return out, nil
}

func unusedOf(rec *record.Recording, v verdict.Verdict, archs []abi.Arch) ([]unusedJSON, error) {
	out := []unusedJSON{}
	for _, a := range archs {
		s, err := inspect.Summarise(v, a)
		if err != nil {
			return nil, err
		}
		var calls []string
		for _, call := range s.Calls {
			_, made := rec.Calls[record.Key{Arch: a, Nr: call.Number}]
			if !made && call.Passes() != inspect.Never && !record.AnyRun(call.Name) && (call.Name != "clone3" || rec.Clone3[a] == 0) {
				calls = append(calls, call.Name)
			}
		}
		if calls != nil {
			out = append(out, unusedJSON{a.String(), calls})
		}
	}
	return out, nil
}
