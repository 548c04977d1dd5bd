package decode

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

// base is where the instructions of these tests lie.
const base = 0x401000

var kindNames = []string{"other", "set", "copy", "add", "low", "choose", "point", "unknown", "load", "store", "push", "pop", "leave", "call",
	"jump", "branch", "test", "end", "syscall", "foreign"}

// describe is an instruction in words: its kind, and the fields that say something.
func describe(i Inst) string {
	var b strings.Builder
	b.WriteString(kindNames[i.Kind])
	add := func(is bool, format string, args ...any) {
		if is {
			fmt.Fprintf(&b, " "+format, args...)
		}
	}
	add(i.Dst != NoReg, "dst=%d", i.Dst)
	add(i.Src != NoReg, "src=%d", i.Src)
	add(i.Base != NoReg, "base=%d", i.Base)
	add(i.Pair, "pair=%d", i.Second)
	add(i.Imm != 0, "imm=%d", i.Imm)
	add(i.Value != 0, "value=%d", i.Value)
	add(i.Unknown, "unknown")
	add(i.Indexed, "indexed")
	add(i.Width != 0, "width=%d", i.Width)
	add(i.Target != 0, "to=%#x", i.Target)
	add(i.Slot != 0, "slot=%#x", i.Slot)
	add(i.Ref != 0, "ref=%#x", i.Ref)
	add(i.Zero == Taken, "zero if taken")
	add(i.Zero == NotTaken, "zero if not")
	add(i.Returns, "returns")
	add(i.Pads, "pads")
	add(i.Kill != 0, "kill=%#x", i.Kill)
	add(true, "len=%d", i.Next-i.Addr)
	return b.String()
}

