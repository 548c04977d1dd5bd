package bpf

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	const a = "0xfffffff0" // what ld #a loads
	for _, c := range []struct {
		text string
		want uint32
	}{
		{"ret a", 0}, {"txa\nret a", 0}, {"ret #7", 7},
		{"ld #" + a + "\nadd #0x20\nret a", 0x10},
		{"ld #1\nsub #2\nret a", 0xffffffff},
		{"ld #0x10001\nmul #0x10001\nret a", 0x20001},
		{"ld #" + a + "\ndiv #16\nret a", 0x0fffffff},
		{"ld #" + a + "\nand #0xff\nret a", 0xf0},
		{"ld #0xf0\nor #0xf\nret a", 0xff},
		{"ld #0xf0\nxor #0xff\nret a", 0xf},
		{"ld #3\nlsh #31\nret a", 0x80000000},
		{"ld #" + a + "\nrsh #31\nret a", 1},
		{"ld #5\nneg\nret a", 0xfffffffb},
		{"ldx #3\nld #10\nadd x\nret a", 13}, {"ldx #3\nld #10\nsub x\nret a", 7}, {"ldx #3\nld #10\nmul x\nret a", 30},
		{"ldx #3\nld #10\ndiv x\nret a", 3}, {"ldx #3\nld #10\nand x\nret a", 2}, {"ldx #3\nld #10\nor x\nret a", 11},
		{"ldx #3\nld #10\nxor x\nret a", 9}, {"ldx #3\nld #10\nlsh x\nret a", 80}, {"ldx #3\nld #10\nrsh x\nret a", 1},
		{"ldx #32\nld #10\nlsh x\nret a", 10}, {"ldx #0xffffffff\nld #" + a + "\nrsh x\nret a", 1},
		{"ld #10\ndiv x\nret #1", uint32(KillThread)}, // X is 0 and ends the filter
		{"ld #len\nret a", 64}, {"ldx #len\ntxa\nret a", 64},
		{"ld #9\nst M[15]\nld #0\nld M[15]\nret a", 9},
		{"ldx #9\nstx M[0]\nldx #0\nldx M[0]\ntxa\nret a", 9},
		{"ld #9\ntax\nld #0\ntxa\nret a", 9},
		{"ja 2\nret #1\nret #2", 2},
		{"ld #5\njeq #5, 2, 3\nret #1\nret #2", 1}, {"ld #5\njeq #4, 2, 3\nret #1\nret #2", 2},
		{"ld #5\njgt #5, 2, 3\nret #1\nret #2", 2}, {"ld #5\njgt #4, 2, 3\nret #1\nret #2", 1},
		{"ld #5\njge #5, 2, 3\nret #1\nret #2", 1}, {"ld #5\njge #6, 2, 3\nret #1\nret #2", 2},
		{"ld #5\njset #4, 2, 3\nret #1\nret #2", 1}, {"ld #5\njset #2, 2, 3\nret #1\nret #2", 2},
		{"ld #5\njset #0, 2, 3\nret #1\nret #2", 2}, {"ld #0x80000000\njgt #1, 2, 3\nret #1\nret #2", 1},
		{"ld #5\njeq x, 2, 3\nret #1\nret #2", 2}, {"ld #5\njgt x, 2, 3\nret #1\nret #2", 1},
		{"ld #5\njge x, 2, 3\nret #1\nret #2", 1}, {"ld #5\njset x, 2, 3\nret #1\nret #2", 2},
		// The kernel runs none of these; they must only not run wild.
		{"ld #1", uint32(KillProcess)}, {"raw 0xffff, 0, 0, 0", uint32(KillProcess)},
		{"raw 0x94, 0, 0, 2\nret a", uint32(KillProcess)}, {"raw 0x05, 0, 0, 0xffffffff\nret a", uint32(KillProcess)},
		{"raw 0x20, 0, 0, 64\nret a", uint32(KillProcess)}, {"raw 0x60, 0, 0, 16\nret a", uint32(KillProcess)},
		{"raw 0x15, 9, 9, 0\nret a", uint32(KillProcess)}, {"div #0\nret #1", uint32(KillThread)},
	} {
		if got := mustAssemble(t, c.text).Run(&Data{}, binary.LittleEndian); got != Action(c.want) {
			t.Errorf("%q: %#x, want %#x", c.text, uint32(got), c.want)
		}
	}
}

