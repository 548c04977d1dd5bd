package bpf

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestAssemble(t *testing.T) {
	allow := Instruction{Code: RET | K, K: uint32(Allow)}
	for name, c := range map[string]struct {
		text string
		want Program
	}{
		"bpf_asm style": {`
			ld [4]                  /* arch */
			jne #0xc000003e, bad    // what else
			ld [0]
			jeq #15, good           ; rt_sigreturn
			jlt #231, bad, good
		bad:  ret #0
		good: ret #0x7fff0000 /* a comment
			over two lines */`,
			Program{{LD | W | ABS, 0, 0, 4}, {JMP | JEQ | K, 0, 3, 0xc000003e}, {LD | W | ABS, 0, 0, 0}, {JMP | JEQ | K, 2, 0, 15},
				{JMP | JGE | K, 1, 0, 231}, {RET | K, 0, 0, 0}, allow}},
		"line numbers as labels": {"10 ld [nr]\n20 jeq #1, 30, 40\nja 40\n30: ret errno(1)\n40 ret allow",
			Program{{LD | W | ABS, 0, 0, 0}, {JMP | JEQ | K, 1, 2, 1}, {JMP | JA, 0, 0, 1}, {RET | K, 0, 0, 0x50001}, allow}},
		"indices": {"jeq x, 2, 1\nret a\nret allow",
			Program{{JMP | JEQ | X, 1, 0, 0}, {RET | A, 0, 0, 0}, allow}},
		"two labels": {"ja b\na:\nb: c: ret allow", Program{{JMP | JA, 0, 0, 0}, allow}},
		"inverted": {"jle #1, l\njneq x, l, m\nm: ret a\nl: ret allow",
			Program{{JMP | JGT | K, 0, 2, 1}, {JMP | JEQ | X, 0, 1, 0}, {RET | A, 0, 0, 0}, allow}},
		"registers": {"ADD %x\nsub X\nret %a",
			Program{{ALU | ADD | X, 0, 0, 0}, {ALU | SUB | X, 0, 0, 0}, {RET | A, 0, 0, 0}}},
		"numbers": {"ld 0xFFFFFFFF\nldx #-1\nand -2147483648\nret allow",
			Program{{LD | IMM, 0, 0, maxUint32}, {LDX | IMM, 0, 0, maxUint32},
				{ALU | AND | K, 0, 0, 1 << 31}, allow}},
		"len": {"ld len\nldx #len\nret allow", Program{{LD | LEN, 0, 0, 0}, {LDX | LEN, 0, 0, 0}, allow}},
		"little": {".order little\nld [ip.hi]\nld [args[0].lo]\nld [args[5].hi]\nret allow",
			Program{{LD | ABS, 0, 0, 12}, {LD | ABS, 0, 0, 16}, {LD | ABS, 0, 0, 60}, allow}},
		"big": {".order big\nld [ip.hi]\nld [args[0].lo]\nld [ args[5] .hi ]\nret allow",
			Program{{LD | ABS, 0, 0, 8}, {LD | ABS, 0, 0, 20}, {LD | ABS, 0, 0, 56}, allow}},
		"actions": {"ret kill_process\nret kill_thread\nret trap(65535)\nret errno( 4095 )\nret trace(0)\nret log\nret notify\nret allow",
			Program{{RET, 0, 0, 1 << 31}, {RET, 0, 0, 0}, {RET, 0, 0, 0x3ffff}, {RET, 0, 0, 0x50fff},
				{RET, 0, 0, 0x7ff00000}, {RET, 0, 0, 0x7ffc0000}, {RET, 0, 0, 0x7fc00000}, allow}},
		"words as labels": {"jeq #1, allow\nld: x: ret a\nallow: ret allow\r\n",
			Program{{JMP | JEQ, 1, 0, 1}, {RET | A, 0, 0, 0}, allow}},
	} {
		p, err := Assemble(name, strings.NewReader(c.text))
		if err != nil || !slices.Equal(p, c.want) {
			t.Errorf("%s: %v, got\n%v\nwant\n%v", name, err, p, c.want)
		}
	}
}

