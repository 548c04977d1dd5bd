package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"monban/abi"
	"monban/bpf"
	"monban/policy/lang"
)

// TestDeciderText: the rule that decides is shown shortly, and is not written anew for each answer.
func TestDeciderText(t *testing.T) {
	var src strings.Builder
	src.WriteString("arch x86_64\ndefault errno(EPERM)\nallow write\nallow any(nr in {0")
	for i := 3; i < 300_000; i += 3 {
		fmt.Fprintf(&src, ",%d", i)
	}
	src.WriteString("})\n")
	p, err := lang.Load("many.gate", []byte(src.String()), lang.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := p.Decider()
	begin := time.Now()
	for range 2000 {
		got, err := d.Decide(&bpf.Data{Arch: abi.X86_64.Token(), Nr: 0})
		if err != nil {
			t.Fatal(err)
		}
		text := d.Text(got.Rule)
		if n := utf8.RuneCountInString(text); n > 240 || !strings.HasPrefix(text, "allow any(nr in {0, 3, 6, ") || !strings.HasSuffix(text, "…") {
			t.Fatalf("%d characters: %.300s", n, text)
		}
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("2000 answers took %v", took)
	}
	if text := d.Text(&p.Rules[0]); text != "allow write" {
		t.Errorf("a short rule is shown as %q", text)
	}
}
