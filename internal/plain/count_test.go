package plain

import "testing"

func TestCount(t *testing.T) {
	for got, want := range map[string]string{
		Count(0, "call"): "0 calls", Count(1, "call"): "1 call", Count(uint64(2), "process"): "2 processes",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