var x86Cases = []struct{ text, code, want string }{
	{"syscall", "\x0f\x05", "syscall dst=0 kill=0x802 len=2"},
	{"sysenter", "\x0f\x34", "foreign dst=0 len=2"},
	{"int $0x80", "\xcd\x80", "foreign dst=0 len=2"},
	{"int3, for a debugger", "\xcc\x90", "other pads len=1"},
	{"int3, of several", "\xcc\xcc", "end pads len=1"},
	{"int3, at the end", "\xcc", "end pads len=1"},
	{"int $0x29", "\xcd\x29", "other len=2"},
	{"call", "\xe8\x0b\x00\x00\x00", "call to=0x401010 len=5"},
	{"call backwards", "\xe8\xf6\xff\xff\xff", "call to=0x400ffb len=5"},
	{"call *0x10(%rip)", "\xff\x15\x10\x00\x00\x00", "call width=8 slot=0x401016 ref=0x401016 len=6"},
	{"call *%rax", "\xff\xd0", "call src=0 len=2"},
	{"call *8(%rbx)", "\xff\x53\x08", "call base=3 width=8 len=3"},
	{"call *(,%rax,8)", "\xff\x14\xc5\x00\x00\x00\x00", "call width=8 len=7"},
	{"jmp", "\xeb\x0e", "jump to=0x401010 len=2"},
	{"jmp *0x10(%rip)", "\xff\x25\x10\x00\x00\x00", "jump width=8 slot=0x401016 ref=0x401016 len=6"},
	{"jmp *%rcx", "\xff\xe1", "jump src=1 len=2"},
	{"je", "\x74\x0e", "branch to=0x401010 zero if taken len=2"},
	{"jne", "\x75\x0e", "branch to=0x401010 zero if not len=2"},
	{"ja", "\x77\x0e", "branch to=0x401010 len=2"},
	{"loop", "\xe2\x0e", "branch to=0x401010 kill=0x2 len=2"},
	{"loope", "\xe1\x0e", "branch to=0x401010 kill=0x2 len=2"},
	{"loopne", "\xe0\x0e", "branch to=0x401010 kill=0x2 len=2"},
	{"jrcxz", "\xe3\x0e", "branch to=0x401010 len=2"},
	{"ret", "\xc3", "end returns len=1"},
	{"lret", "\xcb", "end returns len=1"},
	{"iret", "\xcf", "end returns len=1"},
	{"iretw", "\x66\xcf", "end returns len=2"},
	{"iretq", "\x48\xcf", "end returns len=2"},
	{"ud2", "\x0f\x0b", "end len=2"},
	{"ud1", "\x0f\xb9\xc0", "end len=3"},
	{"ud0", "\x0f\xff\xc0", "end len=3"},
	{"hlt", "\xf4", "end len=1"},
	{"push %rbx", "\x53", "push src=3 width=8 len=1"},
	{"push $39", "\x6a\x27", "push value=39 width=8 len=2"},
	{"push 8(%rbx)", "\xff\x73\x08", "push unknown width=8 len=3"},
	{"pop %r12", "\x41\x5c", "pop dst=12 len=2"},
	{"pushf", "\x9c", "push unknown width=8 len=1"},
	{"popf", "\x9d", "pop len=1"},
	{"leave", "\xc9", "leave dst=5 len=1"},
	{"mov $39,%eax", "\xb8\x27\x00\x00\x00", "set dst=0 imm=39 len=5"},
	{"mov $-1,%eax", "\xb8\xff\xff\xff\xff", "set dst=0 imm=4294967295 len=5"},
	{"mov $-1,%rax", "\x48\xc7\xc0\xff\xff\xff\xff", "set dst=0 imm=-1 len=7"},
	{"movabs", "\x49\xbf\x01\x00\x00\x00\x01\x00\x00\x00", "set dst=15 imm=4294967297 len=10"},
	{"mov $39,%al", "\xb0\x27", "low dst=0 imm=39 len=2"},
	{"mov $39,%ah", "\xb4\x27", "other dst=0 len=2"},
	{"mov $39,%ax", "\x66\xb8\x27\x00", "other dst=0 len=4"},
	{"mov %esi,%eax", "\x89\xf0", "copy dst=0 src=6 len=2"},
	{"mov %r9,%rbx", "\x4c\x89\xcb", "copy dst=3 src=9 len=3"},
	{"mov %fs,%eax", "\x8c\xe0", "other dst=0 len=2"},
	{"mov 8(%rsp),%rax", "\x48\x8b\x44\x24\x08", "load dst=0 base=4 imm=8 width=8 len=5"},
	{"mov -8(%rbp),%eax", "\x8b\x45\xf8", "load dst=0 base=5 imm=-8 width=4 len=3"},
	{"mov 0x10(%rip),%eax", "\x8b\x05\x10\x00\x00\x00", "load dst=0 imm=16 width=4 ref=0x401016 len=6"},
	{"mov (%rdi,%rsi),%eax", "\x8b\x04\x37", "other dst=0 width=4 len=3"},
	{"mov %fs:0,%rax", "\x64\x48\x8b\x04\x25\x00\x00\x00\x00", "other dst=0 width=8 len=9"},
	{"movzbl (%rdi),%eax", "\x0f\xb6\x07", "other dst=0 width=1 len=3"},
	{"movsbl %cl,%eax", "\x0f\xbe\xc1", "other dst=0 src=1 len=3"},
	{"movslq (%rdi),%rax", "\x48\x63\x07", "load dst=0 base=7 width=4 len=3"},
	{"mov %eax,4(%rdi)", "\x89\x47\x04", "store src=0 base=7 imm=4 width=4 len=3"},
	{"movl $39,(%rsp)", "\xc7\x04\x24\x27\x00\x00\x00", "store base=4 value=39 width=4 len=7"},
	{"mov %al,(%rdi)", "\x88\x07", "store src=0 base=7 unknown width=1 len=2"},
	{"mov %eax,(%rdi,%rcx,4)", "\x89\x04\x8f", "store src=0 base=7 indexed width=4 len=3"},
	{"mov %eax,0x10(%rip)", "\x89\x05\x10\x00\x00\x00", "store src=0 imm=16 width=4 ref=0x401016 len=6"},
	{"mov %rax,%fs:(%rdi)", "\x64\x48\x89\x07", "other src=0 base=7 width=8 len=4"},
	{"lea 0x10(%rip),%rdi", "\x48\x8d\x3d\x10\x00\x00\x00", "set dst=7 imm=4198423 ref=0x401017 len=7"},
	{"lea 8(%rsp),%rdi", "\x48\x8d\x7c\x24\x08", "add dst=7 src=4 imm=8 len=5"},
	{"lea (%rdi,%rsi),%rax", "\x48\x8d\x04\x37", "point dst=0 base=7 len=4"},
	{"lea (%rdi,%rbp),%rax", "\x48\x8d\x04\x2f", "point dst=0 base=5 len=4"},
	{"lea (,%rsi,4),%rax", "\x48\x8d\x04\xb5\x00\x00\x00\x00", "other dst=0 len=8"},
	{"xor %eax,%eax", "\x31\xc0", "set dst=0 len=2"},
	{"xor %ecx,%eax", "\x31\xc8", "other dst=0 len=2"},
	{"xor %al,%al", "\x30\xc0", "other dst=0 len=2"},
	{"sub %eax,%eax", "\x29\xc0", "set dst=0 len=2"},
	{"sub $8,%rsp", "\x48\x83\xec\x08", "add dst=4 src=4 imm=-8 len=4"},
	{"add $8,%rsp", "\x48\x83\xc4\x08", "add dst=4 src=4 imm=8 len=4"},
	{"add %rsi,%rdi", "\x48\x01\xf7", "point dst=7 base=6 len=3"},
	{"add %eax,(%rdi)", "\x01\x07", "store base=7 unknown width=4 len=2"},
	{"and $-16,%rsp", "\x48\x83\xe4\xf0", "other len=4"},
	{"and $15,%eax", "\x83\xe0\x0f", "other dst=0 len=3"},
	{"test %eax,%eax", "\x85\xc0", "test src=0 len=2"},
	{"test %ecx,%eax", "\x85\xc8", "other src=0 len=2"},
	{"test %al,%al", "\x84\xc0", "other src=0 len=2"},
	{"nop", "\x90", "other pads len=1"},
	{"nopw 0(%rax,%rax)", "\x66\x0f\x1f\x44\x00\x00", "other width=2 pads len=6"},
	{"endbr64", "\xf3\x0f\x1e\xfa", "other len=4"},
	{"cmp %eax,%ecx", "\x39\xc1", "other len=2"},
	{"bt %eax,%ecx", "\x0f\xa3\xc1", "other len=3"},
	{"mul %rcx", "\x48\xf7\xe1", "other dst=1 kill=0x5 len=3"},
	{"imul %ecx,%ebx", "\x0f\xaf\xd9", "other dst=3 kill=0x5 len=3"},
	{"div %ecx", "\xf7\xf1", "other dst=1 kill=0x5 len=2"},
	{"idiv %ecx", "\xf7\xf9", "other dst=1 kill=0x5 len=2"},
	{"cwd", "\x66\x99", "other kill=0x5 len=2"},
	{"cltd", "\x99", "other kill=0x5 len=1"},
	{"cqto", "\x48\x99", "other kill=0x5 len=2"},
	{"rdtsc", "\x0f\x31", "other kill=0x5 len=2"},
	{"cpuid", "\x0f\xa2", "other kill=0xf len=2"},
	{"xgetbv", "\x0f\x01\xd0", "other kill=0xf len=3"},
	{"rdtscp", "\x0f\x01\xf9", "other kill=0xf len=3"},
	{"rdpmc", "\x0f\x33", "other kill=0xf len=2"},
	{"rdmsr", "\x0f\x32", "other kill=0xf len=2"},
	{"cmpxchg8b (%rdi)", "\x0f\xc7\x0f", "other width=8 kill=0xf len=3"},
	{"cmpxchg16b (%rdi)", "\x48\x0f\xc7\x0f", "other width=16 kill=0xf len=4"},
	{"rep movsb", "\xf3\xa4", "store base=7 unknown indexed kill=0xc2 len=2"},
	{"movsw", "\x66\xa5", "store base=7 unknown indexed kill=0xc2 len=2"},
	{"movsl", "\xa5", "store base=7 unknown indexed kill=0xc2 len=1"},
	{"rep movsq", "\xf3\x48\xa5", "store base=7 unknown indexed kill=0xc2 len=3"},
	{"stosb", "\xaa", "store base=7 unknown indexed kill=0xc2 len=1"},
	{"stosw", "\x66\xab", "store base=7 unknown indexed kill=0xc2 len=2"},
	{"stosl", "\xab", "store base=7 unknown indexed kill=0xc2 len=1"},
	{"rep stosq", "\xf3\x48\xab", "store base=7 unknown indexed kill=0xc2 len=3"},
	{"cmpsb", "\xa6", "other kill=0xc3 len=1"},
	{"cmpsw", "\x66\xa7", "other kill=0xc3 len=2"},
	{"cmpsl", "\xa7", "other kill=0xc3 len=1"},
	{"cmpsq", "\x48\xa7", "other kill=0xc3 len=2"},
	{"scasb", "\xae", "other kill=0xc3 len=1"},
	{"scasw", "\x66\xaf", "other kill=0xc3 len=2"},
	{"scasl", "\xaf", "other kill=0xc3 len=1"},
	{"scasq", "\x48\xaf", "other kill=0xc3 len=2"},
	{"lodsb", "\xac", "other kill=0xc3 len=1"},
	{"lodsw", "\x66\xad", "other kill=0xc3 len=2"},
	{"lodsl", "\xad", "other kill=0xc3 len=1"},
	{"lodsq", "\x48\xad", "other kill=0xc3 len=2"},
	{"cbtw", "\x66\x98", "other kill=0x1 len=2"},
	{"cwtl", "\x98", "other kill=0x1 len=1"},
	{"cltq", "\x48\x98", "other kill=0x1 len=2"},
	{"xlat", "\xd7", "other kill=0x1 len=1"},
	{"lahf", "\x9f", "other kill=0x1 len=1"},
	{"cmpxchg %ecx,(%rdi)", "\x0f\xb1\x0f", "store base=7 unknown width=4 kill=0x1 len=3"},
	{"cmpxchg %ecx,%edx", "\x0f\xb1\xca", "other dst=2 kill=0x1 len=3"},
	{"xchg %eax,%ecx", "\x91", "other dst=1 kill=0x1 len=1"},
	{"xadd %eax,(%rdi)", "\x0f\xc1\x07", "store base=7 unknown width=4 kill=0x1 len=3"},
	{"cmove %ecx,%eax", "\x0f\x44\xc1", "choose dst=0 src=1 len=3"},
	{"cmove (%rdi),%eax", "\x0f\x44\x07", "other dst=0 width=4 len=3"},
	{"or %ecx,%eax", "\x09\xc8", "other dst=0 len=2"},
	{"or %eax,(%rdi)", "\x09\x07", "store base=7 unknown width=4 len=2"},
	{"mov %spl,%al", "\x40\x88\xe0", "other dst=0 len=3"},
	{"vaddps, which is known", "\xc5\xf8\x58\xc1", "other len=4"},
	{"clac, which is not", "\x0f\x01\xca", "unknown kill=0xffef len=3"},
	{"nothing", "\x06\x90", "unknown kill=0xffef len=1"},
}

