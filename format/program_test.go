package format

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"monban/bpf"
	"monban/gate"
	"monban/verdict"
)

// filter is the gate of some instructions with semicolons between them.
func filter(t *testing.T, texts ...string) *gate.Gate {
	t.Helper()
	var programs []bpf.Program
	for _, text := range texts {
		p, err := bpf.Assemble("test", strings.NewReader(strings.ReplaceAll(text, "; ", "\n")))
		if err != nil {
			t.Fatal(err)
		}
		programs = append(programs, p)
	}
	return gate.OfPrograms("odd.bpf", binary.LittleEndian, programs...)
}

const (
	archBit = "ld [arch]; jset #1, 2, 3; ret #0x7fff0000; ret #0x50001"
	ranges  = "ld [nr]; jset #0x55555555, 2, 3; ret #0x7fff0000; ret #0x50001"                          // 65,536 of numbers
	lowBits = "ld [24]; and #0x7f; tax; ld [16]; and #0x7f; jeq x, 6, 7; ret #0x7fff0000; ret #0x50001" // an argument's is another's
	allBits = "ld [24]; tax; ld [16]; jeq x, 4, 5; ret #0x7fff0000; ret #0x50001"                       // no budget suffices
)

// What a filter does that no rules say, formats of programs write all the same, and it means that still.
func TestWriteRuleless(t *testing.T) {
	for _, text := range []string{archBit, ranges, lowBits, allBits} {
		g := filter(t, text)
		for _, name := range []string{"c", "go", "bpf"} {
			to, _ := Find(name)
			out, err := Write(g, to, "", Options{})
			if err != nil {
				t.Errorf("%s as %s: %v", text, name, err)
				continue
			}
			back, err := Parse(to, "back", out.Bytes, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if text == allBits {
				if !slices.Equal(back.Programs[0], g.Programs[0]) {
					t.Errorf("%s as %s: it is %v now", text, name, back.Programs[0])
				}
			} else {
				s := verdict.NewSpace(verdict.DefaultBudget)
				a, err := g.In(s).Verdict()
				b, err2 := back.In(s).Verdict()
				if err != nil || err2 != nil || a != b {
					t.Errorf("%s as %s: %v, %v, equal: %v", text, name, err, err2, a == b)
				}
			}
			if said := len(out.Notes) == 1 && strings.Contains(out.Notes[0], "odd.bpf: the meaning of this filter is too complex"); said != (text == allBits) {
				t.Errorf("%s as %s: notes %q", text, name, out.Notes)
			}
			if own := strings.Contains(string(out.Bytes), "the filter's own instructions"); name != "bpf" && own != (text == lowBits || text == allBits) {
				t.Errorf("%s as %s claims another proof:\n%s", text, name, out.Bytes)
			}
		}
		to, _ := Find("gate")
		_, err := Write(g, to, "", Options{})
		if err == nil || !strings.Contains(err.Error(), "odd.bpf") {
			t.Errorf("%s as a gate: %v", text, err)
		}
	}
	to, _ := Find("c")
	_, err := Write(filter(t, archBit, allBits), to, "", Options{})
	if !errors.Is(err, verdict.ErrTooComplex) || !strings.HasPrefix(err.Error(), "odd.bpf: ") {
		t.Errorf("two filters, one too complex: %v", err)
	}
	// Several that are one filter together.
	out, err := Write(filter(t, archBit, lowBits), to, "", Options{})
	if err != nil || strings.Contains(string(out.Bytes), "own instructions") {
		t.Errorf("two filters: %v", err)
	}
}

// What cannot be written is an error of a type.
func TestWriteErrors(t *testing.T) {
	g := filter(t, archBit)
	for name, c := range map[string]struct{ target, want string }{
		"strace": {"", "strace's log can only be read, not written"},
		"c":      {"docker", "docker: C source is the same for all programs"},
		"oci":    {"", "odd.bpf: architectures other than those named below do not all get the same answers: which ones get which, this text does not show: no rules say that"},
	} {
		to, _ := Find(name)
		if name == "strace" {
			c.want = to.Title + " can only be read, not written"
		}
		_, err := Write(g, to, c.target, Options{})
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}