func TestAssembleErrors(t *testing.T) {
	far := "jeq #1, far\n" + strings.Repeat("ld #0\n", 256) + "far: ret a"
	for _, c := range []struct{ text, want string }{
		{"", "1:1: no instructions"},
		{"; nothing\n\n", "3:1: no instructions"},
		{"ret allow\n  jeg #1, 0\n", `2:3: unknown instruction "jeg" (did you mean jeq?)`},
		{"frobnicate", `1:1: unknown instruction "frobnicate"`},
		{"mod #3\nret a", "1:1: mod: seccomp does not admit the remainder: for a power of two, and #(n-1) does the same"},
		{"ldi #3", "1:1: ldi is another word for ld #k: write that"},
		{"ldh [0]", "1:1: ldh: seccomp does not admit loads of two bytes: load the word with ld and mask it"},
		{"ret alow", `1:5: unknown action "alow" (did you mean allow?)`},
		{"ret errno(4096)", "1:11: errno(4096): the number is at most 4095"},
		{"ret trap(65536)", "1:10: trap(65536): the number is at most 65535"},
		{"ret errno", `1:10: expected "(" and a number, as in errno(1), found the end of the line`},
		{"ret errno(EPERM)", `1:11: expected the data of errno, found "EPERM"`},
		{"ret", "1:4: expected a number, found the end of the line"},
		{"ret allow allow", `1:11: unexpected "allow" after the instruction: write one a line, comments after ;`},
		{"ld [args[6]]", "1:5: args[6]: a call has the arguments 0 to 5"},
		{"ld [args[0]]", "1:5: args[0] has 64 bits and a load takes 32: add .lo or .hi"},
		{"ld [ip]", "1:5: ip has 64 bits and a load takes 32: add .lo or .hi"},
		{"ld [nr.lo]", "1:5: nr.lo has 32 bits and no halves"},
		{"ld [args[0].lo]", "1:5: where the .lo half is depends on the byte order: put .order little (x86, arm64, riscv) or .order big (s390x) before"},
		{"ld [arhc]", `1:5: expected nr, arch, ip.lo, ip.hi, args[0].lo, args[0].hi or an offset, found "arhc" (did you mean arch?)`},
		{"ld [nr", `1:7: expected "]" after a word of struct seccomp_data, found the end of the line`},
		{"ld nr", `1:4: expected [nr], [args[0].lo], M[0], #1 or #len, found "nr"`},
		{"ldx [nr]", "1:5: ldx cannot load from struct seccomp_data: use ld and then tax"},
		{"st #1", `1:4: expected a scratch word, M[0] to M[15], found "#"`},
		{".order middle", `1:8: expected .order little or .order big, found "middle"`},
		{".order litle", `1:8: expected .order little or .order big, found "litle" (did you mean little?)`},
		{".order little\n.order big", "2:1: the byte order is already little"},
		{"jeq #1", `1:7: expected "," and where to jump, found the end of the line`},
		{"jeq x86_64, 1", `1:5: "x86_64" is not a number: names of calls and constants stand in comments only`},
		{"jeq #1, #2", `1:9: expected a label or the number of a line, found "#"`},
		{"ja goood\nbad: ret a\ngood: ret a", `1:4: no label "goood" (did you mean good?)`},
		{"ja 7\nret a", "1:4: no instruction 7: the last one is 1"},
		{"1 ja 3\n2 ret a", "1:6: no line has the number 3"},
		{"1 ret a\n1 ret a", "2:1: two lines have the number 1: the other is line 1 of the text"},
		{"l: ret a\nl: ret a", `2:1: label "l" is already on line 1`},
		{"l.m: ret a", `1:1: label "l.m": a label has letters, digits and _`},
		{"ret a\nl:", "2:1: no instruction follows this label"},
		{"5\nret a", "1:2: expected an instruction, found the end of the line"},
		{"5 .order big", `1:3: expected an instruction, found ".order"`},
		{"#1\nret a", `1:1: expected an instruction, found "#"`},
		{"l: ld #1\nja l\nret a", "2:4: a jump only goes forward, and l is not below this line"},
		{"l: ja l\nret a", "1:7: a jump only goes forward, and l is not below this line"},
		{far, "1:9: far is 256 instructions away and a conditional jump reaches 255: go there by way of a ja"},
		{"ld #4294967296", "1:5: 4294967296 does not fit in 32 bits"},
		{"ld #-2147483649", "1:5: -2147483649 does not fit in 32 bits"},
		{"ld #010", "1:5: 010 starts with 0: write it in decimal, or in hexadecimal with 0x"},
		{"ld #0xg", "1:5: 0xg is not a number"},
		{"ld #12ab", "1:5: 12ab is not a number"},
		{"raw 0x10000, 0, 0, 0", "1:5: code is 65536, and the field holds at most 65535"},
		{"raw 6, 256, 0, 0", "1:8: jt is 256, and the field holds at most 255"},
		{"raw 6, 0", `1:9: expected "," and jf, found the end of the line`},
		{"ld #1 /* no end", "1:7: a comment /* without its */"},
		{"ld é", "1:4: unexpected character 'é'"},
		{"/* é */ ld $", "1:12: unexpected character '$'"},
		{"\x20\x00\x00\x00", "1:2: this is not text: assembly language is UTF-8"},
		{"ret a\xff", "1:6: this is not text: assembly language is UTF-8"},
		{strings.Repeat("ret a\n", 4097), "4097:1: more than 4096 instructions: the kernel takes no more"},
		// Well-formed, and refused by the kernel.
		{"ret a\n  ld [66]\nret a", "2:3: loads past struct seccomp_data, which has 64 bytes"},
		{"ld #1", "1:1: the last instruction must be a ret"},
		{"ld M[1]\nret a", "1:1: reads M[1], which is not written on every path to here"},
	} {
		_, err := Assemble("f.asm", strings.NewReader(c.text))
		if err == nil || err.Error() != "f.asm:"+c.want {
			t.Errorf("%.40q:\n got  %v\n want f.asm:%s", c.text, err, c.want)
		}
		if _, ok := errors.AsType[*SyntaxError](err); !ok {
			t.Errorf("%.40q: the error is a %T", c.text, err)
		}
	}
}

