package firecracker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/format/codec"
	"monban/policy"
)

func load(t testing.TB, src, thread string) (*policy.Policy, error) {
	t.Helper()
	in := &codec.Input{Name: "f", Part: thread, Src: []byte(src), Options: codec.Options{Native: abi.X86_64}}
	parsed, err := Format().Read(in)
	if err != nil {
		return nil, err
	}
	return parsed.Policy, nil
}

func decide(t testing.TB, p *policy.Policy, d bpf.Data) bpf.Action {
	t.Helper()
	got, err := p.Decide(&d)
	if err != nil {
		t.Fatal(err)
	}
	return got.Action
}

func one(rules string) string {
	return `{"t": {"mismatch_action": {"errno": 1}, "match_action": "allow", "filter": [` + rules + `]}}`
}

func test(op, kind, val string) string {
	return one(`{"syscall": "ioctl", "args": [{"index": 1, "type": "` + kind + `", "op": ` + op + `, "val": ` + val + `}]}`)
}

// Each operator at both widths: a dword passes over the high half of the register.
func TestOperators(t *testing.T) {
	for _, c := range []struct {
		op, kind, val string
		yes, no       []uint64
	}{
		{`"eq"`, "dword", "5", []uint64{5, 1<<32 | 5}, []uint64{4, 6}},
		{`"eq"`, "qword", "5", []uint64{5}, []uint64{4, 1<<32 | 5}},
		{`"ne"`, "dword", "5", []uint64{4, 1 << 32}, []uint64{5, 1<<32 | 5}},
		{`"ne"`, "qword", "5", []uint64{4, 1<<32 | 5}, []uint64{5}},
		{`"gt"`, "dword", "5", []uint64{6, 0xffffffff}, []uint64{5, 1<<32 | 5}},
		{`"gt"`, "qword", "5", []uint64{6, 1 << 32, 1<<63 | 1}, []uint64{5, 0}},
		{`"ge"`, "dword", "5", []uint64{5, 1<<32 | 5}, []uint64{4, 1<<32 | 4}},
		{`"ge"`, "qword", "5", []uint64{5, 1<<32 | 4}, []uint64{4}},
		{`"lt"`, "dword", "5", []uint64{4, 1<<32 | 4}, []uint64{5}},
		{`"lt"`, "qword", "5", []uint64{4}, []uint64{5, 1 << 32}},
		{`"le"`, "dword", "5", []uint64{5, 1<<32 | 5}, []uint64{6}},
		{`"le"`, "qword", "4294967301", []uint64{5, 1<<32 | 5}, []uint64{1<<32 | 6}},
		{`{"masked_eq": 12}`, "dword", "7", []uint64{4, 1<<32 | 5}, []uint64{12, 0}},
		{`{"masked_eq": 4294967300}`, "qword", "5", []uint64{4, 7}, []uint64{1<<32 | 4, 0}},
	} {
		p, err := load(t, test(c.op, c.kind, c.val), "")
		if err != nil {
			t.Errorf("%s %s %s: %v", c.op, c.kind, c.val, err)
			continue
		}
		for want, args := range map[bpf.Action][]uint64{bpf.Allow: c.yes, bpf.Errno | 1: c.no} {
			for _, a := range args {
				d := bpf.Data{Arch: abi.X86_64.Token(), Nr: 16, Args: [6]uint64{9, a}}
				if got := decide(t, p, d); got != want {
					t.Errorf("%s %s %s, argument %#x: %s, want %s", c.op, c.kind, c.val, a, got, want)
				}
			}
		}
	}
}

func TestArchitecture(t *testing.T) {
	p, err := load(t, one(`{"syscall": "read"}`), "t")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		d    bpf.Data
		want bpf.Action
	}{
		{bpf.Data{Arch: abi.X86_64.Token()}, bpf.Allow},
		{bpf.Data{Arch: abi.X86_64.Token(), Nr: abi.X32Bit}, bpf.Errno | 1},
		{bpf.Data{Arch: abi.X86_64.Token(), Nr: 9999}, bpf.Errno | 1},
		{bpf.Data{Arch: abi.AArch64.Token()}, bpf.KillProcess},
	} {
		if got := decide(t, p, c.d); got != c.want {
			t.Errorf("%+v: %s, want %s", c.d, got, c.want)
		}
	}
}

// spec is the file as its documents describe it, evaluated without the package.
type spec map[string]struct {
	Filter []struct {
		Syscall string
		Args    []struct {
			Index   int
			Type    string
			Op      any
			Val     uint64
			Comment string
		}
	}
}

