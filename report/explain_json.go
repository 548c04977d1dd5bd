package report

import (
	"io"
	"slices"

	"monban/abi"
	"monban/inspect"
	"monban/policy/lang"
)

// An outcome is one of several answers, for machines.
type outcome struct {
	Action string `json:"action"`
	When   string `json:"when"` // a condition of the policy language, or inspect.Unreadable
}

// outcomes are the answers of which one is given: a single action, or "depends" and its cases.
func outcomes(a abi.Arch, cases []inspect.Case) (do string, out []outcome) {
	if len(cases) == 1 {
		return action(a, cases[0].Action), nil
	}
	for _, c := range cases {
		out = append(out, outcome{action(a, c.Action), c.When.String()})
	}
	return "depends", out
}

// A subset is a call, for machines.
type subset struct {
	Name string `json:"name"`
	When string `json:"when,omitempty"`
}

func subsets(calls []inspect.Subset) []subset {
	out := []subset{}
	for _, c := range calls {
		out = append(out, subset{c.Call, c.When.String()})
	}
	return out
}

// ExplanationJSON writes monban/explain/2.
func ExplanationJSON(w io.Writer, e *inspect.Explanation) error {
	type call struct {
		Name    string    `json:"name"`
		Number  uint32    `json:"number"`
		Purpose string    `json:"purpose"`
		Action  string    `json:"action"` // "depends" where there are Cases
		Cases   []outcome `json:"cases,omitempty"`
	}
	type comparison struct {
		Equal bool     `json:"equal"`
		More  []subset `json:"more"`
		Fewer []subset `json:"fewer"`
	}
	type arch struct {
		Arch        string         `json:"arch"`
		Actions     map[string]int `json:"actions"`     // calls that always get the action
		Conditional []string       `json:"conditional"` // calls whose arguments decide
		Total       int            `json:"total"`
		Calls       []call         `json:"calls"`
		Container   comparison     `json:"container"`
	}
	out := struct {
		Gate     string    `json:"gate"`
		Kind     string    `json:"kind"`
		Archs    []arch    `json:"archs"`
		Default  string    `json:"default,omitempty"`
		Unknown  string    `json:"unknown,omitempty"`
		BadArch  string    `json:"badarch,omitempty"` // "" where the architecture is not checked: see Notes
		Notes    []string  `json:"notes,omitempty"`
		Findings []finding `json:"findings"`
		Policy   string    `json:"policy,omitempty"`
	}{Gate: e.Gate.Name, Kind: e.Gate.Kind, Notes: e.Notes, Findings: findings(e.Gate, e.Findings)}
	if p := e.Policy; p != nil {
		out.Default, out.Unknown, out.Policy = p.Default.String(), p.Unknown.String(), lang.Print(p)
	} else {
		out.Notes = append(slices.Clone(out.Notes), e.Wordless.Error())
	}
	if e.Told {
		out.BadArch = action(e.Archs[0], e.Elsewhere)
	}
	for _, v := range e.Views {
		o := arch{Arch: v.Arch.String(), Actions: map[string]int{}, Conditional: []string{}, Total: len(v.Calls)}
		for _, c := range v.Calls {
			k := call{Name: c.Name, Number: c.Number, Purpose: c.Purpose}
			if k.Action, k.Cases = outcomes(v.Arch, c.Cases); c.Depends() {
				o.Conditional = append(o.Conditional, c.Name)
			} else {
				o.Actions[k.Action]++
			}
			o.Calls = append(o.Calls, k)
		}
		if c := v.Known; c != nil {
			o.Container = comparison{c.Equal, subsets(c.More), subsets(c.Fewer)}
		}
		out.Archs = append(out.Archs, o)
	}
	return JSON(w, "explain/2", out)
}
