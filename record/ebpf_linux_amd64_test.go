package record

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"monban/abi"
)

// Code of x86_64 for programs that make the calls they are written for and no other.
func call(nr uint32) []byte { // mov eax, nr; syscall
	return append(binary.LittleEndian.AppendUint32([]byte{0xb8}, nr), 0x0f, 0x05)
}

func call32(nr uint32) []byte { // mov eax, nr; int 0x80
	return append(binary.LittleEndian.AppendUint32([]byte{0xb8}, nr), 0xcd, 0x80)
}

func edi(v uint32) []byte { return binary.LittleEndian.AppendUint32([]byte{0xbf}, v) } // mov edi, v

// ifChild runs code in the child, where the call before it was fork or clone.
func ifChild(code ...[]byte) []byte {
	c := bytes.Join(code, nil)
	return append(binary.LittleEndian.AppendUint32([]byte{0x85, 0xc0, 0x0f, 0x85}, uint32(len(c))), c...) // test eax, eax; jnz
}

// times repeats code, which keeps ebx.
func times(n uint32, code ...[]byte) []byte {
	c := bytes.Join(code, nil)
	c = append(binary.LittleEndian.AppendUint32([]byte{0xbb}, n), c...)                                   // mov ebx, n
	return binary.LittleEndian.AppendUint32(append(c, 0xff, 0xcb, 0x0f, 0x85), uint32(-(len(c) - 5 + 8))) // dec ebx; jnz
}

var (
	wait   = bytes.Join([][]byte{edi(0xffffffff), {0x31, 0xf6, 0x31, 0xd2, 0x45, 0x31, 0xd2}, call(unix.SYS_WAIT4)}, nil) // esi, edx, r10d = 0
	exit   = append(edi(0), call(unix.SYS_EXIT)...)
	allEnd = append(edi(0), call(unix.SYS_EXIT_GROUP)...)
)