// Firecracker's own filters: every test of every rule is met and missed in each way that one argument can.
func TestFirecracker(t *testing.T) {
	dir := os.Getenv("MONBAN_CORPUS")
	if dir == "" {
		t.Skip("needs MONBAN_CORPUS, the directory with other projects' data")
	}
	src, err := os.ReadFile(filepath.Join(dir, "firecracker", "x86_64.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file spec
	if err := json.Unmarshal(src, &file); err != nil {
		t.Fatal(err)
	}
	vectors := 0
	for thread, f := range file {
		p, err := load(t, string(src), thread)
		if err != nil {
			t.Fatal(err)
		}
		matches := func(nr uint32, args [6]uint64) bool {
			for _, r := range f.Filter {
				if n, _ := abi.X86_64.Number(r.Syscall); n != nr {
					continue
				}
				all := true
				for _, a := range r.Args {
					got, val := args[a.Index], a.Val
					if m, ok := a.Op.(map[string]any); ok {
						got, val = got&uint64(m["masked_eq"].(float64)), val&uint64(m["masked_eq"].(float64))
					} else if a.Op != "eq" {
						t.Fatalf("the test does not know %v", a.Op)
					}
					if a.Type == "dword" {
						got, val = uint64(uint32(got)), uint64(uint32(val))
					}
					all = all && got == val
				}
				if all {
					return true
				}
			}
			return false
		}
		check := func(nr uint32, args [6]uint64) {
			vectors++
			want := bpf.Trap
			if matches(nr, args) {
				want = bpf.Allow
			}
			if got := decide(t, p, bpf.Data{Arch: abi.X86_64.Token(), Nr: nr, Args: args}); got != want {
				t.Errorf("%s: %d %x: %s, want %s", thread, nr, args, got, want)
			}
		}
		for nr := range uint32(500) {
			check(nr, [6]uint64{})
		}
		for _, r := range f.Filter {
			nr, _ := abi.X86_64.Number(r.Syscall)
			var met [6]uint64
			for _, a := range r.Args {
				met[a.Index] = a.Val
			}
			check(nr, met)
			for _, a := range r.Args {
				for _, off := range []uint64{1, 2, 4, 1 << 31, 1 << 32, 1 << 63} {
					missed := met
					missed[a.Index] ^= off
					check(nr, missed)
				}
			}
		}
	}
	if vectors < 1700 {
		t.Errorf("only %d vectors", vectors)
	}
}

var wrong = []struct{ src, thread, want string }{
	{"", "", "f: the file is empty (a seccomp filter file is a JSON object)"},
	{"[]", "", "f:1:1: a filter file is an object of threads and their filters, not an array"},
	{"{}", "", "f:1:1: a filter file is an object of threads and their filters, not an empty one"},
	{`{"vmm": {}, "api": {}}`, "", "f:1:1: filters of several threads: say which with #, as in firecracker:f#vmm (there are vmm api)"},
	{`{"vmm": {}, "api": {}}`, "vm", `f:1:1: no thread is called "vm" (did you mean vmm?)`},
	{`{"vmm": {}}`, "", "f:1:9: a filter without filter (add it)"},
	{`{"vmm": {"filter": []}}`, "", "f:1:9: a filter needs mismatch_action and match_action"},
	{one(`{"syscall": "raed"}`), "", `f:1:89: x86_64 has no system call "raed" (did you mean read?)`},
	{one(`{"syscall": "read", "args": []}`), "", "f:1:105: empty args (remove them"},
	{one(`{"sycall": "read"}`), "", `f:1:78: unknown field "sycall" in a rule (did you mean syscall?)`},
	{test(`"eqq"`, "dword", "1"), "", `unknown op "eqq"`},
	{test(`"eq"`, "word", "1"), "", `unknown type "word" (did you mean dword?)`},
	{test(`"eq"`, "dword", "-1"), "", "val must be a whole number from 0 to 18446744073709551615, not -1"},
	{`{"t": {"mismatch_action": "allow", "match_action": "allow", "filter": []}}`, "", "f:1:52: match_action is the same as"},
	{`{"t": {"mismatch_action": "errno", "match_action": "allow", "filter": []}}`, "", `f:1:27: errno needs a number (write {"errno": 1})`},
	{`{"t": {"mismatch_action": {"errno": 65536}, "match_action": "allow", "filter": []}}`, "", "errno must be a whole number from 0 to 65535"},
	{`{"t": {"mismatch_action": "trap", "default_action": "trap", "match_action": "allow", "filter": []}}`, "", "(keep one)"},
	{one(`{"syscall": "read"}`)[:50], "", "(is it truncated?)"},
}

func TestErrors(t *testing.T) {
	for _, c := range wrong {
		_, err := load(t, c.src, c.thread)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60s: %v\nwant %s", c.src, err, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, c := range wrong {
		f.Add(c.src)
	}
	f.Add(test(`{"masked_eq": 12}`, "dword", "7"))
	f.Fuzz(func(t *testing.T, src string) {
		if p, err := load(t, src, ""); err == nil {
			decide(t, p, bpf.Data{Arch: abi.X86_64.Token(), Nr: 16})
		}
	})
}
