package inspect_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/inspect"
	"monban/policy"
	"monban/policy/lang"
)

// load is the gate of a policy's text.
func load(t testing.TB, name, text string) *gate.Gate {
	t.Helper()
	p, err := lang.Load(name, []byte(text), lang.Options{Native: abi.X86_64})
	if err != nil {
		t.Fatal(err)
	}
	return gate.OfPolicy(name, p)
}

// assemble is the gate of a program's listing.
func assemble(t testing.TB, name, listing string) *gate.Gate {
	t.Helper()
	p, err := bpf.Assemble(name, strings.NewReader(listing))
	if err != nil {
		t.Fatal(err)
	}
	return gate.OfPrograms(name, binary.LittleEndian, p)
}

// filters is a gate as the programs that it compiles to.
func filters(t testing.TB, g *gate.Gate) *gate.Gate {
	t.Helper()
	p, err := g.Filters()
	if err != nil {
		t.Fatal(err)
	}
	return gate.OfPrograms(g.Name+".bpf", binary.LittleEndian, p...)
}

// web is a gate with something of everything.
const web = `arch x86_64 x86
default errno(EPERM)
allow read write exit_group
allow socket(family == AF_UNIX || family == AF_INET && type & 0xf == SOCK_STREAM)
errno(EAFNOSUPPORT) socket
log openat(flags & O_WRONLY == 0)
notify connect
kill_process mount umount2
on x86: allow socketcall
`

// equal is an unreadable condition: that two arguments are equal in many bits.
func equal(bits int) string {
	var all []string
	for bit := range bits {
		all = append(all, fmt.Sprintf("(arg0 & %#x == 0 && arg1 & %#x == 0 || arg0 & %#x != 0 && arg1 & %#x != 0)", 1<<bit, 1<<bit, 1<<bit, 1<<bit))
	}
	return strings.Join(all, " && ")
}

// cases writes answers down.
func cases(a abi.Arch, all []inspect.Case) string {
	var out []string
	for _, c := range all {
		out = append(out, strings.TrimSpace(policy.ActionOn(a, c.Action).String()+" "+c.When.String()))
	}
	return strings.Join(out, "; ")
}

// subsets writes calls down.
func subsets(all []inspect.Subset) string {
	var out []string
	for _, s := range all {
		out = append(out, strings.TrimSpace(s.Call+" "+s.When.String()))
	}
	return strings.Join(out, "; ")
}

func TestCondition(t *testing.T) {
	for _, tt := range []struct {
		c      inspect.Condition
		text   string
		always bool
	}{
		{inspect.Condition{}, "", true},
		{inspect.Condition{Unreadable: true}, inspect.Unreadable, false},
		{inspect.Condition{Expr: policy.Compare{X: policy.Operand{Name: "fd"}, Op: policy.EQ, Y: policy.Num(3)}}, "fd == 3", false},
	} {
		if tt.c.String() != tt.text || tt.c.Always() != tt.always {
			t.Errorf("%+v: %q, always: %v", tt.c, tt.c, tt.c.Always())
		}
	}
	one := []inspect.Case{{Action: bpf.Allow}}
	if !inspect.SameCases(one, one) || inspect.SameCases(one, nil) || inspect.SameCases(one, []inspect.Case{{Action: bpf.Log}}) ||
		inspect.SameCases(one, []inspect.Case{{Action: bpf.Allow, When: inspect.Condition{Unreadable: true}}}) {
		t.Error("cases are the same if actions and conditions are")
	}
}

// A summary has every call of the architecture with its answers, the same for a policy and for what it compiles to.
func TestSummarise(t *testing.T) {
	g := load(t, "web.gate", web)
	for _, g := range []*gate.Gate{g, filters(t, g)} {
		s, err := inspect.Summarise(g, abi.X86_64)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]*inspect.Call{}
		for i := range s.Calls {
			got[s.Calls[i].Name] = &s.Calls[i]
		}
		for call, want := range map[string]struct {
			cases  string
			passes inspect.Extent
		}{
			"read":    {"allow", inspect.Always},
			"ptrace":  {"errno(EPERM)", inspect.Never},
			"connect": {"notify", inspect.Never},
			"mount":   {"kill_process", inspect.Never},
			"openat":  {"log flags & 1 == O_RDONLY; errno(EPERM) flags & 1 == O_WRONLY", inspect.Sometimes},
		} {
			if c := got[call]; cases(abi.X86_64, c.Cases) != want.cases || c.Passes() != want.passes || c.Depends() != (len(c.Cases) > 1) || c.Purpose != inspect.Purpose(call) {
				t.Errorf("%s: %s: %s, passes %d, want %s, %d", g.Name, call, cases(abi.X86_64, c.Cases), c.Passes(), want.cases, want.passes)
			}
		}
		if always, sometimes := s.Passing(); always != 3 || sometimes != 2 {
			t.Errorf("%s: %d calls always pass and %d sometimes", g.Name, always, sometimes)
		}
		if want := []bpf.Action{bpf.Errno | 38}; !slices.Equal(s.Unknown, want) {
			t.Errorf("%s: unknown numbers get %v", g.Name, s.Unknown)
		}
		groups := s.Groups()
		var order []string
		total := 0
		for _, group := range groups {
			order = append(order, policy.ActionOn(abi.X86_64, group.Action).String())
			n := 0
			for _, by := range group.By {
				n += len(by.Calls)
			}
			if n != group.Total {
				t.Errorf("%s: %d calls of %d", g.Name, n, group.Total)
			}
			total += n
		}
		if want := []string{"allow", "notify", "errno(EPERM)", "kill_process"}; !slices.Equal(order, want) || total != len(s.Calls)-2 {
			t.Errorf("%s: groups %s of %d calls", g.Name, order, total)
		}
	}
}