func TestX86(t *testing.T) {
	rules := map[*x86Rule]bool{}
	for _, c := range x86Cases {
		i := X86().Decode([]byte(c.code), base, false)
		if got := describe(i); got != c.want || i.Addr != base {
			t.Errorf("%s (% x): %s; want %s", c.text, c.code, got, c.want)
		}
		if d, err := x86asm.Decode([]byte(c.code), 64); err == nil && int(d.Op) < len(x86Rules) {
			rules[x86Rules[d.Op]] = true
		}
	}
	for op, r := range x86Rules {
		if r != nil && !rules[r] {
			t.Errorf("no test for the rule of %v", x86asm.Op(op))
		}
	}
}

// In a program that is not relocated, numbers may be addresses.
func TestX86Fixed(t *testing.T) {
	for _, c := range []struct{ text, code, want string }{
		{"mov $0x402000,%edi", "\xbf\x00\x20\x40\x00", "set dst=7 imm=4202496 ref=0x402000 len=5"},
		{"mov 0x402000,%eax", "\x8b\x04\x25\x00\x20\x40\x00", "load dst=0 imm=4202496 width=4 ref=0x402000 len=7"},
		{"movl $39,0x402000", "\xc7\x04\x25\x00\x20\x40\x00\x27\x00\x00\x00", "store imm=4202496 value=39 width=4 ref=0x402000 len=11"},
		{"call *0x402000", "\xff\x14\x25\x00\x20\x40\x00", "call width=8 slot=0x402000 ref=0x402000 len=7"},
		{"jmp *0x402000(,%rax,8)", "\xff\x24\xc5\x00\x20\x40\x00", "jump width=8 ref=0x402000 len=7"},
		{"lea 0x402000,%rdi", "\x48\x8d\x3c\x25\x00\x20\x40\x00", "set dst=7 imm=4202496 ref=0x402000 len=8"},
	} {
		if got := describe(X86().Decode([]byte(c.code), base, true)); got != c.want {
			t.Errorf("%s (% x): %s; want %s", c.text, c.code, got, c.want)
		}
	}
}

