package monban_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/compile"
	"monban/expect"
	"monban/format/rows"
	"monban/gate"
	"monban/inspect"
	"monban/learn"
	"monban/lint"
	"monban/policy"
	"monban/policy/decompile"
	"monban/policy/lang"
	"monban/record"
	"monban/report/page"
	"monban/verdict"
)

// budgeted are the rooms that work on verdicts for others. Whatever they export is in answers.
var budgeted = []string{"policy", "policy/decompile", "gate", "lint", "inspect", "report", "report/page", "expect", "format/rows", "compile", "record", "learn"}

// A meant policy is the verdict of a policy.
type meant struct {
	p     *policy.Policy
	v     verdict.Verdict
	q     *policy.Policy
	other verdict.Verdict // of q, in the same space
}

// gate is the policy as a gate in the verdict's space.
func (m meant) gate() *gate.Gate { return gate.OfPolicy("x", m.p).In(m.v.Space()) }

// second is the other policy as a gate in the same space.
func (m meant) second() *gate.Gate { return gate.OfPolicy("y", m.q).In(m.v.Space()) }

// bpf is the same as what it was compiled to.
func (m meant) bpf() *gate.Gate {
	return gate.OfPrograms("x", binary.LittleEndian, tightFilters()...).In(m.v.Space())
}

var tightFilters = sync.OnceValue(func() []bpf.Program {
	p, err := lang.Load("tight.gate", []byte(tight), lang.Options{})
	if err != nil {
		panic(err)
	}
	filters, err := gate.OfPolicy("x", p).Filters()
	if err != nil {
		panic(err)
	}
	return filters
})

