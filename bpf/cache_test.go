package bpf

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

func TestCachesAllow(t *testing.T) {
	for _, c := range []struct {
		text string
		want bool // for nr 41 on 0xc000003e
	}{
		{"ret allow", true},
		{"ret #0x7fff0001", false},
		{"ret log", false},
		{"ret errno(1)", false},
		{"ld [nr]\njeq #41, 3, 2\nret errno(1)\nret allow", true},
		{"ld [nr]\njeq #42, 3, 2\nret errno(1)\nret allow", false},
		{"ld [arch]\njeq #0xc000003e, 3, 2\nret errno(1)\nret allow", true},
		{"ld [nr]\njge #41, 3, 2\nret errno(1)\nret allow", true},
		{"ld [nr]\njgt #40, 3, 2\nret errno(1)\nret allow", true},
		{"ld [nr]\njset #1, 3, 2\nret errno(1)\nret allow", true},
		{"ld [nr]\nand #8\njeq #8, 4, 3\nret errno(1)\nret allow", true},
		{"jeq #0, 2, 1\nret errno(1)\nret allow", true}, // A is 0 at the start
		{"ja 2\nld [16]\nret allow", true},
		// Nothing else is emulated, whatever it would come to.
		{"ld [16]\nret allow", false},
		{"ld [8]\nret allow", false},
		{"ld #1\nret allow", false},
		{"ld #len\nret allow", false},
		{"ldx #1\nret allow", false},
		{"tax\nret allow", false},
		{"st M[0]\nret allow", false},
		{"or #0\nret allow", false},
		{"neg\nret allow", false},
		{"and x\nret allow", false},
		{"jeq x, 1, 1\nret allow", false},
		{"ret a", false},
		{"ld [nr]\njeq #41, 3, 2\nst M[0]\nret allow", true}, // off the path
	} {
		if got := mustAssemble(t, c.text).CachesAllow(0xc000003e, 41); got != c.want {
			t.Errorf("%q: %v, want %v", c.text, got, c.want)
		}
	}
}

// What is cached as allowed is allowed, whatever the arguments.
func TestCachedIsAllowed(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	cached := 0
	emulated := []uint16{LD | W | ABS, ALU | AND | K, JMP | JA, JMP | JEQ | K, JMP | JGE | K, JMP | JGT | K, JMP | JSET | K, RET | K}
	for range 20000 {
		p := randomProgram(r, pick(r, [][]uint16{allCodes, emulated}), 12)
		for i := range p {
			if p[i].Code == RET|K && r.IntN(2) == 0 {
				p[i].K = uint32(Allow)
			}
		}
		d := randomData(r)
		if !p.CachesAllow(d.Arch, d.Nr) {
			continue
		}
		cached++
		for range 8 {
			d.Args, d.IP = randomData(r).Args, r.Uint64()
			if got := p.Run(&d, binary.LittleEndian); got != Allow {
				t.Fatalf("cached, but %v\n%v\n%+v", got, p, d)
			}
		}
	}
	if cached < 500 {
		t.Errorf("only %d programs were cached: too few to tell", cached)
	}
}
