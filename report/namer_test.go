package report

import (
	"testing"

	"monban/abi"
)

// The names in a listing are those of whose number it is.
func TestNamer(t *testing.T) {
	token := abi.X86_64.Token()
	for nr, want := range map[uint32]string{
		0: "read", 0x3fffffff: "", 0x40000000: "read", 0x40000005: "fstat", 0x80000000: "", 0xc0000000: "", 0xffffffff: "",
	} {
		if got := (namer{}).Call(token, nr); got != want {
			t.Errorf("%#x is %q, want %q", nr, got, want)
		}
	}
	if got := (namer{}).Arch(token); got != "x86_64" {
		t.Errorf("the token is %q's", got)
	}
	if got := (namer{}).Arch(abi.NoToken); got != "" {
		t.Errorf("nobody's token is %q's", got)
	}
}