// answers are what the rooms export that looks at a verdict or makes one, by its name there, and what it says, as text.
var answers = map[string]func(m meant) (string, error){
	"policy.Policy.Verdict": func(m meant) (string, error) {
		v, err := m.p.Verdict(m.v.Space())
		return fmt.Sprint(err == nil && v == m.v), err
	},
	"decompile.Policy": func(m meant) (string, error) {
		p, notes, err := decompile.Policy("x", m.v, abi.X86_64, nil)
		if err != nil {
			return "", err
		}
		return fmt.Sprint(lang.Print(p), notes), nil
	},
	"decompile.Archs": func(m meant) (string, error) { return text(decompile.Archs(m.v, abi.X86_64)) },
	"decompile.Outcomes": func(m meant) (string, error) {
		out, err := decompile.Outcomes(abi.X86_64, "ioctl", ioctl(m.v))
		return outcomes(out), err
	},
	"decompile.Condition": func(m meant) (string, error) {
		var when verdict.Node
		s := m.v.Space()
		if err := s.Do(func() error { when = s.When(ioctl(m.v), bpf.Allow); return nil }); err != nil {
			return "", err
		}
		e, err := decompile.Condition(abi.X86_64, "ioctl", s, when)
		if err != nil {
			return "", err
		}
		return e.String(), nil
	},
	"policy.Call.Ask":       func(m meant) (string, error) { _, err := asked(m); return "", err },
	"policy.Answer.Actions": func(m meant) (string, error) { return ask(m, (*policy.Answer).Actions) },
	"policy.Answer.When": func(m meant) (string, error) {
		return ask(m, func(a *policy.Answer) (string, error) {
			when, err := a.When(bpf.Allow)
			if err != nil {
				return "", err
			}
			return text(decompile.Condition(abi.X86_64, "ioctl", m.v.Space(), when))
		})
	},
	"decompile.Answers": func(m meant) (string, error) {
		return ask(m, func(a *policy.Answer) (string, error) { o, err := decompile.Answers(a); return outcomes(o), err })
	},
	"policy.Answer.Example": func(m meant) (string, error) {
		return ask(m, func(a *policy.Answer) (string, error) {
			d, ok, err := a.Example(func(do bpf.Action) bool { return do == bpf.Allow })
			return fmt.Sprint(d, ok), err
		})
	},
	"policy.Answer.Left": func(m meant) (string, error) {
		return ask(m, func(a *policy.Answer) (bool, error) { return a.Left().Space() == m.v.Space(), nil })
	},
	"policy.Decider.Chain": func(m meant) (string, error) {
		c, err := m.p.Decider().Chain(m.v.Space(), abi.X86_64, nr("ioctl"))
		if err != nil {
			return "", err
		}
		return fmt.Sprint(c.Whole() == ioctl(m.v)), nil
	},
	"policy.Chain.Whole": func(m meant) (string, error) { return "", nil }, // no work
	"policy.Chain.Drop":  func(m meant) (string, error) { return "", nil }, // no work
	"policy.Chain.Matters": func(m meant) (string, error) {
		c, err := m.p.Decider().Chain(m.v.Space(), abi.X86_64, nr("keyctl"))
		if err != nil {
			return "", err
		}
		var out []bool
		for i := range slices.Backward(m.p.Rules) {
			matters, err := c.Matters(i)
			if err != nil {
				return "", err
			}
			out = append(out, matters)
		}
		return fmt.Sprint(out), nil
	},
	"gate.Gate.Verdict": func(m meant) (string, error) {
		v, err := m.gate().Verdict()
		return fmt.Sprint(err == nil && v == m.v), err
	},
	"gate.Exact": func(m meant) (string, error) {
		return text(gate.Exact(m.gate(), func(v verdict.Verdict) (bool, error) { return v == m.v, nil }))
	},
	"gate.Gate.Archs":   func(m meant) (string, error) { return text(m.bpf().Archs()) },
	"gate.Gate.Filters": func(m meant) (string, error) { return text(m.gate().Filters()) },
	"gate.Gate.Compile": func(m meant) (string, error) { return text(m.gate().Compile(compile.Options{})) },
	"gate.Gate.Slice": func(m meant) (string, error) {
		v, err := m.bpf().Slice(m.v.Space(), abi.X86_64, nr("ioctl"))
		return fmt.Sprint(err == nil && v == ioctl(m.v)), err
	},
	"gate.Stack": func(m meant) (string, error) { // in a space of its own
		s, err := gate.Stack("x", m.gate(), m.bpf())
		if err != nil {
			return "", err
		}
		v, err := s.In(m.v.Space()).Verdict()
		return fmt.Sprint(err == nil && v == m.v), err
	},
	"gate.Gate.For": func(m meant) (string, error) {
		g, err := m.gate().For(abi.X86_64)
		if err != nil {
			return "", err
		}
		_, err = g.Verdict()
		return "", err
	},
	"gate.Gate.ByteOrder": func(m meant) (string, error) { return "", nil }, // no work
	"gate.Gate.Decide":    func(m meant) (string, error) { return "", nil }, // no work on verdicts
	"gate.Gate.Named":     func(m meant) (string, error) { return "", nil }, // no work
	"gate.Gate.In":        func(m meant) (string, error) { return "", nil }, // no work
	"gate.Share": func(m meant) (string, error) { // two that have no space yet, in one of its own
		all, err := gate.Share(gate.OfPolicy("x", m.p), gate.OfPolicy("x", m.p))
		if err != nil {
			return "", err
		}
		v, err := all[0].Verdict()
		if err != nil {
			return "", err
		}
		w, err := all[1].Verdict()
		return fmt.Sprint(err == nil && v == w), err
	},
	"gate.Together": func(m meant) (string, error) { return "", nil }, // no work
	"lint.Run": func(m meant) (string, error) {
		r, err := lint.Run(m.gate(), lint.Options{})
		if err != nil {
			return "", err
		}
		return fmt.Sprint(len(r.Findings), len(r.Ignored)), nil
	},
	"lint.Find": func(m meant) (string, error) {
		found, err := lint.Find(m.gate())
		var out []string
		for _, f := range found {
			out = append(out, fmt.Sprint(f.ID, f.Title, f.Calls, f.Archs, f.Call, f.Action, f.Pos))
		}
		return strings.Join(out, "\n"), err
	},
	"inspect.Diff":      func(m meant) (string, error) { return classes(inspect.Diff(m.gate(), m.second())) },
	"inspect.Excess":    func(m meant) (string, error) { return classes(inspect.Excess(m.gate(), m.second())) },
	"inspect.Summarise": func(m meant) (string, error) { return text(inspect.Summarise(m.gate(), abi.X86_64)) },
	"inspect.Compare":   func(m meant) (string, error) { return text(inspect.Compare(m.gate(), m.second(), abi.X86_64)) },
	"inspect.Tell": func(m meant) (string, error) {
		stories, err := inspect.Tell(m.bpf(), "ioctl", m.p.Archs)
		return fmt.Sprint(stories), err
	},
	"inspect.Elsewhere": func(m meant) (string, error) {
		do, ok, err := inspect.Elsewhere(m.gate())
		return fmt.Sprint(do, ok), err
	},
	"inspect.Merge": func(m meant) (string, error) {
		var out []string
		for _, op := range []inspect.Operation{inspect.Union, inspect.Intersect, inspect.Stack} {
			g, err := inspect.Merge(op, m.gate(), m.second())
			if err != nil {
				return "", err
			}
			out = append(out, fmt.Sprint(g.Policy))
		}
		return strings.Join(out, "\n"), nil
	},
	"inspect.Origins": func(m meant) (string, error) { return text(inspect.Origins(m.p.Archs, m.gate(), m.second())) },
	"inspect.Explain": func(m meant) (string, error) {
		e, err := inspect.Explain(m.gate())
		if err != nil {
			return "", err
		}
		var out []string
		for _, v := range e.Views {
			out = append(out, fmt.Sprintf("%+v %+v", *v.Summary, *v.Known))
		}
		return fmt.Sprint(out, e.Elsewhere, e.Told), nil
	},
	"inspect.Words": func(m meant) (string, error) {
		p, notes, err := inspect.Words(m.gate()) // which words it finds depends on the budget, what they mean does not
		if err != nil {
			return "", err
		}
		v, err := p.Verdict(m.v.Space())
		return fmt.Sprint(err == nil && v == m.v, notes), err
	},
	"inspect.Ask": func(m meant) (string, error) {
		c, err := lang.ParseCall(abi.X86_64, "ioctl(_, {TIOCSTI, TIOCGWINSZ, 3..9})")
		if err != nil {
			return "", err
		}
		a, err := inspect.Ask(m.gate(), &c)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%+v %+v %+v", a.Cases, a.UpperHalf, a.Example), nil
	},
	"inspect.Fixed": func(m meant) (string, error) { return text(inspect.Fixed(m.bpf(), abi.X86_64, "ioctl")) },
	"inspect.Follow": func(m meant) (string, error) {
		return text(inspect.Follow(m.gate(), &bpf.Data{Arch: abi.X86_64.Token()}))
	},
	"inspect.Answer.Follow": func(m meant) (string, error) { return "", nil }, // it is Follow
	"inspect.Kills":         func(m meant) (string, error) { return text(inspect.Kills(m.gate(), abi.X86_64)) },
	"inspect.Culprits": func(m meant) (string, error) {
		found, err := inspect.Culprits(m.gate(), &bpf.Data{Arch: abi.X86_64.Token(), Nr: nr("mount")})
		return fmt.Sprint(len(found)), err
	},
	"inspect.Compile": func(m meant) (string, error) {
		c, err := inspect.Compile(m.gate(), compile.Options{})
		if err != nil {
			return "", err
		}
		return fmt.Sprint(c.Filters), nil
	},
	"inspect.Compilation.Measure": func(m meant) (string, error) {
		c, err := inspect.Compile(m.gate(), compile.Options{})
		if err != nil {
			return "", err
		}
		return text(c.Measure())
	},
	"inspect.Desk.Gate": func(m meant) (string, error) {
		d := inspect.Desk{Archs: []abi.Arch{abi.X86_64}, Read: func(abi.Arch) (*gate.Gate, error) { return m.bpf(), nil }}
		_, err := d.Gate(abi.X86_64)
		return "", err
	},
	"inspect.Process.Gates": func(m meant) (string, error) { return "", nil }, // no work
	"report.MergedGate":     func(m meant) (string, error) { return "", nil }, // no work
	"report.MergedJSON":     func(m meant) (string, error) { return "", nil }, // no work
	"report.ArchRemedy":     func(m meant) (string, error) { return "", nil }, // no work
	"page.Write": func(m meant) (string, error) {
		err := page.Write(io.Discard, &inspect.Explanation{Gate: m.gate(), Archs: m.p.Archs})
		return "", err // a filter that is too complex to draw says so on the page
	},
	"expect.File.Run": func(m meant) (string, error) { return "", nil }, // it is Prove
	"expect.File.Prove": func(m meant) (string, error) {
		f, err := expect.Parse("t", []byte("allow ioctl(_, TIOCGWINSZ)\nerrno(EPERM) ioctl(_, TIOCSTI)\nallow socket(AF_UNIX)\nallow ioctl\n"))
		if err != nil {
			return "", err
		}
		results, err := f.Prove(m.gate())
		var out []string
		for _, r := range results {
			out = append(out, fmt.Sprint(r.Arch, r.Holds, r.Open, r.Witness, r.Got))
		}
		return strings.Join(out, "\n"), err
	},
	"rows.Calls": func(m meant) (string, error) {
		calls, err := rows.Calls(m.v, abi.X86_64)
		var out []string
		for _, c := range calls {
			out = append(out, c.String()+at(c.Left))
		}
		return strings.Join(out, "\n"), err
	},
	"rows.Unnamed": func(m meant) (string, error) {
		var out []string
		err := rows.Unnamed(m.v, abi.X86_64, func(s verdict.Span) error {
			out = append(out, fmt.Sprint(s.Lo, s.Hi, at(s.Then)))
			return nil
		})
		return strings.Join(out, "\n"), err
	},
	"rows.Of": func(m meant) (string, error) {
		return text(rows.Of(rows.Call{Arch: abi.X86_64, Name: "ioctl", Nr: nr("ioctl"), Left: ioctl(m.v), Bits: 64}, bpf.Errno|1))
	},
	"rows.Most":    func(m meant) (string, error) { return text(rows.Most(ioctl(m.v))) },
	"rows.Entries": func(m meant) (string, error) { return text(rows.Entries(m.v, m.p.Archs, bpf.Errno|1)) },
	"rows.Meaning": func(m meant) (string, error) {
		list := []rows.Row{{Action: bpf.Allow, Tests: []rows.Test{{Arg: 1, Op: rows.GE, Value: 12345}, {Arg: 2, Op: rows.MaskedEQ, Mask: 0x55, Value: 0x11}}}}
		v, err := rows.Meaning(m.v.Space(), abi.X86_64, list, bpf.Errno|1)
		if err != nil {
			return "", err
		}
		return at(v), nil
	},
	"compile.Program": func(m meant) (string, error) {
		return text(compile.Program(m.v, binary.LittleEndian, compile.Options{}))
	},
	"compile.Programs": func(m meant) (string, error) {
		return text(compile.Programs(m.v, binary.LittleEndian, compile.Options{}))
	},
	"compile.Compile": func(m meant) (string, error) {
		r, err := compile.Compile(m.v, binary.LittleEndian, compile.Options{Goal: compile.Latency})
		return fmt.Sprint(r.Programs), err
	},
	"compile.Estimate": func(m meant) (string, error) { return text(compile.Estimate(m.v)) },
	"compile.Prove": func(m meant) (string, error) {
		err := compile.Prove(bpf.Program{{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)}}, m.v, binary.LittleEndian)
		if errors.Is(err, compile.ErrNotProven) {
			return err.Error(), nil
		}
		return "", err
	},
	"compile.Measure": func(m meant) (string, error) {
		return text(compile.Measure(nil, m.v, m.p.Archs, binary.LittleEndian, compile.Options{}))
	},
	"record.Recording.Lacking": func(m meant) (string, error) {
		r := record.New([]string{"x"}, "test")
		d := bpf.Data{Arch: abi.X86_64.Token(), Nr: nr("ioctl"), Args: [6]uint64{1, 0x5412}}
		r.Calls[record.Key{Arch: abi.X86_64, Nr: d.Nr}] = &record.Call{Count: 1, Values: []record.Values{{Many: true}}, Example: d}
		lacking, err := r.Lacking(m.v)
		if err != nil {
			return "", err
		}
		return fmt.Sprint(lacking.Kinds()), nil
	},
	"learn.NewEarlier": func(m meant) (string, error) { _, err := learn.NewEarlier(m.gate(), nil, abi.X86_64); return "", err },
	"learn.Earlier.Add": func(m meant) (string, error) {
		r := record.New([]string{"x"}, "test")
		r.Add(abi.X86_64, &bpf.Data{Arch: abi.X86_64.Token(), Nr: nr("mount")}, "x")
		e, err := learn.NewEarlier(m.gate(), nil, abi.X86_64)
		if err != nil {
			return "", err
		}
		f, more, err := e.Add(r, learn.Options{Native: abi.X86_64})
		if err != nil {
			return "", err
		}
		return fmt.Sprint(f, more), nil
	},
	"record.LooksElsewhere": func(m meant) (string, error) { return text(record.LooksElsewhere(m.v, m.p.Archs)) },
}