// What the decoder does not know has a length all the same, and may be known to write no memory.
func TestX86Unknown(t *testing.T) {
	for _, c := range []struct {
		text, code string
		length     int
		reads      bool
	}{
		{"xsavec (%rsp)", "\x0f\xc7\x24\x24\x90", 4, false},
		{"vzeroupper", "\xc5\xf8\x77\x90\x90\x90", 3, true},
		{"vmovdqa 8(%rsp),%ymm0", "\xc5\xfd\x6f\x44\x24\x08\x90", 6, false},
		{"vmovdqa %ymm1,%ymm0", "\xc5\xfd\x6f\xc1\x90\x90", 4, true},
		{"shlx %eax,(%rdi),%ecx", "\xc4\xe2\x79\xf7\x0f\x90", 5, true},
		{"vpbroadcastb %xmm0,%ymm0", "\xc4\xe2\x7d\x78\xc0\x90", 5, true},
		{"vpbroadcastb (%rax),%ymm0", "\xc4\xe2\x7d\x78\x00\x90", 5, false},
		{"rorx $7,%eax,%ecx", "\xc4\xe3\x7b\xf0\xc8\x07\x90", 6, true},
		{"an EVEX of registers", "\x62\xf1\x7c\x48\x58\xc1\x90", 6, true},
		{"an EVEX of memory", "\x62\xf1\x7c\x48\x58\x41\x01\x90", 7, false},
		{"adcx", "\x66\x0f\x38\xf6\xc1\x90", 5, false},
		{"sha1rnds4", "\x0f\x3a\xcc\xc1\x01\x90", 5, false},
		{"with a displacement of four bytes", "\x48\x0f\xc7\xa4\x24\x00\x01\x00\x00\x90", 9, false},
		{"relative to the instruction", "\x0f\xc7\x25\x00\x00\x00\x00\x90", 7, false},
		{"absolute", "\x0f\xc7\x24\x25\x00\x00\x00\x00\x90", 8, false},
		{"an opcode of old", "\x06", 1, false},
		{"cut off", "\x0f\xc7\x24", 3, false},
		{"cut off in its displacement", "\x0f\xc7\x64\x24", 1, false},
		{"a prefix and no more", "\xf3\x0f", 1, false},
		{"an opcode and no more", "\x0f\x38\xf6", 1, false},
	} {
		if got := x86Length([]byte(c.code)); got != c.length {
			t.Errorf("%s (% x) has %d bytes; want %d", c.text, c.code, got, c.length)
		}
		if got := x86Reads([]byte(c.code)); got != c.reads {
			t.Errorf("%s (% x) writes no memory: %v; want %v", c.text, c.code, got, c.reads)
		}
	}
}

