package sandbox

import (
	"slices"
	"testing"

	"monban/bpf"
)

// Calls of one number are one, whatever their arguments and whoever made them; those of two architectures are two.
func TestResultCalls(t *testing.T) {
	killed := func(pid int, arch, nr uint32, arg uint64) Killed {
		return Killed{PID: pid, Data: bpf.Data{Arch: arch, Nr: nr, Args: [6]uint64{arg}}}
	}
	r := &Result{Killed: []Killed{killed(1, 7, 41, 0), killed(2, 7, 42, 1), killed(3, 7, 41, 2), killed(4, 8, 41, 0), killed(5, 7, 41, 0)}}
	first, times := r.Calls()
	if want := []Killed{r.Killed[0], r.Killed[1], r.Killed[3]}; !slices.Equal(first, want) || !slices.Equal(times, []int{3, 1, 1}) {
		t.Errorf("%v, %v", first, times)
	}
	if first, times := (&Result{}).Calls(); first != nil || times != nil {
		t.Errorf("nothing was killed: %v, %v", first, times)
	}
}
