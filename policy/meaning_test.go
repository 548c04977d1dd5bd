package policy_test

import (
	"math/rand/v2"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
	"monban/policy/internal/random"
	"monban/policy/lang"
	"monban/verdict"
)

func load(src string, archs ...abi.Arch) (*policy.Policy, error) {
	if archs == nil {
		archs = []abi.Arch{abi.X86_64}
	}
	return lang.Load("t.gate", []byte(src), lang.Options{Archs: archs, Native: archs[0]})
}

func meaning(t *testing.T, s *verdict.Space, p *policy.Policy) verdict.Verdict {
	t.Helper()
	v, err := p.Verdict(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func number(t *testing.T, a abi.Arch, call string) uint32 {
	t.Helper()
	nr, ok := a.Number(call)
	if !ok {
		t.Fatalf("%s has no %s", a, call)
	}
	return nr
}

// What a rule means for one call, told by hand.
func TestMeaning(t *testing.T) {
	const big = 1 << 32
	for _, c := range []struct {
		name, src string
		arch      abi.Arch
		call      string
		args      [6]uint64
		want      string
	}{
		{"first match decides", "errno(EACCES) read(fd == 3)\nallow read", abi.X86_64, "read", [6]uint64{3}, "errno(EACCES)"},
		{"then the next", "errno(EACCES) read(fd == 3)\nallow read", abi.X86_64, "read", [6]uint64{4}, "allow"},
		{"default", "default errno(EPERM)\nallow read", abi.X86_64, "write", [6]uint64{}, "errno(EPERM)"},
		{"without a default", "allow read", abi.X86_64, "write", [6]uint64{}, "kill_process"},
		{"32-bit arguments ignore high bits", "allow ioctl(request == TIOCSTI)", abi.X86_64, "ioctl", [6]uint64{0, 0x5412 + big}, "allow"},
		{"u64 does not", "allow ioctl(u64(request) == TIOCSTI)", abi.X86_64, "ioctl", [6]uint64{0, 0x5412 + big}, "kill_process"},
		{"compare 64 neither", "compare 64\nallow ioctl(request == TIOCSTI)", abi.X86_64, "ioctl", [6]uint64{0, 0x5412 + big}, "kill_process"},
		{"signed arguments", "allow dup(fildes < 0)", abi.X86_64, "dup", [6]uint64{5}, "kill_process"},
		{"int is signed", "allow openat(dirfd < 0)", abi.X86_64, "openat", [6]uint64{0xffffff9c}, "allow"},
		{"int is not negative", "allow openat(dirfd < 0)", abi.X86_64, "openat", [6]uint64{5}, "kill_process"},
		{"AT_FDCWD at 32 bits", "allow openat(dirfd == AT_FDCWD)", abi.X86_64, "openat", [6]uint64{0xffffff9c}, "allow"},
		{"64-bit arguments are compared whole", "allow mmap(length <= 0x1000)", abi.X86_64, "mmap", [6]uint64{0, big}, "kill_process"},
		{"64-bit values in two registers", "allow pread64(offset == 0x100000002)", abi.X86, "pread64", [6]uint64{0, 0, 0, 2, 1}, "allow"},
		{"and both count", "allow pread64(offset == 0x100000002)", abi.X86, "pread64", [6]uint64{0, 0, 0, 2, 0}, "kill_process"},
		{"halves of signed values are unsigned", "allow pread64(arg3 > 0x1000)", abi.X86, "pread64", [6]uint64{0, 0, 0, 0x80000001}, "allow"},
		{"clone's flags are first", "allow clone(flags & CLONE_NEWUSER == 0)", abi.X86_64, "clone", [6]uint64{0x10000000}, "kill_process"},
		{"but second on s390x", "allow clone(flags & CLONE_NEWUSER == 0)", abi.S390X, "clone", [6]uint64{0x10000000}, "allow"},
		{"errno numbers are the architecture's", "errno(ENOSYS) read", abi.MIPS64, "read", [6]uint64{}, "errno(89)"},
		{"a mask", "allow socket(type & 0xf == SOCK_STREAM)", abi.X86_64, "socket", [6]uint64{2, 0x80801}, "allow"},
		{"or makes bits one", "allow socket(type | 0xff == 0xff)", abi.X86_64, "socket", [6]uint64{0, 0x1f}, "allow"},
		{"xor and not", "allow socket(~type ^ 1 == ~2)", abi.X86_64, "socket", [6]uint64{0, 3}, "allow"},
		{"constants on the left", "allow socket(5 > family)", abi.X86_64, "socket", [6]uint64{4}, "allow"},
		{"sets and ranges", "allow socket(family in {1, 5..7})", abi.X86_64, "socket", [6]uint64{6}, "allow"},
		{"not in", "allow socket(!(family in {1, 5..7}))", abi.X86_64, "socket", [6]uint64{6}, "kill_process"},
		{"by position", "allow socket(arg2 == 9)", abi.X86_64, "socket", [6]uint64{0, 0, 9}, "allow"},
		{"&& before ||", "allow read(fd == 1 || fd == 2 && count == 3)", abi.X86_64, "read", [6]uint64{1}, "allow"},
		{"positions count from 0, unlike prctl's names", "allow prctl(arg2 == 7)", abi.X86_64, "prctl", [6]uint64{0, 0, 7}, "allow"},
		{"an argument named nr", "allow io_submit(nr < 8)", abi.X86_64, "io_submit", [6]uint64{0, 7}, "allow"},
		{"and not the number", "allow io_submit(nr == 209)", abi.X86_64, "io_submit", [6]uint64{}, "kill_process"},
		{"any by number", "allow any(nr == 0)", abi.X86_64, "read", [6]uint64{}, "allow"},
		{"any after calls", "errno(EPERM) read\nallow any", abi.X86_64, "read", [6]uint64{}, "errno(EPERM)"},
		{"any before calls", "allow any(arg0 == 7)\nerrno(EPERM) read", abi.X86_64, "read", [6]uint64{7}, "allow"},
		{"reaches through socketcall", "allow socket", abi.X86, "socketcall", [6]uint64{1}, "allow"},
		{"but only for that member", "allow socket", abi.X86, "socketcall", [6]uint64{2}, "kill_process"},
		{"conditions cannot be seen there", "allow socket(family == AF_UNIX)", abi.X86, "socketcall", [6]uint64{1}, "kill_process"},
		{"ipc carries a version", "errno(EPERM) shmget\nallow ipc", abi.X86, "ipc", [6]uint64{0x10017}, "errno(EPERM)"},
		{"on another architecture", "on aarch64: allow read\nerrno(EPERM) read", abi.X86_64, "read", [6]uint64{}, "errno(EPERM)"},
		{"on this architecture", "on x86_64: allow read\nerrno(EPERM) read", abi.X86_64, "read", [6]uint64{}, "allow"},
		{"newer than the policy's kernel", "kernel 5.10\ndefault errno(EPERM)", abi.X86_64, "landlock_create_ruleset", [6]uint64{}, "errno(ENOSYS)"},
		{"unless it is named", "kernel 5.10\nallow landlock_create_ruleset", abi.X86_64, "landlock_create_ruleset", [6]uint64{}, "allow"},
	} {
		p, err := load(c.src, c.arch)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		d := bpf.Data{Arch: c.arch.Token(), Nr: number(t, c.arch, c.call), Args: c.args}
		got := meaning(t, verdict.NewSpace(100_000), p).At(&d)
		dec, err := p.Decide(&d)
		if err != nil || dec.Action != got {
			t.Errorf("%s: the rules say %v (%v), the verdict %v", c.name, dec.Action, err, got)
		}
		// ENOSYS of MIPS is told as a number: the table's name for it there is ENOSYS again.
		if s := policy.ActionOn(c.arch, got).String(); s != c.want && got.String() != c.want {
			t.Errorf("%s: %s, want %s", c.name, s, c.want)
		}
	}
}

func TestArchitectures(t *testing.T) {
	p, err := load("badarch errno(EINVAL)\nunknown trap(5)\ndefault errno(EPERM)\nallow read")
	if err != nil {
		t.Fatal(err)
	}
	v := meaning(t, verdict.NewSpace(100_000), p)
	for _, c := range []struct {
		token, nr uint32
		want      string
	}{
		{abi.X86_64.Token(), 0, "allow"},
		{abi.X86_64.Token(), 1, "errno(1)"},
		{abi.X86_64.Token(), 0x3fffffff, "trap(5)"},
		{abi.X86_64.Token(), abi.X32Bit, "errno(22)"}, // x32 is an architecture of its own
		{abi.X86_64.Token(), 0xffffffff, "errno(22)"},
		{abi.X86.Token(), 0, "errno(22)"},
		{0, 0, "errno(22)"},
	} {
		if got := v.At(&bpf.Data{Arch: c.token, Nr: c.nr}); got.String() != c.want {
			t.Errorf("arch %#x nr %#x: %v, want %s", c.token, c.nr, got, c.want)
		}
	}
	both, err := load("default errno(EPERM)\nallow read", abi.X32, abi.X86_64)
	if err != nil {
		t.Fatal(err)
	}
	w := meaning(t, v.Space(), both)
	if got := w.At(&bpf.Data{Arch: abi.X86_64.Token(), Nr: abi.X32Bit}); got != bpf.Allow {
		t.Errorf("x32 read: %v", got)
	}
}

var allArchs = []abi.Arch{abi.X86_64, abi.X86, abi.X32, abi.AArch64}

// The rules read one by one and the diagram are two judges of one policy; its printed form is a third.
func TestJudgesAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	loaded := 0
	for range 400 {
		src := random.Source(r)
		p, err := load(src, allArchs...)
		if err != nil {
			continue // a constant that does not fit its argument
		}
		loaded++
		s := verdict.NewSpace(verdict.DefaultBudget)
		v := meaning(t, s, p)
		decider := p.Decider()
		for range 200 {
			d := randomCall(r, p)
			dec, err := decider.Decide(&d)
			if err != nil || dec.Action != v.At(&d) {
				t.Fatalf("%s\n%+v: the rules say %v (%v), the verdict %v", src, d, dec.Action, err, v.At(&d))
			}
		}
		q, err := load(lang.Print(p), allArchs...)
		if err != nil {
			t.Fatalf("%s\nprinted:\n%s\n%v", src, lang.Print(p), err)
		}
		if meaning(t, s, q) != v {
			t.Fatalf("printing changed the meaning of\n%s\nto\n%s", src, lang.Print(p))
		}
	}
	if loaded < 100 {
		t.Errorf("only %d of 400 random policies loaded", loaded)
	}
}

func randomCall(r *rand.Rand, p *policy.Policy) bpf.Data {
	d := bpf.Data{Arch: p.Archs[r.IntN(len(p.Archs))].Token(), Nr: uint32(r.IntN(460)), IP: uint64(r.IntN(4))}
	if len(p.Rules) > 0 && r.IntN(4) > 0 {
		for _, a := range p.Archs {
			if nr, ok := a.Number(p.Rules[r.IntN(len(p.Rules))].Call); ok {
				d.Arch, d.Nr = a.Token(), nr
			}
		}
	}
	if r.IntN(30) == 0 {
		d.Nr = r.Uint32()
	}
	if r.IntN(50) == 0 {
		d.Arch = r.Uint32()
	}
	edges := []uint64{0, 1, 2, 3, 4, 5, 7, 8, 9, 11, 14, 0x42, 0xff, 1 << 31, 1<<32 - 1, 1 << 32, 1<<32 | 2, 1<<63 - 1, 1 << 63, ^uint64(0), ^uint64(5), ^uint64(99)}
	for i := range d.Args {
		d.Args[i] = edges[r.IntN(len(edges))]
	}
	return d
}