func TestRunLoadsWords(t *testing.T) {
	d := Data{Nr: 1, Arch: 2, IP: 0x0000000400000003}
	for i := range d.Args {
		d.Args[i] = uint64(6+2*i)<<32 | uint64(5+2*i)
	}
	for n := range uint32(16) {
		p := Program{{Code: LD | W | ABS, K: 4 * n}, {Code: RET | A}}
		if got := p.Run(&d, binary.LittleEndian); got != Action(n+1) {
			t.Errorf("little-endian, offset %d: %d, want %d", 4*n, got, n+1)
		}
		big := n + 1
		if n >= 2 { // halves change places
			big = n ^ 1 + 1
		}
		if got := p.Run(&d, binary.BigEndian); got != Action(big) {
			t.Errorf("big-endian, offset %d: %d, want %d", 4*n, got, big)
		}
	}
	for _, order := range orders {
		low, high := ArgOffsets(5, order)
		w := d.Words(order)
		if w[low/4] != uint32(d.Args[5]) || w[high/4] != uint32(d.Args[5]>>32) {
			t.Errorf("%v: ArgOffsets(5) = %d, %d", order, low, high)
		}
	}
}

func TestTrace(t *testing.T) {
	p := mustAssemble(t, "ld [nr]\njeq #41, deny\nja allow\ndeny: ret errno(1)\nallow: ret allow")
	for nr, want := range map[uint32]string{41: "0 1 3", 42: "0 1 2 4"} {
		var seen []string
		d := Data{Nr: nr}
		action := p.Trace(&d, binary.LittleEndian, func(pc int) { seen = append(seen, strconv.Itoa(pc)) })
		if got := strings.Join(seen, " "); got != want || action != p.Run(&d, binary.LittleEndian) {
			t.Errorf("nr %d runs %s to %v, want %s", nr, got, action, want)
		}
		if n := p.Executed(&d, binary.LittleEndian); n != len(seen) {
			t.Errorf("nr %d: Executed %d, want %d", nr, n, len(seen))
		}
	}
}

// vectors is what libseccomp's own test suite says that one of its programs answers.
type vectors struct {
	BPF   string `json:"bpf"`
	Cases []struct {
		Line   int
		Expect string
		Args   [6]*[2]string
		Cases  []struct {
			Arch      string
			AuditArch string `json:"audit_arch"`
			Nr        [2]uint32
			Count     int
		}
	}
}

// libseccompAction reads ALLOW, ERRNO(1), and KILL, which is kill_thread.
func libseccompAction(t *testing.T, s string) Action {
	name, data, _ := strings.Cut(strings.TrimSuffix(s, ")"), "(")
	kinds := map[string]Action{"ALLOW": Allow, "LOG": Log, "KILL": KillThread, "KILL_PROCESS": KillProcess, "TRAP": Trap,
		"ERRNO": Errno, "TRACE": Trace, "NOTIFY": Notify}
	kind, ok := kinds[name]
	if !ok {
		t.Fatalf("unknown action %s", s)
	}
	n, _ := strconv.ParseUint(data, 10, 16)
	return kind | Action(n)
}

func TestLibseccompVectors(t *testing.T) {
	calls, arches := 0, map[string]bool{}
	for _, file := range corpus(t, "libseccomp/vectors/*.json") {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var v vectors
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		raw, err := os.ReadFile(filepath.Join(filepath.Dir(file), "..", "bpf", v.BPF))
		if err != nil {
			t.Fatal(err)
		}
		p, err := Decode(raw, binary.LittleEndian)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range v.Cases {
			want := libseccompAction(t, c.Expect)
			var ranges [6][2]uint64
			for i, a := range c.Args {
				for end := 0; a != nil && end < 2; end++ {
					if ranges[i][end], err = strconv.ParseUint(a[end], 0, 64); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, on := range c.Cases {
				token, err := strconv.ParseUint(on.AuditArch, 0, 32)
				if err != nil {
					t.Fatal(err)
				}
				arches[on.Arch] = true
				n := 0
				eachArgs(ranges, func(args [6]uint64) {
					for nr := on.Nr[0]; nr <= on.Nr[1]; nr++ {
						n++
						d := Data{Nr: nr, Arch: uint32(token), Args: args}
						if got := p.Run(&d, binary.LittleEndian); got != want {
							t.Fatalf("%s, line %d: %s %d %v: %v, want %v", v.BPF, c.Line, on.Arch, nr, args, got, want)
						}
					}
				})
				if n != on.Count {
					t.Errorf("%s, line %d: %d calls, want %d", v.BPF, c.Line, n, on.Count)
				}
				calls += n
			}
		}
	}
	t.Logf("%d calls on %d architectures", calls, len(arches))
	if len(arches) < 10 {
		t.Errorf("vectors for %d architectures only", len(arches))
	}
}

// eachArgs visits every combination of arguments.
func eachArgs(ranges [6][2]uint64, visit func([6]uint64)) {
	var args [6]uint64
	var from func(i int)
	from = func(i int) {
		if i == len(args) {
			visit(args)
			return
		}
		for n := range ranges[i][1] - ranges[i][0] + 1 {
			args[i] = ranges[i][0] + n
			from(i + 1)
		}
	}
	from(0)
}