func TestCompare(t *testing.T) {
	g := load(t, "a.gate", web)
	for _, tt := range []struct{ text, more, fewer string }{
		{web, "", ""},
		{strings.Replace(web, "allow read", "allow", 1), "read", ""},
		{web + "allow getpid\non x86_64: allow mmap(prot & PROT_EXEC == 0)\n", "", "mmap prot & PROT_EXEC == 0; getpid"},
		{strings.Replace(web, "mount umount2", "umount2", 1), "", ""},
	} {
		c, err := inspect.Compare(g, load(t, "b.gate", tt.text), abi.X86_64)
		if err != nil {
			t.Fatal(err)
		}
		if more, fewer := subsets(c.More), subsets(c.Fewer); more != tt.more || fewer != tt.fewer || c.Equal != (tt.text == web) {
			t.Errorf("more: %s, fewer: %s, equal: %v; want %+v", more, fewer, c.Equal, tt)
		}
	}
}

func TestElsewhere(t *testing.T) {
	for _, tt := range []struct {
		g    *gate.Gate
		want bpf.Action
		ok   bool
	}{
		{load(t, "a.gate", web), bpf.KillProcess, true},
		{load(t, "b.gate", "arch x86_64\nbadarch errno(ENOSYS)\n"), bpf.Errno | 38, true},
		{assemble(t, "c.bpf", "ld [nr]\njeq #1, 2, 3\nret errno(1)\nret allow\n"), 0, false},
	} {
		if do, ok, err := inspect.Elsewhere(tt.g); err != nil || ok != tt.ok || ok && do != tt.want {
			t.Errorf("%s: %v, %v, %v", tt.g.Name, do, ok, err)
		}
	}
}

// A story has the call's own number, its way through a multiplexer, and the rules that speak of either.
func TestTell(t *testing.T) {
	g := load(t, "web.gate", web)
	stories, err := inspect.Tell(g, "socket", []abi.Arch{abi.X86_64, abi.X86, abi.S390X})
	if err != nil {
		t.Fatal(err)
	}
	const own = "allow family == AF_UNIX || family == AF_INET && type & 0xf == SOCK_STREAM; errno(EAFNOSUPPORT) "
	for i, want := range []struct {
		arch   abi.Arch
		nr     uint32
		mux    string
		behind string
		rules  int
	}{{abi.X86_64, 41, "", "", 2}, {abi.X86, 359, "socketcall(1)", "errno(EAFNOSUPPORT)", 3}, {abi.S390X, 359, "socketcall(1)", "kill_process", 2}} {
		st := stories[i]
		mux := ""
		if st.Mux != nil {
			mux = fmt.Sprintf("%s(%d)", st.Mux.Call, st.Mux.Sub)
		}
		if st.Arch != want.arch || st.Number != want.nr || !st.Direct || mux != want.mux || cases(st.Arch, st.Behind) != want.behind || len(st.Rules) != want.rules {
			t.Errorf("%s: %+v, behind %s, want %+v", st.Arch, st, cases(st.Arch, st.Behind), want)
		}
		if got := cases(st.Arch, st.Cases); i < 2 && !strings.HasPrefix(got, own) || i == 2 && got != "kill_process" {
			t.Errorf("%s: %s", st.Arch, got)
		}
	}
	if stories, err := inspect.Tell(g, "socketcall", []abi.Arch{abi.X86_64}); err != nil || len(stories) != 0 {
		t.Errorf("a call that x86_64 does not have: %v, %v", stories, err)
	}
}