func classes(d *inspect.Difference, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%+v", d.Classes), nil
}

func text[T any](x T, err error) (string, error) { return fmt.Sprintf("%+v", x), err }

func nr(call string) uint32 {
	n, _ := abi.X86_64.Number(call)
	return n
}

func ioctl(v verdict.Verdict) verdict.Verdict {
	return v.Restrict(verdict.Arch, abi.X86_64.Token()).Restrict(verdict.Nr, nr("ioctl"))
}

func outcomes(all []decompile.Outcome) (out string) {
	for _, o := range all {
		out += fmt.Sprint(o.Action, o.On, o.Cond.String(), "\n")
	}
	return out
}

func asked(m meant) (*policy.Answer, error) {
	c, err := lang.ParseCall(abi.X86_64, "ioctl(_, {TIOCSTI, TIOCGWINSZ, 3..9})")
	if err != nil {
		return nil, err
	}
	return c.Ask(m.v)
}

func ask[T any](m meant, f func(*policy.Answer) (T, error)) (string, error) {
	a, err := asked(m)
	if err != nil {
		return "", err
	}
	return text(f(a))
}

// at is a verdict's answers to some calls: what there is of it to compare across spaces without using their budgets.
func at(v verdict.Verdict) string {
	var out []bpf.Action
	for _, call := range []string{"read", "ioctl", "socket", "clone", "mount"} {
		for _, x := range []uint64{0, 1, 2, 16, 0x5412, 0x5413, 12345, 1 << 33} {
			out = append(out, v.At(&bpf.Data{Arch: abi.X86_64.Token(), Nr: nr(call), Args: [6]uint64{x, x, x, x, x, x}}))
		}
	}
	return fmt.Sprint(out)
}

