package record

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"monban/abi"
	"monban/bpf"
	"monban/internal/ptrace"
)

// The kernel counts: a program at the raw tracepoint sys_enter adds to a map, and one at sched_process_fork passes membership on to
// children. Nothing is sent for an event, and no event can be lost but to a full map, which is counted.

// Sizes of the maps. A program makes some hundred kinds of calls.
const (
	maxTasks   = 1 << 16
	cellBits   = 15            // cells for calls, and as many for values
	firstValue = 1 << cellBits // so that too many values lose no call
	latelyBits = 10
	numbers    = 1024 // call numbers of one architecture that arguments are looked up for
	kinds      = 3    // x86_64, x86, x32
)

// A cell counts a call by programs of one name, or a value of one of its arguments. Cells are taken as they are needed, for good, in one
// of some places that the hash says. All that a cell stands for is in its hash, so that nothing else is compared.
type cell struct {
	hash  uint64 // 0: free
	count uint64
	call  uint64   // number, compatBit, and from indexBit on 1, for a value its argument's index + 2; 0: not written yet
	what  [16]byte // a program's name, or a value
}

// Places in cell.call and in what stands for a process.
const (
	indexBit  = 32
	compatBit = 63
	pidBits   = 22 // PID_MAX_LIMIT
)

// cloneArgs stands in the place of an argument's index for clone3's flags and signal, which lie in memory.
const cloneArgs = 6

type recorder struct {
	tasks  *ebpf.Map // numbers of recorded processes
	lately *ebpf.Map // processes of which it was found lately that they are recorded, by a hash
	cells  *ebpf.Map
	wanted *ebpf.Map // registers with arguments that matter, by number and kind
	lost   *ebpf.Map // events that found no place
	seen   []byte    // cells, as the kernel has them
	links  []link.Link

	files *fileWatch // nil where nobody asks

	different int // calls and values when it was told last, and since when
	changed   time.Time
}

func (r *recorder) close() {
	for _, l := range r.links {
		if l != nil {
			l.Close()
		}
	}
	if r.seen != nil {
		_ = unix.Munmap(r.seen)
	}
	for _, m := range []*ebpf.Map{r.tasks, r.lately, r.cells, r.wanted, r.lost} {
		if m != nil {
			m.Close()
		}
	}
}

