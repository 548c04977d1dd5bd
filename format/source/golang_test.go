package source_test

import (
	"fmt"
	"go/constant"
	gotoken "go/token"
	"go/types"
	"math/rand/v2"
	"strings"
	"testing"
)

// Operators bind as in the language that the text is in, and Go's own type checker is the judge of Go's.
func TestPrecedence(t *testing.T) {
	const in = "struct sock_filter f[] = {{6, 0, 0, %s}};"
	for expr, want := range map[string]struct{ c, golang uint32 }{
		"2 + 3 & 4":        {4, 2}, // C: (2+3) & 4; Go: 2 + (3&4)
		"1 << 2 + 1":       {8, 5}, // C: 1 << (2+1); Go: (1<<2) + 1
		"1 | 2 ^ 3":        {1, 0}, // C: 1 | (2^3); Go: (1|2) ^ 3
		"5 - 1 & 3":        {0, 4}, // C: (5-1) & 3; Go: 5 - (1&3)
		"2 * 3 & 5 << 1":   {2, 8}, // C: (2*3) & (5<<1); Go: ((2*3)&5) << 1
		"0x50000 | 13 & 7": {0x50005, 0x50005},
	} {
		for text, want := range map[string]uint32{fmt.Sprintf(in, expr): want.c, "f := []unix.SockFilter{{6, 0, 0, " + expr + "}}": want.golang} {
			p, err := read(text, "")
			if err != nil || p.Programs[0][0].K != want {
				t.Errorf("%s: %v, %v; want %#x", text, p, err, want)
			}
		}
	}
	r := rand.New(rand.NewPCG(7, 7))
	same := 0
	for range 2000 {
		expr := randomGo(r, 4)
		judge, err := types.Eval(gotoken.NewFileSet(), nil, gotoken.NoPos, expr)
		var want uint64
		valid := false
		if err == nil {
			want, valid = constant.Uint64Val(constant.ToInt(judge.Value))
		}
		p, err := read("package p\nvar f = []unix.SockFilter{{6, 0, 0, "+expr+"}}", "")
		switch {
		case !valid || want > 0xffffffff:
			if err == nil {
				t.Errorf("%s is read as %#x, and is not a number of 32 bits", expr, p.Programs[0][0].K)
			}
		case err != nil || p.Programs[0][0].K != uint32(want):
			t.Errorf("%s: %v, want %#x", expr, err, want)
		default:
			same++
		}
	}
	if same < 500 {
		t.Errorf("only %d expressions compared", same)
	}
}

func randomGo(r *rand.Rand, depth int) string {
	if depth == 0 || r.IntN(5) == 0 {
		return []string{"1", "7", "0x50000", "0o17", "0b101", "'a'", "1_000", "uint32(6)", "uint16(9)", "0xffff"}[r.IntN(10)]
	}
	sub := func() string { return randomGo(r, depth-1) }
	switch r.IntN(9) {
	case 0:
		return "(" + sub() + ")"
	case 1:
		return "^" + sub()
	case 2:
		return []string{"uint32", "uint8", "int", "uint64"}[r.IntN(4)] + "(" + sub() + ")"
	}
	op := []string{"|", "&", "^", "&^", "+", "-", "*", "<<", ">>", "/", "%"}[r.IntN(11)]
	if op == "<<" || op == ">>" {
		return sub() + op + fmt.Sprint(r.IntN(12))
	}
	return sub() + op + sub()
}

// What Go source can say and is not read for certain is an error.
func TestGoErrors(t *testing.T) {
	const head = "package p\nimport \"golang.org/x/sys/unix\"\n"
	list := func(element string) string { return head + "var f = []unix.SockFilter{" + element + "}" }
	for text, want := range map[string]string{
		list("{6, 0, 0, own}") + "\nconst own = 5\n": "t.c:3:37: own is the source's own: write its value",
		list("{6, 0, 0, cfg.EPERM}"):                 "t.c:3:37: a constant is expected here",
		list("{6, 0, 0, f(1)}"):                      "t.c:3:37: a constant is expected here: calls are not made",
		list("{6, 0, 0, ^0}"):                        "t.c:3:37: -1 does not fit 64 bits, or is negative",
		list("{6, 0, 0, ^uint16(1) + 5}"):            "t.c:3:37: the result, 65539, does not fit the type uint16",
		list("{6, 0, 0, uint8(300)}"):                "t.c:3:37: the result, 300, does not fit the type uint8",
		list("{6, 0, 0, 1.5}"):                       "t.c:3:37: an integer is expected here",
		list("{6, 0, 0, 1 / 0}"):                     "t.c:3:39: division by zero",
		list("{6, 0, 0, 1 == 1}"):                    "t.c:3:39: == is not read in constants",
		list("{6, 0, 0, uint8(1) + uint16(1)}"):      "t.c:3:46: the two sides of + have different types",
		list("{Off: 6}"):                             "t.c:3:28: an instruction has no such field: they are code, jt, jf and k",
		list("bpf.LoadAbsolute{0, 4}"):               "t.c:3:27: instructions of this type are not known: write {code, jt, jf, k}",
		list("5: {6, 0, 0, 0}"):                      "t.c:3:27: an instruction is expected here: {code, jt, jf, k}, with or without the fields' names",
		list("{6, 0, 0, 0}") + "\nfunc (":            "t.c:4:7: this is not Go: ",
		list("{6, 0, 0, " + strings.Repeat("(", 200) + "0" + strings.Repeat(")", 200) + "}"): "t.c:3:137: an expression nested more than 100 deep",
	} {
		if _, err := read(text, ""); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.120q:\n got  %v\n want %s", text, err, want)
		}
	}
	// Go that Go does not take is not read by C's rules.
	for _, text := range []string{"f := []unix.SockFilter{{6, 0, 0, 2 + 3 & 4}} )", "var f = []unix.SockFilter{{6, 0, 0, 2 + 3 & 4}} )"} {
		if p, err := read(text, ""); err == nil {
			t.Errorf("%s: %v", text, p.Programs)
		}
	}
	for text, want := range map[string]uint32{
		list("{Code: 6, K: ^uint32(0) & 5}"):                                          5,
		list("{Code: 6, K: uint32(unix.EPERM) | 0x50000}"):                            0x50001,
		"package p\nvar c = T{Filter: []SockFilter{{6, 0, 0, 7}}, Other: []string{}}": 7,
	} {
		if p, err := read(text, ""); err != nil || p.Programs[0][0].K != want {
			t.Errorf("%s: %v, want %#x", text, err, want)
		}
	}
}