// tight has nodes enough for its space to have steps enough for most answers.
var tight = `
arch    x86_64
default errno(EPERM)
allow   read write exit exit_group mmap clone3 ptrace
allow   ioctl(request in {TIOCGWINSZ, 3, 7..12} || fd & 0x55 == 0x11)
allow   socket(family == AF_UNIX && type & 0xf == SOCK_STREAM)
allow   clone(flags & CLONE_NEWUSER == 0)
kill_process mount
` + keyctls(120)

// keyctls are rules that share nothing.
func keyctls(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "errno(%d) keyctl(arg1 == %d)\n", 1+i%100, 100+i*7919)
	}
	return b.String()
}

// TestBudget gives what the rooms export spaces of every size from what the policy alone needs up to 64 nodes more, and
// then larger ones until one suffices: each answer must be the true one, or the error that says that there is none.
func TestBudget(t *testing.T) {
	p, err := lang.Load("tight.gate", []byte(tight), lang.Options{})
	if err != nil {
		t.Fatal(err)
	}
	q, err := lang.Load("other.gate", []byte("arch x86_64\ndefault kill_process\nallow read socket ioctl(request == TIOCSTI)"), lang.Options{})
	if err != nil {
		t.Fatal(err)
	}
	in := func(budget int) (m meant, err error) {
		s := verdict.NewSpace(budget)
		m.p = p
		if m.v, err = p.Verdict(s); err == nil {
			m.q = q
			m.other, err = q.Verdict(s)
		}
		return m, err
	}
	least := 1 + sort.Search(verdict.DefaultBudget, func(n int) bool {
		_, err := in(1 + n)
		if err != nil && !errors.Is(err, verdict.ErrTooComplex) {
			t.Fatal(err)
		}
		return err == nil
	})
	for name, f := range answers {
		t.Run(name, func(t *testing.T) {
			m, err := in(verdict.DefaultBudget)
			if err != nil {
				t.Fatal(err)
			}
			want, err := f(m)
			if err != nil {
				t.Fatal(err)
			}
			exact, refused := 0, 0
			for budget, more := least, 128; budget <= least+64 || exact == 0; budget++ {
				if budget > least+64 {
					budget, more = least+more, 2*more
				}
				m, err := in(budget)
				if err != nil {
					t.Fatal(err)
				}
				switch got, err := f(m); {
				case errors.Is(err, verdict.ErrTooComplex):
					refused++
				case err != nil:
					t.Fatalf("%d nodes: %v", budget, err)
				case got != want:
					t.Fatalf("%d nodes: %s\nwant %s", budget, got, want)
				default:
					exact++
				}
			}
			t.Logf("from %d nodes on: %d exact, %d refused", least, exact, refused)
		})
	}
}

