package record

import (
	"context"
	"errors"
	"fmt"
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
	"monban/internal/ptrace"
	"monban/internal/sys"
)

// The kernel counts: a program at the raw tracepoint sys_enter adds to cells, those at sched_process_fork and
// sched_process_exit keep account of the recorded processes. Nothing is sent for an event, nothing is allocated for one
// and no lock is taken, so that no event can be lost but to cells that are all taken, which is counted.

// Sizes of the table of the arguments that matter.
const (
	numbers = 1024 // call numbers of one architecture that arguments are looked up for
	kinds   = 3    // x86_64, x86, x32
)

// cloneArgs stands in the place of an argument's index for clone3's flags and signal, which lie in memory.
const cloneArgs = 6

type recorder struct {
	processes *ebpf.Map // by number, one of nobody, candidate and chosen, or when it began
	cells     *ebpf.Map
	wanted    *ebpf.Map // registers with arguments that matter, by number and kind
	tally     *ebpf.Map
	mapped    [][]byte // what is in them, as the kernel has it
	programs  []*ebpf.Program
	links     []link.Link

	numbers []uint64 // processes
	seen    []cell   // cells
	counts  *tally
	choice  map[int]int // processes that are recorded from their next call on, by number, with a descriptor that keeps them apart
	keys    [4]uint64   // of the hash that chooses cells

	files *fileWatch // nil where nobody asks

	different int // calls and values when it was told last, and since when
	changed   time.Time
}

// A tally is what the programs count beside the cells.
type tally struct {
	lost uint64 // events that found no place
	left int64  // recorded processes that have not ended
}

func (r *recorder) close() {
	for _, l := range r.links {
		if l != nil {
			l.Close()
		}
	}
	for _, p := range r.programs {
		if p != nil {
			p.Close()
		}
	}
	for _, mem := range r.mapped {
		_ = unix.Munmap(mem)
	}
	for _, m := range []*ebpf.Map{r.processes, r.cells, r.wanted, r.tally} {
		if m != nil {
			m.Close()
		}
	}
	for _, fd := range r.choice {
		unix.Close(fd)
	}
}

func newRecorder() (*recorder, error) {
	// The programs know processes by the numbers that they have outside of all namespaces.
	if outermost, err := sys.InNamespace("pid", sys.FirstPIDNamespace); err != nil || !outermost {
		return nil, errors.Join(errors.New("in a PID namespace, such as a container's, processes have other numbers than the kernel's"), err)
	}
	// Reading the kernel's types takes longest: the maps are made meanwhile.
	types := btf.NewCache()
	var o offsets
	var failed error
	var reading sync.WaitGroup
	reading.Go(func() { o, failed = kernelOffsets(types) })
	r := &recorder{choice: map[int]int{}, keys: newKeys()}
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

func (r *recorder) makeMaps() error {
	var mem [3]unsafe.Pointer
	highest := highestNumber()
	for i, m := range []struct {
		to   **ebpf.Map
		name string
		size uintptr // of an element
		n    uint32
	}{
		{&r.processes, "processes", unsafe.Sizeof(uint64(0)), highest + 1},
		{&r.cells, "cells", unsafe.Sizeof(cell{}), allCells},
		{&r.tally, "tally", unsafe.Sizeof(tally{}), 1},
		{&r.wanted, "wanted", unsafe.Sizeof(uint32(0)), numbers * kinds},
	} {
		spec := ebpf.MapSpec{Name: "monban_" + m.name, Type: ebpf.Array, KeySize: 4, ValueSize: uint32(m.size), MaxEntries: m.n}
		if i < len(mem) {
			spec.Flags = unix.BPF_F_MMAPABLE
		}
		var err error
		if *m.to, err = ebpf.NewMap(&spec); err != nil {
			return fmt.Errorf("making a map: %w", err)
		}
		if i < len(mem) {
			b, err := unix.Mmap((*m.to).FD(), 0, int(m.size)*int(m.n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			if err != nil {
				return fmt.Errorf("mapping what the kernel counts: %w", err)
			}
			r.mapped = append(r.mapped, b)
			mem[i] = unsafe.Pointer(&b[0])
		}
	}
	r.numbers = unsafe.Slice((*uint64)(mem[0]), highest+1)
	r.seen = unsafe.Slice((*cell)(mem[1]), allCells)
	r.counts = (*tally)(mem[2])
	return r.want()
}

// want notes in which registers of which calls there are arguments that matter.
func (r *recorder) want() error {
	for i, a := range []abi.Arch{abi.X86_64, abi.X86, abi.X32} {
		for name := range mattering {
			nr, ok := a.Number(name)
			var mask uint32
			for _, m := range Arguments(a, name) {
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

// EBPF runs a program and has the kernel count the calls of its process tree. It needs root (CAP_BPF and CAP_PERFMON)
// and Linux 5.12 with type information (CONFIG_DEBUG_INFO_BTF); the error is of type *UnavailableError where it has
// not, and nothing has run.
func EBPF(ctx context.Context, run Run) (*Recording, Result, error) {
	r, err := newRecorder()
	if err != nil {
		return nil, Result{}, &UnavailableError{err}
	}
	defer r.close()
	return r.run(ctx, run)
}

func (r *recorder) run(ctx context.Context, run Run) (rec *Recording, result Result, err error) {
	lost := ptrace.OwnThread(func() {
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
		err = errors.Join(r.choose(p.PID), ptrace.SetSigMask(p.PID, p.Mask), ptrace.Detach(p.PID, 0))
		if err != nil {
			p.Kill()
			return
		}
		if result, err = r.wait(ctx, run, p.PID); err == nil {
			rec, err = r.recording(run.Args)
		}
	})
	if lost != nil {
		return nil, Result{}, lost
	}
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

// recording reads what was counted. The kernel may be writing.
func (r *recorder) recording(command []string) (*Recording, error) {
	rec := New(command, "eBPF")
	rec.read(r.seen)
	if r.files != nil {
		r.files.read()
		rec.Files, rec.FilesLost, rec.ids = r.files.seen.Files, r.files.seen.FilesLost, r.files.seen.ids
	}
	rec.Lost = atomic.LoadUint64(&r.counts.lost)
	for _, p := range r.programs { // events for which the kernel did not run one
		s, err := p.Stats()
		if err != nil {
			return nil, fmt.Errorf("asking whether an event was lost: %w", err)
		}
		rec.Lost += s.RecursionMisses
	}
	return rec, nil
}
