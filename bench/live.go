package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"golang.org/x/sys/unix"

	"monban/abi"
	"monban/bpf"
	"monban/verdict"
)

// A call is one system call that is made behind every filter. None changes anything, whether it is let through or not.
type call struct {
	Name string
	Nr   uint32
	Args [4]uint64
}

// calls are: one that the kernel's cache answers, one that is decided by its arguments and fails at once in the kernel
// (type 0xff has flags that don't exist), one that succeeds at once, and one that containers are denied (its flags
// don't exist either).
var calls = []call{
	{"getppid", unix.SYS_GETPPID, [4]uint64{}},
	{"socket", unix.SYS_SOCKET, [4]uint64{unix.AF_INET, 0xff, 0}},
	{"personality", unix.SYS_PERSONALITY, [4]uint64{0xffffffff}},
	{"kexec_load", unix.SYS_KEXEC_LOAD, [4]uint64{0, 0, 0, math.MaxUint32}},
}

// data is the call as a filter sees it.
func (c *call) data() bpf.Data {
	d := bpf.Data{Arch: abi.X86_64.Token(), Nr: c.Nr}
	copy(d.Args[:], c.Args[:])
	return d
}

// processors are those that this process may run on.
func processors() (cpus []int, err error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, err
	}
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	return cpus, nil
}

// live is what the kernel makes of a program.
type live struct {
	install []float64   // µs, a sample a child: the median of its installations
	calls   [][]float64 // ns a call, by call, a sample a child: its fastest batch
	wrong   []string    // by call: the answer, where it isn't the policy's
}

func newLive() *live {
	return &live{calls: make([][]float64, len(calls)), wrong: make([]string, len(calls))}
}

// measureLive has every program measured once a round, one child after the other, so that all share whatever the
// machine is busy with; rounds take turns with the processors and with who comes first. What is returned is that
// without a filter.
func measureLive(r *Rules, rows []*result, rounds int) (bare *live, err error) {
	cpus, err := processors()
	if err != nil {
		return nil, err
	}
	bare = newLive()
	for round := range rounds {
		o := order{Installs: 10, Batches: 10, Repeat: 1000, CPU: cpus[round%len(cpus)]}
		first, err := runChild(o)
		if err != nil {
			return nil, err
		}
		bare.take(first)
		for i := range rows {
			x := rows[(i+round)%len(rows)]
			if x.err != nil {
				continue
			}
			o.Program = x.program.Encode(binary.LittleEndian)
			got, err := runChild(o)
			if err != nil {
				x.err = fmt.Errorf("%s: %w", r.Name, err)
				continue
			}
			if x.live == nil {
				x.live = newLive()
				if err := x.live.check(r, x.runc, first.Errno, got.Errno); err != nil {
					return nil, err
				}
			}
			x.live.take(got)
		}
	}
	return bare, nil
}

func (l *live) take(r report) {
	l.install = append(l.install, median(r.Install))
	for i, ns := range r.Calls {
		l.calls[i] = append(l.calls[i], ns)
	}
}

// check compares the answers that calls got with the policy's.
func (l *live) check(r *Rules, runc bool, bare, got []int) error {
	v, err := r.verdict(verdict.NewSpace(verdict.DefaultBudget), runc, nil)
	if err != nil {
		return err
	}
	for i, c := range calls {
		d := c.data()
		want := bare[i]
		switch do := v.At(&d); do.Kind() {
		case bpf.Allow:
		case bpf.Errno:
			want = int(do.Data())
		default:
			return fmt.Errorf("%s answers %s with %s, which can't be measured", r.Name, c.Name, do)
		}
		if got[i] != want {
			l.wrong[i] = fmt.Sprintf("answered with %v", unix.Errno(got[i]))
		}
	}
	return nil
}

// ratio is how many times y x is: the median of the rounds' own ratios, for in one round both met the same machine.
func ratio(x, y []float64) float64 {
	each := make([]float64, min(len(x), len(y)))
	for i := range each {
		each[i] = x[i] / y[i]
	}
	return median(each)
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