func TestX86IsCode(t *testing.T) {
	for code, want := range map[string]bool{"\x00\x00\x01": false, "\x06\x90": false, "\xc3": true, "\xf3\x0f\x1e\xfa": true, "\x0f\xc7\x24\x24\x90": true} {
		if got := X86().IsCode([]byte(code)); got != want {
			t.Errorf("% x may be code: %v; want %v", code, got, want)
		}
	}
}

var armCases = []struct {
	text string
	word uint32
	want string
}{
	{"b", 0x14000004, "jump to=0x401010"},
	{"b backwards", 0x17ffffff, "jump to=0x400ffc"},
	{"bl", 0x94000004, "call to=0x401010"},
	{"b.eq", 0x54000080, "branch to=0x401010"},
	{"cbz x8", 0xb4000088, "branch src=8 to=0x401010 zero if taken"},
	{"cbnz w8", 0x35000088, "branch src=8 to=0x401010 zero if not"},
	{"cbz xzr", 0xb400009f, "branch to=0x401010 zero if taken"},
	{"tbz w8, #3", 0x36180088, "branch to=0x401010"},
	{"br x16", 0xd61f0200, "jump src=16"},
	{"blr x1", 0xd63f0020, "call src=1"},
	{"ret", 0xd65f03c0, "end returns"},
	{"svc #0", 0xd4000001, "syscall dst=0"},
	{"brk #1", 0xd4200020, "end"},
	{"udf #0", 0x00000000, "end"},
	{"adr x0, +16", 0x10000080, "set dst=0 imm=4198416 ref=0x401010"},
	{"adrp x0, +0x1000", 0xb0000000, "set dst=0 imm=4202496"},
	{"add x0, sp, #16", 0x910043e0, "add dst=0 src=31 imm=16"},
	{"sub sp, sp, #1, lsl #12", 0xd14007ff, "add dst=31 src=31 imm=-4096"},
	{"subs x0, x1, #1", 0xf1000420, "other dst=0"},
	{"cmp x0, #1", 0xf100041f, "other"},
	{"mov x8, #172", 0xd2801588, "set dst=8 imm=172"},
	{"movz x8, #1, lsl #16", 0xd2a00028, "set dst=8 imm=65536"},
	{"mov x8, #-1", 0x92800008, "set dst=8 imm=-1"},
	{"movk x8, #1", 0xf2800028, "other dst=8"},
	{"mov x8, x0", 0xaa0003e8, "copy dst=8 src=0"},
	{"mov x8, xzr", 0xaa1f03e8, "set dst=8"},
	{"mov w8, #0xff", 0x32001fe8, "set dst=8 imm=255"},
	{"mov x8, #0x5555555555555555", 0xb200f3e8, "set dst=8 imm=6148914691236517205"},
	{"mov x0, #0xffffff00000000", 0xb2605fe0, "set dst=0 imm=72057589742960640"},
	{"orr with a mask that is none", 0x3200ffe8, "other dst=8"},
	{"ldr x1, literal", 0x58000081, "load dst=1 width=8 ref=0x401010"},
	{"ldr d1, literal", 0x5c000081, "other width=8 ref=0x401010"},
	{"prfm literal", 0xd8000081, "other width=8 ref=0x401010"},
	{"ldr x8, [sp, #16]", 0xf9400be8, "load dst=8 base=31 imm=16 width=8"},
	{"ldr w8, [x0, #4]", 0xb9400408, "load dst=8 base=0 imm=4 width=4"},
	{"ldrb w8, [x0]", 0x39400008, "other dst=8 base=0 width=1"},
	{"ldr q0, [x0]", 0x3dc00000, "other base=0 width=1"},
	{"prfm [x0]", 0xf9800000, "other base=0 width=8"},
	{"str x8, [sp, #16]", 0xf9000be8, "store src=8 base=31 imm=16 width=8"},
	{"str xzr, [x0]", 0xf900001f, "store base=0 width=8"},
	{"str q0, [sp]", 0x3d8003e0, "store base=31 unknown width=16"},
	{"ldur x8, [x29, #-8]", 0xf85f83a8, "load dst=8 base=29 imm=-8 width=8"},
	{"stur w8, [x29, #-4]", 0xb81fc3a8, "store src=8 base=29 imm=-4 width=4"},
	{"str x30, [sp, #-16]!", 0xf81f0ffe, "add dst=31 src=31 base=31 imm=-16 unknown indexed width=8"},
	{"ldr x30, [sp], #16", 0xf84107fe, "add dst=31 src=31 base=31 imm=16 width=8 kill=0x40000000"},
	{"str x1, [x0], #8", 0xf8008401, "store base=0 indexed width=8 kill=0x1"},
	{"ldr x1, [x0], #8", 0xf8408401, "other dst=1 base=0 width=8 kill=0x1"},
	{"stp x29, x30, [sp, #-32]!", 0xa9be7bfd, "add dst=31 src=31 base=31 pair=30 imm=-32 unknown width=16"},
	{"ldp x29, x30, [sp], #32", 0xa8c27bfd, "add dst=31 src=31 imm=32 kill=0x60000000"},
	{"stp x1, x2, [sp, #16]", 0xa9010be1, "store src=1 base=31 pair=2 imm=16 unknown width=16"},
	{"stp w1, w2, [sp, #8]", 0x29010be1, "store base=31 imm=8 unknown width=8"},
	{"stp q0, q1, [x0]", 0xad000400, "store base=0 unknown width=32"},
	{"ldp x1, x2, [x0, #16]", 0xa9410801, "load dst=1 src=1 base=0 imm=16 width=8 kill=0x4"},
	{"ldp xzr, x2, [x0]", 0xa940081f, "other src=31 kill=0x4"},
	{"ldp q0, q1, [x0]", 0xad400400, "other"},
	{"stp x1, x2, [x0], #16", 0xa8810801, "store src=1 base=0 pair=2 imm=16 unknown indexed width=16 kill=0x1"},
	{"ldp x1, x2, [x0], #16", 0xa8c10801, "other src=1 kill=0x7"},
	{"str x1, [x0, x2]", 0xf8226801, "store base=0 unknown indexed width=8"},
	{"ldr x1, [x0, x2]", 0xf8626801, "other dst=1 base=0 width=8"},
	{"ldadd x1, x2, [x0]", 0xf8210002, "store dst=2 base=0 unknown indexed"},
	{"st1 {v0}, [x0]", 0x4c007000, "store base=0 unknown indexed"},
	{"add x0, sp, x1", 0x8b2163e0, "point dst=0 base=31"},
	{"add x0, x1, x2", 0x8b020020, "point dst=0 base=1"},
	{"add x0, xzr, x2", 0x8b0203e0, "other dst=0 base=31"},
	{"stlr x1, [x0]", 0xc89ffc01, "store dst=1 base=0 unknown indexed"},
	{"ldar x1, [x0]", 0xc8dffc01, "other dst=1"},
	{"stxr w2, x1, [x0]", 0xc8027c01, "store dst=1 base=0 unknown indexed kill=0x4"},
	{"nop", 0xd503201f, "other pads"},
	{"bti c", 0xd503245f, "other"},
	{"mrs x0, tpidr_el0", 0xd53bd040, "other dst=0"},
	{"dmb ish", 0xd5033bbf, "other"},
	{"fmov x1, d0", 0x9e660001, "other dst=1"},
	{"mul x0, x1, x2", 0x9b027c20, "other dst=0"},
}

