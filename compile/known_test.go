package compile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/policy/lang"
	"monban/verdict"
)

// A knownBug is what some version of libseccomp gets wrong: rules, a call, and what the call should get.
type knownBug struct {
	ID, Kind, Native, Default, Want, Libseccomp, Note, Recording string

	Optimize []int
	Rules    []knownRule
	Input    *struct {
		Arch string
		Sys  uint32
		Args []hexNumber
	}
}

type knownRule struct {
	Action string
	Sys    uint32
	Args   []struct {
		Arg int
		Op  string
		A   hexNumber
	}
}

type hexNumber uint64

func (n *hexNumber) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseUint(strings.Trim(string(b), `"`), 0, 64)
	*n = hexNumber(v)
	return err
}

var knownActions = map[string]action{
	"ALLOW":        {text: "allow", do: bpf.Allow},
	"KILL":         {text: "kill_thread", do: bpf.KillThread},
	"KILL_PROCESS": {text: "kill_process", do: bpf.KillProcess},
}

var knownOps = map[string]string{"EQ": "==", "NE": "!=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}

func knownBugs(t *testing.T) []knownBug {
	dir := os.Getenv("MONBAN_CORPUS")
	if dir == "" {
		t.Skip("needs MONBAN_CORPUS, the directory of other projects' policies")
	}
	b, err := os.ReadFile(filepath.Join(dir, "libseccomp", "known-libseccomp-bugs.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := json.NewDecoder(bytes.NewReader(b))
	lines.DisallowUnknownFields()
	var bugs []knownBug
	for lines.More() {
		var bug knownBug
		if err := lines.Decode(&bug); err != nil {
			t.Fatal(err)
		}
		if bug.Rules == nil {
			if bug.Rules = recorded[path.Base(bug.Recording)]; bug.Rules == nil {
				t.Fatalf("%s: no rules, and %q is not known", bug.ID, bug.Recording)
			}
		}
		bugs = append(bugs, bug)
	}
	if len(bugs) < 6 {
		t.Fatalf("only %d known bugs", len(bugs))
	}
	return bugs
}

// recorded are the rules of libseccomp's tests that are named in place of rules.
var recorded = map[string][]knownRule{"05-sim-long_jumps.jsonl": longJumps()}

// longJumps is the policy of 05-sim-long_jumps on s390x: brk and close always, chdir for a hundred values of its first
// argument, a hundred calls whenever theirs isn't 0.
func longJumps() []knownRule {
	var rules []knownRule
	add := func(sys uint32, args string) {
		r := knownRule{Action: "ALLOW", Sys: sys}
		if err := json.Unmarshal([]byte(args), &r.Args); err != nil {
			panic(err)
		}
		rules = append(rules, r)
	}
	add(45, "[]")
	for i := range 100 {
		add(12, fmt.Sprintf(`[{"arg":0,"op":"EQ","a":%d},{"arg":1,"op":"NE","a":0},{"arg":2,"op":"LT","a":%d}]`, i, uint64(1)<<63-1))
	}
	for sys := range uint32(100) {
		add(100+sys, `[{"arg":0,"op":"NE","a":0}]`)
	}
	add(6, "[]")
	return rules
}

func (b *knownBug) arch(t *testing.T) abi.Arch {
	name, _, _ := strings.Cut(b.Native, " ")
	a, err := abi.ParseArch(name)
	if err != nil {
		t.Fatalf("%s: %v", b.ID, err)
	}
	return a
}

// gate is the bug's policy. libseccomp compares registers whole.
func (b *knownBug) gate(t *testing.T) *gate {
	def, ok := knownActions[b.Default]
	if !ok {
		t.Fatalf("%s: default %q", b.ID, b.Default)
	}
	g := &gate{archs: []abi.Arch{b.arch(t)}, wide: true, def: def, unknown: def, bad: def}
	for _, r := range b.Rules {
		it := item{call: "any", cond: &cond{op: "&&"}}
		it.cond.subs = append(it.cond.subs, cond{op: "==", x: operand{name: "nr"}, set: []interval{same(uint64(r.Sys))}})
		for _, a := range r.Args {
			op, ok := knownOps[a.Op]
			if !ok {
				t.Fatalf("%s: operator %q", b.ID, a.Op)
			}
			c := cond{op: op, x: operand{name: fmt.Sprintf("arg%d", a.Arg)}, set: []interval{same(uint64(a.A))}}
			it.cond.subs = append(it.cond.subs, c)
		}
		do, ok := knownActions[r.Action]
		if !ok {
			t.Fatalf("%s: action %q", b.ID, r.Action)
		}
		g.lines = append(g.lines, line{do: do, items: []item{it}})
	}
	return g
}

func same(n uint64) interval { return interval{constant{n: n}, constant{n: n}} }

// calls are the bug's own call, first, and all around the constants of its rules.
func (b *knownBug) calls(g *gate) []bpf.Data {
	token := g.archs[0].Token()
	var calls []bpf.Data
	if b.Input != nil {
		d := bpf.Data{Arch: token, Nr: b.Input.Sys}
		for i, a := range b.Input.Args {
			d.Args[i] = uint64(a)
		}
		calls = append(calls, d)
	}
	e := g.edges(g.archs[0])
	few := func(s []uint64) []uint64 { // of hundreds of values the lowest and the highest
		slices.Sort(s)
		s = slices.Compact(s)
		return slices.Delete(s, min(10, len(s)), max(min(10, len(s)), len(s)-10))
	}
	numbers := []uint64{0}
	for _, r := range b.Rules {
		numbers = append(numbers, uint64(r.Sys), uint64(r.Sys)+1)
	}
	for _, nr := range few(numbers) {
		for _, x := range few(append(e[0], 0, 1<<31, 1<<32, ^uint64(0))) {
			for _, y := range few(append(e[1], 0, ^uint64(0))) {
				for _, z := range few(append(e[2], 0, ^uint64(0))) {
					calls = append(calls, bpf.Data{Arch: token, Nr: uint32(nr), Args: [6]uint64{x, y, z}})
				}
			}
		}
	}
	return calls
}

// What libseccomp gets wrong, or never ends on: the program answers as wanted, and to all calls around as the rules
// say.
func TestKnownBugs(t *testing.T) {
	for _, bug := range knownBugs(t) {
		g := bug.gate(t)
		order := g.archs[0].ByteOrder()
		p, err := lang.Load(bug.ID, []byte(g.String()), lang.Options{})
		if err != nil {
			t.Fatal(err)
		}
		v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
		if err != nil {
			t.Fatal(err)
		}
		program, err := Program(v, order, Options{})
		if err != nil {
			t.Errorf("%s: %v", bug.ID, err)
			continue
		}
		calls := bug.calls(g)
		for i := range calls {
			d := &calls[i]
			want := g.answer(d)
			if i == 0 && bug.Input != nil && want != knownActions[bug.Want].do {
				t.Errorf("%s: the rules say %v, want %s", bug.ID, want, bug.Want)
			}
			if got, exact := program.Run(d, order).Canonical(), v.At(d); got != want || exact != want {
				t.Errorf("%s: the program says %v, the verdict %v, the rules %v for %+v", bug.ID, got, exact, want, *d)
				break
			}
		}
		if bug.Input == nil && bug.Want != "both rules added" {
			t.Errorf("%s: wants %q, which is not tested", bug.ID, bug.Want)
		}
		t.Logf("%s: %d rules, %d instructions, %d calls", bug.ID, len(bug.Rules), len(program), len(calls))
	}
}
