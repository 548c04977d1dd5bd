package bpf

import "testing"

// That this is what the kernel counts is tested against it, in package seccomp.
func TestKernelLen(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
	}{
		{"ret allow", 5},
		{"ret a", 4},
		{"ld [nr]\njeq #1, 2, 2\nret allow", 7},
		{"ld [nr]\njeq #1, 3, 2\nret allow\nret allow", 9},
		{"ld [nr]\njeq #1, 2, 3\nret allow\nret allow", 9},
		{"ld [nr]\njset #1, 2, 3\nret allow\nret allow", 10},
		{"ld [nr]\njge #0x80000000, 3, 4\nret log\nret allow\nret allow", 13},
		{"ld [nr]\ndiv x\nret a", 10},
	} {
		if got := mustAssemble(t, c.text).KernelLen(); got != c.want {
			t.Errorf("%q: %d instructions, want %d", c.text, got, c.want)
		}
	}
}