// TestBudgeted holds answers to what the rooms export: every function and method with a verdict, a space or a node in
// its signature, and every method of a type that has one in a field.
func TestBudgeted(t *testing.T) {
	for _, room := range budgeted {
		files, err := filepath.Glob(filepath.Join(room, "*.go"))
		if err != nil || files == nil {
			t.Fatalf("%s: %v", room, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, src, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || !fn.Name.IsExported() {
					continue
				}
				name := f.Name.Name + "."
				if fn.Recv != nil {
					recv := strings.TrimLeft(string(src[fn.Recv.List[0].Type.Pos()-1:fn.Recv.List[0].Type.End()-1]), "*")
					if !ast.IsExported(recv) {
						continue
					}
					name += recv + "."
				}
				name += fn.Name.Name
				signature := string(src[fn.Type.Pos()-1 : fn.Type.End()-1])
				looks := strings.Contains(signature, "verdict.") || strings.HasPrefix(name, "policy.Answer.") || strings.HasPrefix(name, "policy.Chain.") || strings.HasPrefix(name, "learn.Earlier.") ||
					f.Name.Name == "gate" && strings.Contains(signature, "error") ||
					slices.Contains([]string{"lint", "inspect", "report", "page", "expect", "learn"}, f.Name.Name) && strings.Contains(signature, "gate.Gate") ||
					name == "page.Write"
				if _, ok := answers[name]; looks && !ok && !strings.HasSuffix(name, "Error.Unwrap") {
					t.Errorf("%s: %s is not in answers: what does it do with a spent budget?", file, name)
				}
			}
		}
	}
	var unknown []string
	for name := range answers {
		room, _, _ := strings.Cut(name, ".")
		if !slices.ContainsFunc(budgeted, func(r string) bool { return filepath.Base(r) == room }) {
			unknown = append(unknown, name)
		}
	}
	if unknown != nil {
		t.Errorf("of no room: %s", unknown)
	}
}
