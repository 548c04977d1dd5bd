package record

import (
	"encoding/binary"
	"maps"
	"os/exec"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"monban/abi"
)

// The cells as the kernel leaves them, in any order: calls by programs, values of arguments, free and half taken ones.
func TestCells(t *testing.T) {
	const call, compat, free = 1 << indexBit, uint64(1) << compatBit, 0
	program := func(name string) (what [16]byte) { copy(what[:], name); return what }
	value := func(v uint64) (what [16]byte) { binary.LittleEndian.PutUint64(what[:], v); return what }
	argument := func(index int) uint64 { return uint64(index+2) << indexBit }
	const socket, clone, clone3, ioctl = 41, 56, 435, 16
	cells := []cell{
		{9, socket | argument(0), value(unix.AF_INET)}, // before its call
		{3, socket | call, program("app")},
		{4, socket | call, program("sixteen letters.")},
		{5, socket | argument(0), value(unix.AF_UNIX)},
		{5, socket | argument(1), value(unix.SOCK_STREAM)},
		{6, clone3 | call, program("app")},
		{6, clone3 | argument(cloneArgs), value(0x100 | 17)},
		{1, clone | call, program("b")},
		{1, clone | argument(0), value(17)},
		{2, 3 | call | compat, program("old")},                 // read of i386
		{2, abi.X32Bit | call, program("x")},                   // read of x32
		{7, ioctl | argument(1), value(1)},                     // of a call that found no cell
		{8, free, program("nobody")},                           // free
		{8, busy, program("nobody")},                           // being taken
		{1, 0xffffffff | call, program("\x1b[2J")},             // as x32's, with no name
		{1, socket | argument(5), value(1)},                    // an argument that does not matter
		{1, socket | argument(0), value(1<<40 | unix.AF_INET)}, // above what the kernel looks at
	}
	for _, order := range [][]int{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, {16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}} {
		var in []cell
		for _, i := range order {
			in = append(in, cells[i])
		}
		r := New(nil, "eBPF")
		r.read(in)
		for _, want := range []struct {
			key      Key
			count    uint64
			programs map[string]uint64
			values   [][]uint64
		}{
			{Key{abi.X86_64, socket}, 7, map[string]uint64{"app": 3, "sixteen letters.": 4}, [][]uint64{{unix.AF_UNIX, unix.AF_INET}, {unix.SOCK_STREAM}}},
			{Key{abi.X86_64, clone}, 7, map[string]uint64{"app": 6, "b": 1}, [][]uint64{{17, 0x111}}},
			{Key{abi.X86, 3}, 2, map[string]uint64{"old": 2}, nil},
			{Key{abi.X32, abi.X32Bit}, 2, map[string]uint64{"x": 2}, nil},
			{Key{abi.X32, 0xffffffff}, 1, map[string]uint64{"\x1b[2J": 1}, nil},
		} {
			c := r.Calls[want.key]
			if c == nil || c.Count != want.count || !maps.Equal(c.Programs, want.programs) || len(c.Values) != len(want.values) {
				t.Errorf("%v: %+v", want.key, c)
				continue
			}
			for i, v := range want.values {
				if got := slices.Sorted(maps.Keys(c.Values[i].Seen)); !slices.Equal(got, v) {
					t.Errorf("%v: values %v, not %v", want.key, got, v)
				}
			}
			if c.Example.Nr != want.key.Nr || c.Example.Arch != want.key.Arch.Token() {
				t.Errorf("%v: for example %+v", want.key, c.Example)
			}
		}
		if r.Made != 3+4+6+1+2+2+1 || r.Clone3[abi.X86_64] != 6 || len(r.Calls) != 5 {
			t.Errorf("%d made, %v, %v", r.Made, r.Clone3, r.Calls)
		}
	}
}

// A process is chosen once, while it lives, and left when it has ended; its end is told by the kernel's program or by
// its descriptor.
func TestChoose(t *testing.T) {
	r := &recorder{numbers: make([]uint64, highestNumber()+1), counts: new(tally), choice: map[int]int{}}
	defer r.close()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Skipf("needs sleep: %v", err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	pid := cmd.Process.Pid
	if r.follows(pid) || r.left() {
		t.Error("it is followed before it is chosen")
	}
	for range 2 {
		if err := r.choose(pid); err != nil {
			t.Skipf("needs pidfd_open: %v", err)
		}
	}
	if !r.follows(pid) || !r.left() || r.counts.left != 1 || len(r.choice) != 1 {
		t.Errorf("chosen: %d left, %v", r.counts.left, r.choice)
	}
	if err := r.take(func() ([]int, error) { return []int{pid, unix.Getpid(), 1 << 21}, nil }); err != nil || r.counts.left != 1 {
		t.Errorf("taken again: %v, %d left", err, r.counts.left)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if r.left() || r.follows(pid) || r.counts.left != 0 || len(r.choice) != 0 {
		t.Errorf("ended: %d left, %v", r.counts.left, r.choice)
	}
	if err := r.choose(pid); err != nil || r.follows(pid) {
		t.Errorf("chosen after its end: %v", err)
	}
	// A process that makes a call has its time put where chosen was: its descriptor is of no more use, and the kernel
	// counts.
	other := exec.Command("sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { other.Process.Kill(); other.Wait() }()
	if err := r.choose(other.Process.Pid); err != nil {
		t.Fatal(err)
	}
	r.numbers[other.Process.Pid] = 12345
	if !r.left() || len(r.choice) != 0 || !r.follows(other.Process.Pid) {
		t.Errorf("seen: %d left, %v", r.counts.left, r.choice)
	}
	// Numbers above what the map has are an error, not a process without a recording.
	r.numbers = r.numbers[:1]
	if err := r.choose(other.Process.Pid); err == nil || r.follows(other.Process.Pid) {
		t.Errorf("a number that has no place: %v", err)
	}
	if err := r.choose(unix.Getpid() + 1<<22); err != nil { // nobody has it
		t.Error(err)
	}
}
