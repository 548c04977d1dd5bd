package lint_test

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/compile"
	"monban/gate"
	"monban/lint"
	"monban/policy"
	"monban/policy/lang"
	"monban/verdict"
)

// fine is a gate in which nothing is found.
const fine = `default errno(ENOSYS)
unknown errno(ENOSYS)
allow exit_group rt_sigreturn restart_syscall read clock_gettime gettimeofday getcpu
allow optional time clock_gettime64
`

// pitfalls are gates that have one, and the same gates fixed.
var pitfalls = []struct {
	id         string
	archs      []abi.Arch // nil: x86_64
	bad, good  string
	sourceOnly bool // a program does not show it
}{
	{"MB001", nil, "badarch allow", "badarch errno(EPERM)", false},
	{"MB002", []abi.Arch{abi.X86_64, abi.X32}, "on x32: allow mount", "on x32: errno(EPERM) any", false},
	{"MB003", nil, "allow ioctl(u64(request) != TIOCSTI && u64(request) != TIOCLINUX)", "allow ioctl(!(request in {TIOCSTI, TIOCLINUX}))", false},
	{"MB004", nil, "allow prlimit64(u64(new_rlim) & 0xffffffff == 0)", "allow prlimit64(new_rlim == 0)", false},
	{"MB005", nil, "allow openat2(u64(dirfd) == 0xffffffffffffff9c)", "allow openat2(dirfd == AT_FDCWD)", false},
	{"MB006", nil, "allow mmap(u64(length) & 0xffffffff <= 0x12345 && u64(length) <= 0x7ffffffffffff)", "allow mmap(length <= 0x700012345)", false},
	{"MB008", nil, "allow io_uring_setup", "allow read", false},
	{"MB009", nil, "allow clone(flags & CLONE_NEWUSER == 0) clone3", "allow clone(flags & CLONE_NEWUSER == 0)", false},
	{"MB010", nil, "allow clone(flags & CLONE_NEWUSER == 0)\nerrno(EPERM) clone3", "allow clone(flags & CLONE_NEWUSER == 0)", false},
	{"MB011", nil, "allow fsopen move_mount", "allow mount fsopen move_mount", false},
	{"MB012", []abi.Arch{abi.X86}, "allow socketcall socket(family == AF_UNIX)", "allow socket(family == AF_UNIX)\nerrno(EPERM) socketcall", false},
	{"MB013", nil, "allow ioctl", "errno(EPERM) ioctl(request in {TIOCSTI, TIOCLINUX})\nallow ioctl", false},
	{"MB014", nil, "UNKNOWN", "", false},
	{"MB015", nil, "kernel 4.4\nallow ptrace", "kernel 4.8\nallow ptrace", true},
	{"MB016", nil, "allow finit_module", "allow write", false},
	{"MB017", nil, "allow bpf", "allow write", false},
	{"MB018", nil, "allow clone", "allow clone(flags & CLONE_NEWUSER == 0)", false},
	{"MB019", nil, "allow pidfd_getfd", "allow pidfd_open", false},
	{"MB020", nil, "kill_thread mount", "kill_process mount", false},
	{"MB021", nil, "allow openat(flags & O_ACCMODE == O_RDONLY) openat2", "allow openat(flags & O_ACCMODE == O_RDONLY)", false},
	{"MB022", nil, "allow stat\nerrno(EPERM) newfstatat", "allow stat newfstatat", false},
	{"MB023", nil, "FIRST errno(EPERM) exit_group", "", false},
	{"MB024", nil, "FIRST errno(EPERM) rt_sigreturn", "", false},
	{"MB025", nil, "FIRST errno(EPERM) restart_syscall", "", false},
	{"MB026", nil, "FIRST errno(EPERM) gettimeofday\nallow openat", "allow openat", false},
	{"MB027", []abi.Arch{abi.X86}, "allow futex\nerrno(EPERM) futex_time64", "allow futex futex_time64", false},
	{"MB028", nil, "kill_process uretprobe", "allow uretprobe", false},
	{"MB029", nil, "errno(EPERM) write\nallow write", "allow write(fd == 1)\nerrno(EPERM) write", true},
	{"MB030", nil, "allow write\nallow write", "allow write", true},
}

