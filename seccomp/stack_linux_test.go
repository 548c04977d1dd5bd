package seccomp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/ptrace"
)

func init() {
	// Filters up to the very last instruction that the kernel takes, and one more: so much is what KernelLen counts.
	deeds["to the brim"] = func() {
		r := rand.New(rand.NewPCG(7, 7))
		count := map[string]int{}
		for range 25 {
			p := randomProgram(r)
			check(p.Check())
			for more := range 2 {
				done := make(chan struct{})
				go ptrace.OwnThread(func() {
					defer close(done)
					check(NoNewPrivs())
					check(Install(p, 0))
					room := bpf.MaxStacked - (p.KernelLen() + bpf.StackedExtra)
					for range 7 {
						check(Install(filler(4096), 0))
						room -= filler(4096).KernelLen() + bpf.StackedExtra
					}
					err := Install(filler(1+room-filler(1).KernelLen()+more), 0)
					count[fmt.Sprintf("%d more: %v", more, errors.Is(err, unix.ENOMEM))]++
				})
				<-done
			}
		}
		report("out of room", count)
	}
	deeds["stack"] = func() {
		runtime.LockOSThread()
		check(NoNewPrivs())
		unfit := bpf.Program{{Code: bpf.RET | bpf.X}}
		err := InstallStack([]bpf.Program{denyGetpriority(7), unfit}, 0)
		report("unfit", err != nil && strings.HasPrefix(err.Error(), "filter 2 of 2: the kernel does not admit it"))
		report("too long", errors.Is(InstallStack(slices.Repeat([]bpf.Program{filler(4096)}, 8), 0), unix.ENOMEM))
		report("meanwhile", getpriority())
		check(InstallStack([]bpf.Program{denyGetpriority(7), denyGetpriority(9), filler(2)}, 0))
		report("the newest of equals", getpriority())
	}
}

// filler allows everything in n instructions.
func filler(n int) bpf.Program {
	return append(slices.Repeat(bpf.Program{{Code: bpf.LD | bpf.W | bpf.ABS}}, n-1), allowAll...)
}

// randomProgram has instructions of all kinds, none of which is ever reached: it allows everything.
func randomProgram(r *rand.Rand) bpf.Program {
	n := 20 + r.IntN(200)
	p := bpf.Program{{Code: bpf.JMP | bpf.JA, K: uint32(n)}}
	for i := range n {
		in := bpf.Instruction{K: uint32(1 + r.IntN(8))}
		if r.IntN(2) == 0 {
			in.K = r.Uint32() | 1
		}
		source := uint16(r.IntN(2)) * bpf.X
		switch r.IntN(8) {
		case 0:
			in.Code, in.K = bpf.LD|bpf.W|bpf.ABS, uint32(4*r.IntN(16))
		case 1:
			in.Code = []uint16{bpf.LD | bpf.IMM, bpf.LDX | bpf.IMM, bpf.LD | bpf.W | bpf.LEN, bpf.LDX | bpf.W | bpf.LEN}[r.IntN(4)]
		case 2:
			in.Code, in.K = []uint16{bpf.ST, bpf.STX, bpf.LD | bpf.MEM, bpf.LDX | bpf.MEM}[r.IntN(4)], uint32(r.IntN(16))
		case 3:
			in.Code = []uint16{bpf.MISC | bpf.TAX, bpf.MISC | bpf.TXA, bpf.RET | bpf.K, bpf.RET | bpf.A}[r.IntN(4)]
		case 4:
			op := []uint16{bpf.ADD, bpf.SUB, bpf.MUL, bpf.DIV, bpf.OR, bpf.AND, bpf.XOR}[r.IntN(7)]
			in.Code = bpf.ALU | op | source
		case 5:
			in.Code, in.K = bpf.ALU|[]uint16{bpf.LSH, bpf.RSH, bpf.NEG}[r.IntN(3)], uint32(r.IntN(32))
		default:
			op := []uint16{bpf.JEQ, bpf.JGT, bpf.JGE, bpf.JSET}[r.IntN(4)]
			in.Code = bpf.JMP | op | source
			reach := min(n-i, 251) // to the last instruction at most
			in.Jt, in.Jf = uint8(r.IntN(2)*r.IntN(reach)), uint8(r.IntN(2)*r.IntN(reach))
		}
		p = append(p, in)
	}
	return append(p, allowAll...)
}

func TestInstallStack(t *testing.T) {
	switch harden, err := os.ReadFile("/proc/sys/net/core/bpf_jit_harden"); {
	case errors.Is(err, os.ErrPermission):
		t.Skip("needs root to see whether net.core.bpf_jit_harden is 0")
	case string(harden) != "0\n":
		t.Skip("needs net.core.bpf_jit_harden to be 0: blinding makes programs longer")
	}
	for name, want := range map[string]string{
		"to the brim": "out of room: map[0 more: false:25 1 more: true:25]\n",
		"stack":       "unfit: true\ntoo long: true\nmeanwhile: <nil>\nthe newest of equals: bad file descriptor\n",
	} {
		t.Run(name, func(t *testing.T) {
			if got := deed(t, name); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}