// program writes an ELF file of this code and names it: one segment, that may be written, with space behind the code.
func program(t *testing.T, name string, code ...[]byte) string {
	t.Helper()
	const base, headers, memory = 0x400000, 64 + 56, 1 << 20
	text := bytes.Join(code, nil)
	var b bytes.Buffer
	b.WriteString("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	for _, v := range []any{uint16(2), uint16(62), uint32(1), uint64(base + headers), uint64(64), uint64(0), uint32(0), uint16(64), uint16(56), uint16(1), uint16(0), uint16(0), uint16(0),
		uint32(1), uint32(7), uint64(0), uint64(base), uint64(base), uint64(headers + len(text)), uint64(memory), uint64(4096)} {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	b.Write(text)
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, b.Bytes(), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// newTestRecorder is a recorder, where there can be one.
func newTestRecorder(t *testing.T) *recorder {
	t.Helper()
	r, err := newRecorder()
	if err != nil {
		t.Skipf("needs eBPF: %v", err)
	}
	t.Cleanup(r.close)
	return r
}

// recordOf records a program until nothing of it is left.
func recordOf(t *testing.T, r *recorder, run Run) *Recording {
	t.Helper()
	run.Args = []string{run.Path}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	rec, _, err := r.run(ctx, run)
	if err != nil {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatal("the recording did not end with the program")
	}
	return rec
}

func (r *Recording) made(nr uint32) uint64 {
	if c := r.Calls[Key{abi.X86_64, nr}]; c != nil {
		return c.Count
	}
	return 0
}

// More processes than any table had places for, on all processors: each call of each is counted.
func TestForkStorm(t *testing.T) {
	r := newTestRecorder(t)
	const each = 35_000
	file := program(t, "storm", call(unix.SYS_FORK), times(each, call(unix.SYS_FORK), ifChild(call(unix.SYS_GETPGID), exit), wait), wait, allEnd)
	rec := recordOf(t, r, Run{Path: file})
	for nr, want := range map[uint32]uint64{unix.SYS_FORK: 2*each + 1, unix.SYS_GETPGID: 2 * each, unix.SYS_EXIT: 2 * each, unix.SYS_WAIT4: 2*each + 2, unix.SYS_EXIT_GROUP: 2} {
		if got := rec.made(nr); got != want {
			t.Errorf("call %d was made %d times, and counted %d times", nr, want, got)
		}
	}
	if rec.Lost != 0 {
		t.Errorf("%d events lost", rec.Lost)
	}
	for pid, word := range r.numbers {
		if word != nobody {
			t.Errorf("process %d is recorded still", pid)
		}
	}
}

// A process whose first thread has ended goes on with the others, and its parent has ended, too.
func TestThreadOutlives(t *testing.T) {
	const flags, stack, late = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD, 0x480000, 600
	thread := append(edi(flags), binary.LittleEndian.AppendUint32([]byte{0xbe}, stack)...)                                                     // mov esi, stack
	sleep := bytes.Join([][]byte{{0x68, 0x00, 0xa3, 0xe1, 0x11}, {0x6a, 0x00}, {0x48, 0x89, 0xe7, 0x31, 0xf6}, call(unix.SYS_NANOSLEEP)}, nil) // 0.3 s: push, push, mov rdi, rsp; esi = 0
	file := program(t, "thread", call(unix.SYS_FORK), ifChild(thread, call(unix.SYS_CLONE), ifChild(sleep, call(late), exit), exit), allEnd)
	if rec := recordOf(t, newTestRecorder(t), Run{Path: file}); rec.made(late) != 1 || rec.made(unix.SYS_EXIT) != 2 {
		t.Errorf("the thread's call was counted %d times, exit %d times", rec.made(late), rec.made(unix.SYS_EXIT))
	}
}

// numbered has f, which makes a thread or a process and says its number, make one that has a certain number. It may be
// taken meanwhile.
func numbered(t *testing.T, want int, f func() int) bool {
	t.Helper()
	for range 200 {
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", fmt.Append(nil, want-1), 0); err != nil {
			t.Errorf("choosing a number: %v", err)
			return false
		}
		if f() == want {
			return true
		}
	}
	return false
}

// Somebody else's thread, or process, that has the number of a recorded one that has ended is not recorded, nor waited
// for.
func TestNumberUsedAgain(t *testing.T) {
	const told, strange = 0x20000000, 700 // the program tells its child's number by calls of its own
	stranger := program(t, "stranger", call(strange), allEnd)
	tell := append(binary.LittleEndian.AppendUint32([]byte{0x05}, told), 0x0f, 0x05) // add eax, told; syscall
	keep, back := []byte{0x89, 0xc5}, []byte{0x89, 0xe8}                             // mov ebp, eax; mov eax, ebp
	parent := program(t, "parent", call(unix.SYS_FORK), ifChild(exit), keep, wait, back, tell, call(unix.SYS_PAUSE))
	for _, c := range []struct {
		name string
		make func(t *testing.T, want int, hold chan bool) int
	}{
		{"thread", func(_ *testing.T, want int, hold chan bool) int {
			tid := make(chan int)
			go func() {
				runtime.LockOSThread() // which ends with it: the next one is new
				_, _, _ = unix.RawSyscall(strange, 0, 0, 0)
				n := unix.Gettid()
				if tid <- n; n == want {
					<-hold
				}
			}()
			return <-tid
		}},
		{"process", func(t *testing.T, _ int, _ chan bool) int {
			p, err := os.StartProcess(stranger, []string{stranger}, &os.ProcAttr{})
			if err != nil {
				t.Error(err)
				return 0
			}
			_, _ = p.Wait()
			return p.Pid
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 5 {
				hold, got, first := make(chan bool), false, 0
				run := Run{Path: parent, Started: func(pid int) { first = pid }}
				run.Seen = func(rec *Recording, _ time.Duration) {
					for key := range rec.Calls {
						if key.Nr > told && first != 0 {
							want := int(key.Nr - told)
							got = numbered(t, want, func() int { return c.make(t, want, hold) })
							_ = unix.Kill(first, unix.SIGKILL)
							first = 0
						}
					}
				}
				rec := recordOf(t, newTestRecorder(t), run)
				close(hold)
				if rec.made(strange) != 0 || rec.made(unix.SYS_EXIT) != 1 {
					t.Errorf("a stranger's call was counted %d times, the child's end %d times", rec.made(strange), rec.made(unix.SYS_EXIT))
				}
				if got {
					return
				}
			}
			t.Error("nobody got the number of a child that had ended")
		})
	}
}

// Whatever is in the cells, a call is counted in its own or as lost. Here others' are in all of the places, which
// differ from its own in the call, in the first or the last byte of the name.
func TestNoRoom(t *testing.T) {
	for _, other := range []cell{
		{call: 601 | 1<<indexBit, what: [16]byte{'r', 'o', 'o', 'm', 'i', 'n', 'g'}},
		{call: 600 | 1<<indexBit | 1<<compatBit, what: [16]byte{'r', 'o', 'o', 'm', 'i', 'n', 'g'}},
		{call: 600 | 1<<indexBit, what: [16]byte{'R', 'o', 'o', 'm', 'i', 'n', 'g'}},
		{call: 600 | 1<<indexBit, what: [16]byte{'r', 'o', 'o', 'm', 'i', 'n', 'g', 15: 'x'}},
		{call: busy},
	} {
		r := newTestRecorder(t)
		for i := range r.seen[:firstValue] {
			r.seen[i] = other
		}
		rec := recordOf(t, r, Run{Path: program(t, "rooming", times(50, call(600)), allEnd)})
		if rec.Made != 0 || rec.Lost != 51 {
			t.Errorf("with others' cells %+v, 51 calls were counted %d times and lost %d times", other, rec.Made, rec.Lost)
		}
	}
}

// Two recordings look for a cell in different places.
func TestKeys(t *testing.T) {
	a, b := newKeys(), newKeys()
	for i := range a {
		if a[i] == b[i] || a[i]&1 == 0 {
			t.Errorf("keys %#x and %#x", a[i], b[i])
		}
	}
}

// What is to be atomic is encoded as such (linux/bpf.h: BPF_ADD, BPF_XCHG, BPF_CMPXCHG).
func TestAtomically(t *testing.T) {
	for op, want := range map[asm.AtomicOp]byte{asm.AddAtomic: 0, asm.Xchg: 0xe1, asm.CmpXchg: 0xf1} {
		var b bytes.Buffer
		if _, err := atomically(op, asm.R1, asm.R2, 0).Marshal(&b, binary.LittleEndian); err != nil || b.Bytes()[4] != want {
			t.Errorf("%v is encoded as % x: %v", op, b.Bytes(), err)
		}
	}
}

// The back ends agree whose call it is, whatever the number.
func TestSameNumbers(t *testing.T) {
	var code []byte
	want := map[Key]uint64{}
	numbers := []uint32{0xffffffff, 0x7fffffff, 0x80000000, 0xc0000000, abi.X32Bit + 110, abi.X32Bit + 1000, abi.X32Bit - 1, 600}
	for nr := range uint32(36) {
		numbers = append(numbers, 512+nr)
	}
	for _, nr := range numbers {
		code = append(code, call(nr)...)
		a := abi.X86_64
		if nr >= abi.X32Bit {
			a = abi.X32
		}
		want[Key{a, nr}]++
	}
	for _, nr := range []uint32{20, 64, 0xffffffff, 0x80000000, abi.X32Bit + 20, 1000} {
		code = append(code, call32(nr)...)
		want[Key{abi.X86, nr}]++
	}
	file := program(t, "numbers", code, allEnd)
	for _, b := range Backends() {
		rec, result, err := b.Record(t.Context(), Run{Path: file, Args: []string{file}})
		if un := (*UnavailableError)(nil); errors.As(err, &un) {
			t.Logf("needs %s: %v", b.Name, err)
			continue
		}
		if err != nil || result != (Result{}) || rec.Lost != 0 {
			t.Errorf("%s: %v, %+v, %d lost", b.Name, err, result, rec.Lost)
			continue
		}
		for key, n := range want {
			if c := rec.Calls[key]; c == nil || c.Count != n || c.Programs["numbers"] != n {
				t.Errorf("%s: number %#x of %s: %+v", b.Name, key.Nr, key.Arch, c)
			}
		}
		for key := range rec.Calls {
			if name, _ := key.Arch.Name(key.Nr); want[key] == 0 && name != "exit_group" && name != "clone" {
				t.Errorf("%s: number %#x of %s was not made", b.Name, key.Nr, key.Arch)
			}
		}
	}
}

// The word for a number is its process's only if that began when the word says, to the nanosecond.
func TestTimes(t *testing.T) {
	r := newTestRecorder(t)
	const nr = 700
	word := &r.numbers[os.Getpid()]
	for _, c := range []struct{ word, made uint64 }{{nobody, 0}, {candidate, 0}, {1_000_000_000, 0}, {chosen, 1}, {0, 1}} {
		atomic.StoreUint64(word, c.word)
		_, _, _ = unix.RawSyscall(nr, 0, 0, 0)
		if c.word == chosen {
			*word++ // it is a time by now, and another than ours from here on
			_, _, _ = unix.RawSyscall(nr, 0, 0, 0)
		}
		rec, err := r.recording(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := rec.made(nr); got != c.made {
			t.Errorf("with the word %d, counted %d times, want %d", c.word, got, c.made)
		}
	}
}

// The flags of a clone3 that cannot be read are lost, by whichever back end, unless the kernel does not look at them.
// It is never let pass as it is.
func TestUnreadable(t *testing.T) {
	size := func(n uint32) []byte { return binary.LittleEndian.AppendUint32([]byte{0xbe}, n) } // mov esi, n
	clone, clone3 := Key{abi.X86_64, unix.SYS_CLONE}, Key{abi.X86_64, unix.SYS_CLONE3}
	for name, by := range map[string]func(t *testing.T, run Run) (*Recording, error){
		"ebpf": func(t *testing.T, run Run) (*Recording, error) { return recordOf(t, newTestRecorder(t), run), nil },
		"ptrace": func(t *testing.T, run Run) (*Recording, error) {
			rec, _, err := Ptrace(t.Context(), run)
			return rec, err
		},
		"notify": func(t *testing.T, run Run) (*Recording, error) {
			rec, _, err := Notify(t.Context(), run)
			return rec, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			for n, lost := range map[uint32]uint64{0: 0, 63: 0, 64: 1, 88: 1} {
				file := program(t, "clone3", edi(16), size(n), call(unix.SYS_CLONE3), allEnd)
				rec, err := by(t, Run{Path: file, Args: []string{file}})
				if err != nil {
					t.Fatal(err)
				}
				if rec.Lost != lost || rec.Clone3[abi.X86_64] != 1 || rec.Calls[clone] == nil || rec.Calls[clone3] != nil {
					t.Errorf("of clone3 with %d bytes: %d lost, want %d; counted %d times; %v", n, rec.Lost, lost, rec.Clone3[abi.X86_64], rec.Calls)
				}
			}
		})
	}
}
