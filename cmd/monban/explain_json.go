package main

import (
	"monban/abi"
	"monban/inspect"
	"monban/policy"
	"monban/policy/lang"
)

type archObject struct {
	Arch        string         `json:"arch"`
	Actions     map[string]int `json:"actions"`     // calls that always get the action
	Conditional []string       `json:"conditional"` // calls whose arguments decide
	Total       int            `json:"total"`
	Calls       []callObject   `json:"calls"`
	Against     againstObject  `json:"container"`
}

type callObject struct {
	Name    string    `json:"name"`
	Number  uint32    `json:"number"`
	Purpose string    `json:"purpose"`
	Action  string    `json:"action"` // "depends" where there are Cases
	Cases   []outcome `json:"cases,omitempty"`
}

type againstObject struct {
	Equal bool           `json:"equal"`
	More  []partlyObject `json:"more"`
	Fewer []partlyObject `json:"fewer"`
}

type partlyObject struct {
	Name string `json:"name"`
	When string `json:"when,omitempty"`
}

func partlyObjects(calls []inspect.Partly) []partlyObject {
	out := []partlyObject{}
	for _, c := range calls {
		out = append(out, partlyObject{c.Call, c.When})
	}
	return out
}

// caseObjects are the answers of which one is given: a single action, or "depends" and its cases.
func caseObjects(a abi.Arch, cases []inspect.Case) (action string, out []outcome) {
	if len(cases) == 1 {
		return policy.ActionOn(a, cases[0].Action).String(), nil
	}
	for _, c := range cases {
		out = append(out, outcome{policy.ActionOn(a, c.Action).String(), c.When})
	}
	return "depends", out
}

func (e *explained) object() any {
	out := struct {
		Gate     string          `json:"gate"`
		Kind     string          `json:"kind"`
		Archs    []archObject    `json:"archs"`
		Default  string          `json:"default,omitempty"`
		Unknown  string          `json:"unknown,omitempty"`
		BadArch  string          `json:"badarch,omitempty"` // "" where the architecture is not checked: see Notes
		Notes    []string        `json:"notes,omitempty"`
		Findings []findingObject `json:"findings"`
		Policy   string          `json:"policy,omitempty"`
	}{Gate: e.gate.Name, Kind: e.gate.Kind, Notes: e.notes, Findings: findingObjects(e.gate, e.findings)}
	if p := e.policy; p != nil {
		out.Default, out.Unknown, out.Policy = p.Default.String(), p.Unknown.String(), lang.Print(p)
	} else {
		out.Notes = append(out.Notes, e.wordless.Error())
	}
	out.BadArch = e.elsewhere
	for _, a := range e.archs {
		s := e.summaries[a]
		o := archObject{Arch: a.String(), Actions: map[string]int{}, Conditional: []string{}, Total: len(s.Calls)}
		for _, c := range s.Calls {
			k := callObject{Name: c.Name, Number: c.Number, Purpose: c.Purpose}
			if k.Action, k.Cases = caseObjects(a, c.Cases); c.Depends() {
				o.Conditional = append(o.Conditional, c.Name)
			} else {
				o.Actions[k.Action]++
			}
			o.Calls = append(o.Calls, k)
		}
		if c := e.container[a]; c != nil {
			o.Against = againstObject{c.Equal, partlyObjects(c.More), partlyObjects(c.Fewer)}
		}
		out.Archs = append(out.Archs, o)
	}
	return out
}

func storyObject(call string, stories []inspect.Story) any {
	type rule struct {
		Where string `json:"where"`
		Text  string `json:"text"`
	}
	type story struct {
		Arch    string    `json:"arch"`
		Number  *uint32   `json:"number,omitempty"`
		Action  string    `json:"action,omitempty"`
		Cases   []outcome `json:"cases,omitempty"`
		Mux     string    `json:"mux,omitempty"` // the multiplexer's call that makes it
		Through string    `json:"through,omitempty"`
		Behind  []outcome `json:"through_cases,omitempty"`
		Rules   []rule    `json:"rules,omitempty"`
	}
	out := struct {
		Call    string  `json:"call"`
		Purpose string  `json:"purpose"`
		Archs   []story `json:"archs"`
	}{call, inspect.Purpose(call), []story{}}
	for _, st := range stories {
		o := story{Arch: st.Arch.String()}
		if st.Direct {
			o.Number = &st.Number
			o.Action, o.Cases = caseObjects(st.Arch, st.Cases)
		}
		if st.Mux != nil {
			o.Mux = muxText(st.Mux)
			o.Through, o.Behind = caseObjects(st.Arch, st.Behind)
		}
		for _, r := range st.Rules {
			if r.Pos.Line > 0 {
				o.Rules = append(o.Rules, rule{r.Pos.String(), r.String()})
			}
		}
		out.Archs = append(out.Archs, o)
	}
	return out
}