func TestARM64(t *testing.T) {
	forms := map[string]bool{}
	for _, c := range armCases {
		code := binary.LittleEndian.AppendUint32(nil, c.word)
		if got := describe(ARM64().Decode(code, base, false)); got != c.want+" len=4" {
			t.Errorf("%s (%08x): %s; want %s", c.text, c.word, got, c.want)
		}
		for _, f := range armForms {
			if armWord(c.word)&f.mask == f.bits {
				forms[f.name] = true
				break
			}
		}
	}
	for _, f := range armForms {
		if !forms[f.name] {
			t.Errorf("no test for %s", f.name)
		}
	}
	if got := describe(ARM64().Decode([]byte{1, 2}, base, false)); got != "end len=2" {
		t.Errorf("half an instruction: %s", got)
	}
	if !ARM64().IsCode(nil) {
		t.Error("all words may be instructions")
	}
}

// Whatever bytes there are, an instruction ends behind its beginning, inside of them.
func FuzzDecode(f *testing.F) {
	for _, c := range x86Cases {
		f.Add([]byte(c.code))
	}
	for _, c := range armCases {
		f.Add(binary.LittleEndian.AppendUint32(nil, c.word))
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		if len(code) == 0 {
			return
		}
		for _, m := range []*Machine{X86(), ARM64()} {
			i := m.Decode(bytes.Clone(code), base, true)
			if n := i.Next - i.Addr; n < 1 || n > uint64(len(code)) {
				t.Errorf("%v: % x has %d bytes", m.Arch, code, n)
			}
			for _, r := range []Reg{i.Dst, i.Src, i.Base, i.Second} {
				if r < NoReg || r > 31 {
					t.Errorf("%v: % x names the register %d", m.Arch, code, r)
				}
			}
		}
	})
}