func newRecorder() (*recorder, error) {
	// The programs know processes by the numbers that they have outside of all namespaces.
	const outermost = 0xeffffffc // PROC_PID_INIT_INO (linux/proc_ns.h)
	var ns unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &ns); err != nil || ns.Ino != outermost {
		return nil, errors.Join(errors.New("in a PID namespace, such as a container's, processes have other numbers than the kernel's"), err)
	}
	// Reading the kernel's types takes longest: the maps are made meanwhile.
	types := btf.NewCache()
	var o offsets
	var failed error
	var reading sync.WaitGroup
	reading.Go(func() { o, failed = kernelOffsets(types) })
	r := &recorder{}
	err := r.makeMaps()
	reading.Wait()
	if err = errors.Join(failed, err); err == nil {
		err = r.load(types, o)
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *recorder) makeMaps() (err error) {
	const cells = 2 << cellBits
	size := uint32(unsafe.Sizeof(cell{}))
	for _, m := range []struct {
		to   **ebpf.Map
		spec ebpf.MapSpec
	}{
		{&r.tasks, ebpf.MapSpec{Name: "monban_tasks", Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: maxTasks, Flags: unix.BPF_F_NO_PREALLOC}},
		{&r.lately, ebpf.MapSpec{Name: "monban_lately", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1 << latelyBits}},
		{&r.cells, ebpf.MapSpec{Name: "monban_cells", Type: ebpf.Array, KeySize: 4, ValueSize: size, MaxEntries: cells, Flags: unix.BPF_F_MMAPABLE}},
		{&r.wanted, ebpf.MapSpec{Name: "monban_wanted", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: numbers * kinds}},
		{&r.lost, ebpf.MapSpec{Name: "monban_lost", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}},
	} {
		if *m.to, err = ebpf.NewMap(&m.spec); err != nil {
			return fmt.Errorf("making a map: %w", err)
		}
	}
	if r.seen, err = unix.Mmap(r.cells.FD(), 0, cells*int(size), unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("mapping the counts: %w", err)
	}
	for i, a := range []abi.Arch{abi.X86_64, abi.X86, abi.X32} {
		for name := range mattering {
			nr, ok := a.Number(name)
			var mask uint32
			for _, m := range Matter(a, name) {
				mask |= 1 << m.Index
			}
			if name == "clone3" {
				mask = 1 << cloneArgs
			}
			first, _ := a.Numbers()
			if n := nr - first; ok && n < numbers {
				if err := r.wanted.Put(uint32(i*numbers)+n, mask); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// EBPF runs a program and has the kernel count the calls of its process tree. It needs root (CAP_BPF and CAP_PERFMON) and Linux
// 5.12 with type information (CONFIG_DEBUG_INFO_BTF); the error is of type *UnavailableError where it has not, and nothing has run.
func EBPF(ctx context.Context, run Run) (*Recording, Result, error) {
	r, err := newRecorder()
	if err != nil {
		return nil, Result{}, &UnavailableError{err}
	}
	defer r.close()
	var result Result
	var rec *Recording
	ptrace.OwnThread(func() {
		var p *ptrace.Process
		if p, err = ptrace.Start(run.Path, run.Args, &syscall.ProcAttr{Env: run.Env, Files: []uintptr{0, 1, 2}}); err != nil {
			return
		}
		if run.Started != nil {
			run.Started(p.PID)
		}
		if run.Files {
			if r.files, _ = watchFiles(p.PID); r.files != nil { // else they are not known
				defer r.files.close()
			}
		}
		// It stands before its first instruction; from here on it counts.
		err = errors.Join(r.tasks.Put(uint32(p.PID), uint32(1)), ptrace.SetSigMask(p.PID, p.Mask), ptrace.Detach(p.PID, 0))
		if err != nil {
			p.Kill()
			return
		}
		if result, err = r.wait(ctx, run, p.PID); err == nil {
			rec, err = r.recording(run.Args)
		}
	})
	if err != nil {
		return nil, result, err
	}
	return rec, result, nil
}

// wait waits for the program, and then for what it leaves behind, as long as ctx lasts.
func (r *recorder) wait(ctx context.Context, run Run, pid int) (result Result, err error) {
	var status unix.WaitStatus
	var failed error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, failed = unix.Wait4(pid, &status, unix.WALL, nil); failed != unix.EINTR {
				return
			}
		}
	}()
	if err := r.watch(ended, run, func() bool { return true }); err != nil {
		return result, err
	}
	switch {
	case failed != nil:
		return result, fmt.Errorf("waiting for the program: %w", failed)
	case status.Signaled():
		result.Signal = status.Signal()
	default:
		result.ExitCode = status.ExitStatus()
	}
	return result, r.watch(ctx.Done(), run, r.left)
}

// watch tells how far the recording is while there is more to come.
func (r *recorder) watch(done <-chan struct{}, run Run, more func() bool) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for more() {
		select {
		case <-done:
			return nil
		case <-ticker.C:
		}
		if run.Seen == nil {
			if r.files != nil {
				r.files.read() // before its rings are full
			}
			continue
		}
		rec, err := r.recording(run.Args)
		if err != nil {
			return err
		}
		if n := rec.different(); n != r.different || r.changed.IsZero() {
			r.different, r.changed = n, time.Now()
		}
		run.Seen(rec, time.Since(r.changed))
	}
	return nil
}

// left says that a recorded process is still there. One that only waits for its parent to ask how it ended is not.
func (r *recorder) left() bool {
	var pid, one uint32
	for all := r.tasks.Iterate(); all.Next(&pid, &one); {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		state := stat[bytes.LastIndexByte(stat, ')')+1:] // behind the name, which may hold anything
		if len(state) > 1 && state[1] != 'Z' && state[1] != 'X' {
			return true
		}
	}
	return false
}

// recording reads the cells. The kernel may be writing: a cell's call is the last that is written into it.
func (r *recorder) recording(command []string) (*Recording, error) {
	rec := New(command, "eBPF")
	cells := unsafe.Slice((*cell)(unsafe.Pointer(&r.seen[0])), 2<<cellBits)
	var values []*cell
	for i := range cells {
		c := &cells[i]
		switch call := atomic.LoadUint64(&c.call); {
		case call == 0:
		case c.index() >= 0:
			values = append(values, c)
		default:
			rec.addCall(c)
		}
	}
	for _, c := range values {
		rec.addValue(c)
	}
	if r.files != nil {
		r.files.read()
		rec.Files, rec.FilesLost, rec.ids = r.files.seen.Files, r.files.seen.FilesLost, r.files.seen.ids
	}
	var zero uint32
	return rec, r.lost.Lookup(&zero, &rec.Lost)
}

func (r *Recording) addCall(made *cell) {
	n := atomic.LoadUint64(&made.count)
	a, nr := made.arch()
	name, _ := a.Name(nr)
	if name == "clone3" {
		r.Clone3[a] += n
		nr, _ = a.Number("clone")
		name = "clone"
	}
	r.Made += n
	key := Key{a, nr}
	c := r.Calls[key]
	if c == nil {
		c = &Call{Programs: map[string]uint64{}, Values: make([]Values, len(Matter(a, name))), Example: bpf.Data{Arch: a.Token(), Nr: nr}}
		r.Calls[key] = c
	}
	c.Count += n
	program, _, _ := bytes.Cut(made.what[:], []byte{0})
	c.Programs[string(program)] += n
}

func (r *Recording) addValue(made *cell) {
	a, nr := made.arch()
	name, _ := a.Name(nr)
	index := made.index()
	if index == cloneArgs {
		nr, _ = a.Number("clone")
		name = "clone"
		for _, arg := range Matter(a, "clone") {
			index = arg.Index
		}
	}
	c := r.Calls[Key{a, nr}]
	if c == nil {
		return // its count is lost, and counted as lost
	}
	for i, m := range Matter(a, name) {
		if m.Index != index {
			continue
		}
		d := c.Example
		d.Args[index] = binary.LittleEndian.Uint64(made.what[:])
		c.Values[i].add(m.value(&d))
		if len(c.Values[i].Seen) == 1 {
			c.Example = d
		}
	}
}

// arch is the architecture of a cell's call, and its number there.
func (c *cell) arch() (abi.Arch, uint32) {
	nr := uint32(c.call)
	if c.call>>compatBit != 0 {
		return abi.X86, nr
	}
	a, _ := abi.Of(abi.X86_64.Token(), nr)
	return a, nr
}

// index is the argument's index if a value is counted, and negative if a call is.
func (c *cell) index() int { return int(c.call>>indexBit&0xff) - 2 }