// withPitfall is the fine gate with a pitfall.
func withPitfall(bad string) string {
	if first, ok := strings.CutPrefix(bad, "FIRST "); ok {
		return first + "\n" + fine
	}
	if bad == "UNKNOWN" {
		return strings.Replace(fine, "unknown errno(ENOSYS)", "unknown errno(EPERM)", 1)
	}
	return fine + bad
}

func load(t *testing.T, text string, archs []abi.Arch) (*policy.Policy, verdict.Verdict) {
	t.Helper()
	p, err := lang.Load("t.gate", []byte(text), lang.Options{Archs: archs})
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		t.Fatal(err)
	}
	return p, v
}

func find(t testing.TB, g *gate.Gate) []lint.Finding {
	t.Helper()
	found, err := lint.Find(g)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func ids(findings []lint.Finding) (out []string) {
	for _, f := range findings {
		out = append(out, f.ID)
	}
	return out
}

// Each pitfall is found where it is, in the policy and in the program that it compiles to, and not where it was fixed.
func TestPitfalls(t *testing.T) {
	tested := map[string]bool{}
	for _, c := range pitfalls {
		tested[c.id] = true
		t.Run(c.id, func(t *testing.T) {
			archs := c.archs
			if archs == nil {
				archs = []abi.Arch{abi.X86_64}
			}
			text := withPitfall(c.bad)
			p, v := load(t, text, archs)
			found := find(t, gate.OfPolicy("t.gate", p))
			if !slices.Contains(ids(found), c.id) {
				t.Fatalf("%s is not found, but %s, in\n%s", c.id, ids(found), text)
			}
			for _, f := range found {
				if at := v.At(&f.Call); at != f.Action {
					t.Errorf("the witness of %s gets %v, not %v", f.ID, at, f.Action)
				}
				if len(f.Archs) == 0 || f.Title == "" {
					t.Errorf("%s is not complete: %+v", f.ID, f)
				}
			}
			programs, err := compile.Programs(v, binary.LittleEndian, compile.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if fromBPF := ids(find(t, gate.OfPrograms("t.bpf", binary.LittleEndian, programs...))); slices.Contains(fromBPF, c.id) == c.sourceOnly {
				t.Errorf("of the program, %s are found", fromBPF)
			}
			p, _ = load(t, fine+c.good, archs)
			if good := ids(find(t, gate.OfPolicy("t.gate", p))); slices.Contains(good, c.id) {
				t.Errorf("it is found in the fixed gate, too (%s)", good)
			}
		})
	}
	for e := range lint.Checks() {
		if !tested[e.ID] && e.ID != "MB007" && e.ID != "MB031" { // the command's scripts have those: they come from reading a profile
			t.Errorf("no gate here has %s", e.ID)
		}
	}
}

// In a deny-list, twins of what is refused are ways around it.
func TestDenyList(t *testing.T) {
	const text = "default allow\nunknown allow\nerrno(EPERM) open openat execve"
	archs := []abi.Arch{abi.X86_64}
	p, _ := load(t, text, archs)
	var titles []string
	for _, f := range find(t, gate.OfPolicy("t.gate", p)) {
		if f.ID == "MB021" {
			titles = append(titles, f.Title)
		}
	}
	want := []string{"open openat are refused, and creat openat2 does the same", "execve is refused, and execveat does the same"}
	if !slices.Equal(titles, want) {
		t.Errorf("%q, want %q", titles, want)
	}
}

// What is found in the presets can be defended in a sentence each.
func TestPresets(t *testing.T) {
	defended := map[string][]string{
		// socketcall lets any socket pass on x86, as in Docker's profile; the terminal is a container's own; Docker's
		// profile says EPERM for unknown numbers, and runc puts ENOSYS before it; ptrace reaches the container's own
		// processes.
		"@container": {"MB012", "MB013", "MB014", "MB019"},
		// The kernel's strict mode allows exit and not exit_group, and kills for all else.
		"@strict": {"MB014", "MB023", "MB025", "MB028"},
		// For programs that compute, and for Go ones, whose runtime makes the calls that it names and no newer forms of
		// them.
		"@libc":       {"MB022", "MB025", "MB026", "MB028"},
		"@compute":    {"MB022"},
		"@go-runtime": {"MB026", "MB027", "MB028"},
		"@go-exec":    {"MB026", "MB027", "MB028"},
	}
	for _, name := range lang.Presets() {
		p, err := lang.LoadPreset(name, lang.Options{Archs: []abi.Arch{abi.X86_64, abi.X86, abi.X32}})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range find(t, gate.OfPolicy("t.gate", p)) {
			if !slices.Contains(defended[name], f.ID) {
				t.Errorf("%s: %s %s, on %v", name, f.ID, f.Title, f.Archs)
			}
		}
	}
}

// The catalogue is whole: IDs in a row, each entry with all of its parts.
func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	i := -1
	for e := range lint.Checks() {
		i++
		if want := fmt.Sprintf("MB%03d", i+1); e.ID != want {
			t.Errorf("%s stands where %s should", e.ID, want)
		}
		if seen[e.Name] || !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`).MatchString(e.Name) {
			t.Errorf("%s has the name %q", e.ID, e.Name)
		}
		seen[e.Name] = true
		if e.Title == "" || e.Why == "" || e.Fix == "" || !regexp.MustCompile(`^(CVE-|https://)`).MatchString(e.Reference) {
			t.Errorf("%s is not complete: %+v", e.ID, e)
		}
	}
}

func TestIgnores(t *testing.T) {
	src := "# monban:ignore MB013 a terminal of its own\nallow ioctl # monban:ignore MB003 why not\n# monban is fine\n"
	got, err := lint.Ignores("t.gate", []byte(src))
	if err != nil || len(got) != 2 || !got[0].Whole || got[1].Whole || got[1].Pos.Line != 2 || got[1].Pos.Col != 13 || got[1].Reason != "why not" {
		t.Errorf("%+v, %v", got, err)
	}
	// What is between quotes is not a comment, and what is inside brackets is one.
	got, err = lint.Ignores("t.gate", []byte("include \"a # monban:ignore MB013 x\"\nallow read(fd == 1 # monban:ignore MB003 y\n# monban:ignore MB004 z\n)\n"))
	if err != nil || len(got) != 2 || got[0].ID != "MB003" || got[0].Whole || got[0].Pos.Col != 20 || got[1].ID != "MB004" || !got[1].Whole || got[1].Pos.Line != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	for src, want := range map[string]string{
		"# monban:ignore":                    "t.gate:1:1: monban:ignore names no pitfall",
		"allow read # monban:ignore MB999 x": "t.gate:1:12: MB999 is not a pitfall",
		"# monban:ignore MB013":              "t.gate:1:1: say why MB013 is ignored",
	} {
		if _, err := lint.Ignores("t.gate", []byte(src)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", src, err, want)
		}
	}
}

// What lies beyond the first thousands of ranges of an upper half is found, and of a witness the lower half belongs to
// the upper one.
func TestManyUpperHalves(t *testing.T) {
	const text = `ld [arch]
jeq #0xc000003e, 2, 14
ld [nr]
jeq #16, 4, 14
ld [args[1].hi]
jset #0x80000000, 6, 7
ret allow
jset #1, 8, 10
ld [args[1].lo]
jeq #1, 13, 14
ld [args[1].lo]
jeq #1, 13, 12
jeq #2, 13, 14
ret allow
ret errno(1)
`
	program, err := bpf.Assemble("t", strings.NewReader(".order little\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range find(t, gate.OfPrograms("t.bpf", binary.LittleEndian, program)) {
		if f.ID == "MB003" && slices.Contains(f.Calls, "ioctl") {
			if do := program.Run(&f.Call, binary.LittleEndian); do != bpf.Allow || f.Call.Args[1]>>32 == 0 {
				t.Errorf("the witness %+v gets %v", f.Call, do)
			}
			return
		}
	}
	t.Error("the escape by the upper half of request is not found")
}

func BenchmarkFind(b *testing.B) {
	native := abi.X86_64
	p, err := lang.LoadPreset("@container", lang.Options{Archs: []abi.Arch{abi.X86_64, abi.X86, abi.X32}, Native: native})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if len(find(b, gate.OfPolicy("t.gate", p))) == 0 {
			b.Fatal("nothing found")
		}
	}
}