func TestAssembleGivesRefusedProgram(t *testing.T) {
	p, err := Assemble("f.asm", strings.NewReader("ld [nr]\ndiv #0\nret a"))
	check, ok := errors.AsType[*CheckError](err)
	if len(p) != 3 || !ok || check.PC != 1 {
		t.Errorf("%v, %v", p, err)
	}
}

func TestAssembleReadErrors(t *testing.T) {
	var file endless
	if _, err := Assemble("f.asm", &file); err == nil || err.Error() != "f.asm: more than 4 MiB of assembly language" {
		t.Errorf("a file without end: %v", err)
	}
	if file > 5<<20 {
		t.Errorf("%d bytes were read", file)
	}
	if _, err := Assemble("f.asm", failing{}); err == nil || !strings.HasPrefix(err.Error(), "f.asm: ") {
		t.Errorf("a file that cannot be read: %v", err)
	}
}

// A line without number can be put into a listing, and the jumps still lead where they did.
func TestListingCanBeEdited(t *testing.T) {
	p := mustAssemble(t, "ld [nr]\njeq #59, deny\nret allow\ndeny: ret errno(1)")
	lines := strings.Split(listingOf(t, p, binary.LittleEndian, nil), "\n")
	edited := slices.Insert(lines, 1, "jeq #322, 3")
	got := mustAssemble(t, strings.Join(edited, "\n"))
	for nr, want := range map[uint32]Action{59: Errno | 1, 322: Errno | 1, 1: Allow} {
		if a := got.Run(&Data{Nr: nr}, binary.LittleEndian); a != want {
			t.Errorf("nr %d: %v, want %v", nr, a, want)
		}
	}
}
