package bpf

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
)

// seeds are programs of each kind; the corpus of other projects is not needed to fuzz.
var seeds = []string{
	"ld [arch]\njeq #0xc000003e, 2, 5\nld [nr]\njge #0x40000000, 5, 4\njeq #59, 5, 6\nret kill_process\nret allow",
	".order big\nld [args[0].hi]\njne #0, deny\nld [args[0].lo]\nand #0xf\njset #3, deny\nret allow\ndeny: ret errno(1)",
	"st M[0]\nldx M[0]\ndiv x\nlsh x\nneg\ntax\ntxa\nld #len\nret a",
	"raw 0x94, 1, 2, 3\nraw 0xffff, 255, 255, 0xffffffff\nja 3\nret trap(7) ; comment",
}

func FuzzDecode(f *testing.F) {
	for _, s := range seeds {
		f.Add(mustAssemble(f, s).Encode(binary.LittleEndian))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, order := range orders {
			p, err := Decode(b, order)
			if err != nil {
				continue
			}
			if got := p.Encode(order); !slices.Equal(got, b) {
				t.Fatalf("%x encodes as %x", b, got)
			}
			admissible := p.Check() == nil
			if got, err := GuessOrder(b); admissible && (err != nil || got != order) {
				t.Fatalf("admissible in %v, guessed %v, %v", order, got, err)
			}
			roundTrip(t, "decoded", p, order, someNames{})
		}
	})
}

func FuzzAssemble(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
		f.Add(listingOf(f, mustAssemble(f, s), binary.LittleEndian, someNames{}))
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Assemble("fuzz", strings.NewReader(text))
		if syntax, ok := errors.AsType[*SyntaxError](err); ok && (syntax.Line < 1 || syntax.Column < 1) {
			t.Fatalf("no place: %v", err)
		}
		if len(p) == 0 && err == nil {
			t.Fatal("neither a program nor an error")
		}
		if len(p) > 0 {
			roundTrip(t, "assembled", p, binary.LittleEndian, someNames{})
			roundTrip(t, "assembled", p, binary.BigEndian, nil)
		}
	})
}

func FuzzCheckRun(f *testing.F) {
	data := make([]byte, DataSize)
	for _, s := range seeds {
		f.Add(mustAssemble(f, s).Encode(binary.LittleEndian), data)
	}
	f.Fuzz(func(t *testing.T, b, call []byte) {
		p, err := Decode(b, binary.LittleEndian)
		if err != nil {
			return
		}
		var raw [DataSize]byte
		copy(raw[:], call)
		d := Data{Nr: binary.LittleEndian.Uint32(raw[:]), Arch: binary.LittleEndian.Uint32(raw[4:]), IP: binary.LittleEndian.Uint64(raw[8:])}
		for i := range d.Args {
			d.Args[i] = binary.LittleEndian.Uint64(raw[OffsetArgs+8*i:])
		}
		admitted := p.Check() == nil
		in := flows(p)
		for _, order := range orders {
			last := -1
			action := p.Trace(&d, order, func(pc int) {
				if pc <= last {
					t.Fatalf("instruction %d runs after %d", pc, last)
				}
				if last = pc; admitted && !in[pc].reached {
					t.Fatalf("instruction %d runs and is said not to", pc)
				}
			})
			if action != p.Run(&d, order) {
				t.Fatal("Trace and Run differ")
			}
			// Where the kernel admits the program, the run ends in a RET or a division by 0.
			if f := p[last].op().form; admitted && f != formRetK && f != formRetA && p[last].Code != ALU|DIV|X {
				t.Fatalf("ended at instruction %d, %v", last, p[last])
			}
			if p.CachesAllow(d.Arch, d.Nr) && action != Allow {
				t.Fatalf("cached as allowed, and returns %v", action)
			}
		}
	})
}
