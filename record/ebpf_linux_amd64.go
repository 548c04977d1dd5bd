package record

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"monban/abi"
	"monban/bpf"
	"monban/internal/ptrace"
)

// The kernel counts: a program at the raw tracepoint sys_enter adds to a map, and one at sched_process_fork passes membership on to
// children. Nothing is sent for an event, and no event can be lost but to a full map, which is counted.
//
// The programs are assembled here; there is no object file and no compiler.

// Sizes of the maps. A program makes some hundred kinds of calls, each by a few programs.
const (
	maxTasks  = 1 << 16
	maxCounts = 1 << 15
	maxArgs   = 1 << 16
	numbers   = 1024 // call numbers of one architecture that arguments are looked up for
	kinds     = 3    // x86_64, x86, x32
)

// countKey is the key of counts: the call, the process, by its number and the time of its start, and a hash of its name, which
// changes when it executes another program. An entry exists only for recorded processes, so that one look-up tells what to do.
type countKey struct{ Nr, Compat, Process, Name uint32 }

// countValue is what counts has under it.
type countValue struct {
	Count uint64
	Comm  [16]byte
}

// argKey is the key of args: a value that the register Index had.
type argKey struct {
	Nr, Compat, Index, _ uint32
	Value                uint64
}

// cloneArgs stands in argKey.Index for clone3's flags and signal, which lie in memory.
const cloneArgs = 6

type recorder struct {
	tasks, counts, args, wanted, lost *ebpf.Map
	links                             []link.Link
}

func (r *recorder) close() {
	for _, l := range r.links {
		l.Close()
	}
	for _, m := range []*ebpf.Map{r.tasks, r.counts, r.args, r.wanted, r.lost} {
		if m != nil {
			m.Close()
		}
	}
}

// offsets are places in the kernel's structures, as its own type information gives them.
type offsets struct{ tgid, status, leader, start int32 }

func kernelOffsets() (o offsets, err error) {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return o, fmt.Errorf("reading the kernel's type information: %w", err)
	}
	var task, info *btf.Struct
	if err := errors.Join(spec.TypeByName("task_struct", &task), spec.TypeByName("thread_info", &info)); err != nil {
		return o, err
	}
	find := func(s *btf.Struct, name string) (int32, error) {
		for _, m := range s.Members {
			if m.Name == name {
				return int32(m.Offset.Bytes()), nil
			}
		}
		return 0, fmt.Errorf("this kernel's %s has no %s", s.Name, name)
	}
	at, err1 := find(task, "thread_info")
	status, err2 := find(info, "status")
	tgid, err3 := find(task, "tgid")
	leader, err4 := find(task, "group_leader")
	start, err5 := find(task, "start_time")
	return offsets{tgid, at + status, leader, start}, errors.Join(err1, err2, err3, err4, err5)
}

// Offsets in struct pt_regs of the registers of arguments, in order: x86_64's and i386's calling conventions (asm/ptrace.h).
var (
	wideArgs   = [6]int32{112, 104, 96, 56, 72, 64} // rdi rsi rdx r10 r8 r9
	narrowArgs = [6]int32{40, 88, 96, 104, 112, 32} // ebx ecx edx esi edi ebp
)

func newRecorder() (*recorder, error) {
	// Kernels before 5.11 count maps as locked memory; if this fails and matters, the next step says so.
	_ = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
	// Reading the kernel's types takes longest: the maps are made meanwhile.
	var o offsets
	var failed error
	var reading sync.WaitGroup
	reading.Go(func() { o, failed = kernelOffsets() })
	r := &recorder{}
	err := r.makeMaps()
	reading.Wait()
	if err = errors.Join(failed, err); err == nil {
		err = r.load(o)
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *recorder) makeMaps() (err error) {
	for _, m := range []struct {
		to   **ebpf.Map
		spec ebpf.MapSpec
	}{
		{&r.tasks, ebpf.MapSpec{Name: "monban_tasks", Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: maxTasks, Flags: unix.BPF_F_NO_PREALLOC}},
		{&r.counts, ebpf.MapSpec{Name: "monban_counts", Type: ebpf.Hash, KeySize: 16, ValueSize: 24, MaxEntries: maxCounts, Flags: unix.BPF_F_NO_PREALLOC}},
		{&r.args, ebpf.MapSpec{Name: "monban_args", Type: ebpf.Hash, KeySize: 24, ValueSize: 4, MaxEntries: maxArgs, Flags: unix.BPF_F_NO_PREALLOC}},
		{&r.wanted, ebpf.MapSpec{Name: "monban_wanted", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: numbers * kinds}},
		{&r.lost, ebpf.MapSpec{Name: "monban_lost", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}},
	} {
		if *m.to, err = ebpf.NewMap(&m.spec); err != nil {
			return fmt.Errorf("making a map: %w", err)
		}
	}
	for i, a := range []abi.Arch{abi.X86_64, abi.X86, abi.X32} {
		for nr, name := range a.Calls() {
			var mask uint32
			for _, m := range Matter(a, name) {
				mask |= 1 << m.Index
			}
			if name == "clone3" {
				mask = 1 << cloneArgs
			}
			if n := nr &^ abi.X32Bit; mask != 0 && n < numbers {
				if err := r.wanted.Put(uint32(i*numbers)+n, mask); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// load loads and attaches both programs, each while the other is checked.
func (r *recorder) load(o offsets) error {
	// The one that runs for every call is of the kind that reads the kernel's structures without asking a helper (tp_btf, 5.5).
	programs := []struct {
		at   string
		spec ebpf.ProgramSpec
	}{
		{"sys_enter", ebpf.ProgramSpec{Name: "monban_enter", Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: "sys_enter", Instructions: r.onEnter(o)}},
		{"sched_process_fork", ebpf.ProgramSpec{Name: "monban_fork", Type: ebpf.RawTracepoint, Instructions: r.onFork(o)}},
	}
	links, errs := make([]link.Link, len(programs)), make([]error, len(programs))
	var wg sync.WaitGroup
	for i := range programs {
		wg.Go(func() { links[i], errs[i] = attach(programs[i].at, &programs[i].spec) })
	}
	wg.Wait()
	for _, l := range links {
		if l != nil {
			r.links = append(r.links, l)
		}
	}
	return errors.Join(errs...)
}

func attach(at string, spec *ebpf.ProgramSpec) (link.Link, error) {
	spec.License = "Dual MIT/GPL" // bpf_probe_read_kernel is for programs under the GPL or a licence that goes with it
	p, err := ebpf.NewProgram(spec)
	if err != nil {
		return nil, fmt.Errorf("loading the program for %s: %w", at, err)
	}
	defer p.Close()
	var l link.Link
	if spec.Type == ebpf.Tracing {
		l, err = link.AttachTracing(link.TracingOptions{Program: p})
	} else {
		l, err = link.AttachRawTracepoint(link.RawTracepointOptions{Name: at, Program: p})
	}
	if err != nil {
		return nil, fmt.Errorf("attaching to %s: %w", at, err)
	}
	return l, nil
}

// Places on the stack.
const (
	onTask   = -8  // u32
	onStatus = -16 // u32
	onCount  = -32 // countKey
	onValue  = -56 // countValue
	onArg    = -80 // argKey
	onIndex  = -88 // u32
)

// read calls bpf_probe_read_kernel: n bytes at R3 to the stack.
func read(to int16, n int32) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, int32(to)), asm.Mov.Imm(asm.R2, n), asm.FnProbeReadKernel.Call(),
	}
}

// lookup asks a map for the key on the stack; R0 is the value's address or 0.
func lookup(m *ebpf.Map, key int16) asm.Instructions {
	return asm.Instructions{
		asm.LoadMapPtr(asm.R1, m.FD()), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, int32(key)), asm.FnMapLookupElem.Call(),
	}
}

// put puts the value on the stack under the key on the stack; R0 is 0 or the error.
func put(m *ebpf.Map, key, value int16) asm.Instructions {
	return asm.Instructions{
		asm.LoadMapPtr(asm.R1, m.FD()), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, int32(key)),
		asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, int32(value)), asm.Mov.Imm(asm.R4, int32(ebpf.UpdateNoExist)), asm.FnMapUpdateElem.Call(),
	}
}

// lose counts an event that did not fit, unless R0 says that it fitted or was there already.
func (r *recorder) lose(next string) asm.Instructions {
	return concat(asm.Instructions{
		asm.JEq.Imm(asm.R0, 0, next), asm.JEq.Imm(asm.R0, -int32(unix.EEXIST), next), asm.StoreImm(asm.RFP, onIndex, 0, asm.Word),
	}, lookup(r.lost, onIndex), asm.Instructions{
		asm.JEq.Imm(asm.R0, 0, next), asm.Mov.Imm(asm.R1, 1), asm.StoreXAdd(asm.R0, asm.R1, asm.DWord),
	})
}

func concat(parts ...asm.Instructions) (all asm.Instructions) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func exitZero() asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R0, 0).WithSymbol("exit"), asm.Return()}
}

// onFork passes membership on: its arguments are the parent's and the child's task_struct. A child of somebody else whose number
// a recorded process once had is none.
func (r *recorder) onFork(o offsets) asm.Instructions {
	return concat(asm.Instructions{
		asm.LoadMem(asm.R3, asm.R1, 8, asm.DWord), asm.Add.Imm(asm.R3, o.tgid),
	}, read(onIndex, 4), asm.Instructions{
		asm.FnGetCurrentPidTgid.Call(), asm.RSh.Imm(asm.R0, 32), asm.StoreMem(asm.RFP, onTask, asm.R0, asm.Word),
	}, lookup(r.tasks, onTask), asm.Instructions{
		asm.JEq.Imm(asm.R0, 0, "stranger"), asm.StoreImm(asm.RFP, onStatus, 1, asm.Word),
	}, put(r.tasks, onIndex, onStatus), asm.Instructions{
		asm.JEq.Imm(asm.R0, 0, "exit"), asm.JEq.Imm(asm.R0, -int32(unix.EEXIST), "exit"), asm.StoreImm(asm.RFP, onIndex, 0, asm.Word),
	}, lookup(r.lost, onIndex), asm.Instructions{
		asm.JEq.Imm(asm.R0, 0, "exit"), asm.Mov.Imm(asm.R1, 1), asm.StoreXAdd(asm.R0, asm.R1, asm.DWord), asm.Ja.Label("exit"),
		asm.LoadMapPtr(asm.R1, r.tasks.FD()).WithSymbol("stranger"), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, onIndex), asm.FnMapDeleteElem.Call(),
	}, exitZero())
}

// onEnter counts a call: its arguments are struct pt_regs and the number.
func (r *recorder) onEnter(o offsets) asm.Instructions {
	const spread = 0x1e3779b1 // an odd number: multiplying by it moves low bits up
	code := concat(asm.Instructions{
		asm.LoadMem(asm.R8, asm.R1, 0, asm.DWord), // registers
		asm.LoadMem(asm.R9, asm.R1, 8, asm.DWord), // number
		asm.StoreMem(asm.RFP, onCount, asm.R9, asm.Word),
		asm.FnGetCurrentTaskBtf.Call(), asm.LoadMem(asm.R7, asm.R0, int16(o.status), asm.Word), asm.RSh.Imm(asm.R7, 1), asm.And.Imm(asm.R7, 1), // TS_COMPAT (asm/thread_info.h)
		asm.StoreMem(asm.RFP, onCount+4, asm.R7, asm.Word),
		asm.LoadMem(asm.R6, asm.R0, int16(o.tgid), asm.Word), asm.StoreMem(asm.RFP, onTask, asm.R6, asm.Word),
		asm.LoadMem(asm.R1, asm.R0, int16(o.leader), asm.DWord), asm.LoadMem(asm.R1, asm.R1, int16(o.start), asm.DWord),
		asm.RSh.Imm(asm.R1, 8), asm.Xor.Reg(asm.R6, asm.R1), asm.StoreMem(asm.RFP, onCount+8, asm.R6, asm.Word),
		asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, onValue+8), asm.Mov.Imm(asm.R2, 16), asm.FnGetCurrentComm.Call(),
		asm.LoadMem(asm.R1, asm.RFP, onValue+8, asm.DWord), asm.Mul.Imm(asm.R1, spread), asm.LoadMem(asm.R2, asm.RFP, onValue+16, asm.DWord),
		asm.Xor.Reg(asm.R1, asm.R2), asm.Mul.Imm(asm.R1, spread), asm.Mov.Reg(asm.R2, asm.R1), asm.RSh.Imm(asm.R2, 32), asm.Xor.Reg(asm.R1, asm.R2),
		asm.StoreMem(asm.RFP, onCount+12, asm.R1, asm.Word),
	}, lookup(r.counts, onCount), asm.Instructions{
		asm.JEq.Imm(asm.R0, 0, "first"), asm.Mov.Imm(asm.R1, 1), asm.StoreXAdd(asm.R0, asm.R1, asm.DWord), asm.Ja.Label("arguments"),
		asm.Mov.Imm(asm.R1, 1).WithSymbol("first"), asm.StoreMem(asm.RFP, onValue, asm.R1, asm.DWord),
	}, lookup(r.tasks, onTask), asm.Instructions{
		asm.JEq.Imm(asm.R0, 0, "exit"),
	}, put(r.counts, onCount, onValue), r.lose("arguments"), asm.Instructions{
		// Which registers are wanted of this number? x32's follow those of x86_64 and x86.
		asm.Mov.Reg(asm.R1, asm.R9).WithSymbol("arguments"), asm.LSh.Imm(asm.R1, 32), asm.RSh.Imm(asm.R1, 32),
		asm.Mov.Reg(asm.R2, asm.R7),
		asm.JLT.Imm(asm.R1, abi.X32Bit, "numbered"), asm.Sub.Imm(asm.R1, abi.X32Bit), asm.Mov.Imm(asm.R2, 2),
		asm.JGE.Imm(asm.R1, numbers, "exit").WithSymbol("numbered"),
		asm.Mul.Imm(asm.R2, numbers), asm.Add.Reg(asm.R1, asm.R2), asm.StoreMem(asm.RFP, onIndex, asm.R1, asm.Word),
	}, lookup(r.wanted, onIndex), asm.Instructions{
		asm.JEq.Imm(asm.R0, 0, "exit"), asm.LoadMem(asm.R6, asm.R0, 0, asm.Word), asm.JEq.Imm(asm.R6, 0, "exit"),
		asm.StoreMem(asm.RFP, onArg, asm.R9, asm.Word), asm.StoreMem(asm.RFP, onArg+4, asm.R7, asm.Word), asm.StoreImm(asm.RFP, onArg+12, 0, asm.Word),
		asm.JNE.Imm(asm.R7, 0, "narrow0"),
	})
	for _, side := range []struct {
		name string
		regs [6]int32
		size asm.Size
		end  string
	}{{"wide", wideArgs, asm.DWord, "memory"}, {"narrow", narrowArgs, asm.Word, "memory"}} {
		for i := range 6 {
			next := fmt.Sprintf("%s%d", side.name, i+1)
			if i == 5 {
				next = side.name + "end"
			}
			start := asm.Mov.Reg(asm.R1, asm.R6).WithSymbol(fmt.Sprintf("%s%d", side.name, i))
			code = append(code, concat(asm.Instructions{
				start, asm.And.Imm(asm.R1, 1<<i), asm.JEq.Imm(asm.R1, 0, next),
				asm.StoreImm(asm.RFP, onArg+8, int64(i), asm.Word),
				asm.LoadMem(asm.R1, asm.R8, int16(side.regs[i]), side.size), asm.StoreMem(asm.RFP, onArg+16, asm.R1, asm.DWord),
			}, r.putArg(next))...)
		}
		code = append(code, asm.Ja.Label(side.end).WithSymbol(side.name+"end"))
	}
	// clone3: the flags, of which the upper half means nothing to clone, and the signal at its end (struct clone_args, linux/sched.h).
	code = append(code, concat(asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R6).WithSymbol("memory"), asm.And.Imm(asm.R1, 1<<cloneArgs), asm.JEq.Imm(asm.R1, 0, "exit"),
		asm.LoadMem(asm.R6, asm.R8, int16(wideArgs[0]), asm.DWord), asm.JEq.Imm(asm.R7, 0, "pointer"),
		asm.LoadMem(asm.R6, asm.R8, int16(narrowArgs[0]), asm.Word),
		asm.StoreImm(asm.RFP, onArg+8, cloneArgs, asm.Word).WithSymbol("pointer"), asm.StoreImm(asm.RFP, onArg+16, 0, asm.Word), asm.StoreImm(asm.RFP, onArg+16+4, 0, asm.Word), asm.StoreImm(asm.RFP, onValue, 0, asm.Word), asm.StoreImm(asm.RFP, onValue+4, 0, asm.Word),
		asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, onArg+16), asm.Mov.Imm(asm.R2, 8), asm.Mov.Reg(asm.R3, asm.R6), asm.FnProbeReadUser.Call(),
		asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, onValue), asm.Mov.Imm(asm.R2, 8), asm.Mov.Reg(asm.R3, asm.R6), asm.Add.Imm(asm.R3, 32), asm.FnProbeReadUser.Call(),
		asm.LoadMem(asm.R1, asm.RFP, onArg+16, asm.Word), asm.RSh.Imm(asm.R1, 8), asm.LSh.Imm(asm.R1, 8),
		asm.LoadMem(asm.R2, asm.RFP, onValue, asm.Word), asm.And.Imm(asm.R2, 0xff), asm.Or.Reg(asm.R1, asm.R2), asm.StoreMem(asm.RFP, onArg+16, asm.R1, asm.DWord),
	}, r.putArg("exit"), exitZero())...)
	return code
}

// putArg notes a value, once.
func (r *recorder) putArg(next string) asm.Instructions {
	return concat(lookup(r.args, onArg), asm.Instructions{
		asm.JNE.Imm(asm.R0, 0, next), asm.StoreImm(asm.RFP, onStatus, 1, asm.Word),
	}, put(r.args, onArg, onStatus), r.lose(next))
}

// EBPF runs a program and has the kernel count the calls of its process tree. It needs root (CAP_BPF and CAP_PERFMON) and a kernel
// with type information (CONFIG_DEBUG_INFO_BTF); the error is of type *UnavailableError where it has neither, and nothing has run.
func EBPF(ctx context.Context, run Run) (*Recording, Result, error) {
	r, err := newRecorder()
	if err != nil {
		return nil, Result{}, &UnavailableError{err}
	}
	defer r.close()
	var result Result
	ptrace.OwnThread(func() {
		var p *ptrace.Process
		if p, err = ptrace.Start(run.Path, run.Args, &syscall.ProcAttr{Env: run.Env, Files: []uintptr{0, 1, 2}}, syscall.SysProcAttr{}); err != nil {
			return
		}
		if run.Started != nil {
			run.Started(p.PID)
		}
		// It stands before its first instruction; from here on it counts.
		err = errors.Join(r.tasks.Put(uint32(p.PID), uint32(1)), ptrace.SetSigMask(p.PID, p.Mask), ptrace.Detach(p.PID, 0))
		if err != nil {
			p.Kill()
			return
		}
		result, err = r.wait(ctx, run, p.PID)
	})
	if err != nil {
		return nil, result, err
	}
	rec, err := r.recording(run.Args)
	return rec, result, err
}

// wait waits for the program and what it leaves behind, as long as ctx lasts.
func (r *recorder) wait(ctx context.Context, run Run, pid int) (result Result, err error) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	ended := make(chan error, 1)
	var status unix.WaitStatus
	go func() {
		for {
			_, err := unix.Wait4(pid, &status, unix.WALL, nil)
			if err != unix.EINTR {
				ended <- err
				return
			}
		}
	}()
	var changed time.Time
	kinds := 0
	for {
		select {
		case err := <-ended:
			if err != nil {
				return result, fmt.Errorf("waiting for the program: %w", err)
			}
			if status.Signaled() {
				result.Signal = status.Signal()
			} else {
				result.ExitCode = status.ExitStatus()
			}
			return result, nil
		case <-ticker.C:
			if run.Seen == nil {
				continue
			}
			rec, err := r.recording(run.Args)
			if err != nil {
				return result, err
			}
			if len(rec.Calls) != kinds {
				kinds, changed = len(rec.Calls), time.Now()
			}
			run.Seen(rec, time.Since(changed))
		}
	}
}

// recording reads the maps.
func (r *recorder) recording(command []string) (*Recording, error) {
	rec := New(command, "eBPF")
	var k countKey
	var v countValue
	counts := r.counts.Iterate()
	for counts.Next(&k, &v) {
		n := v.Count
		a, nr := archAt(k.Nr, k.Compat)
		name, _ := a.Name(nr)
		if name == "clone3" {
			rec.Clone3[a] += n
			nr, _ = a.Number("clone")
			name = "clone"
		}
		rec.Made += n
		key := Key{a, nr}
		c := rec.Calls[key]
		if c == nil {
			c = &Call{Programs: map[string]uint64{}, Values: make([]Values, len(Matter(a, name))), Example: bpf.Data{Arch: a.Token(), Nr: nr}}
			rec.Calls[key] = c
		}
		c.Count += n
		c.Programs[strings.TrimRight(string(v.Comm[:]), "\x00")] += n
	}
	var ak argKey
	var one uint32
	it := r.args.Iterate()
	for it.Next(&ak, &one) {
		a, nr := archAt(ak.Nr, ak.Compat)
		name, _ := a.Name(nr)
		index := int(ak.Index)
		if ak.Index == cloneArgs {
			nr, _ = a.Number("clone")
			name = "clone"
			for _, arg := range Matter(a, "clone") {
				index = arg.Index
			}
		}
		c := rec.Calls[Key{a, nr}]
		if c == nil {
			continue // its count is lost, and counted as lost
		}
		for i, m := range Matter(a, name) {
			if m.Index != index {
				continue
			}
			d := c.Example
			d.Args[index] = ak.Value
			c.Values[i].add(m.value(&d))
			if len(c.Values[i].Seen) == 1 {
				c.Example = d
			} else {
				c.Others = append(c.Others, d)
			}
		}
	}
	var zero uint32
	return rec, errors.Join(counts.Err(), it.Err(), r.lost.Lookup(&zero, &rec.Lost))
}

// archAt is the architecture of a number as sys_enter has it.
func archAt(nr, compat uint32) (abi.Arch, uint32) {
	switch {
	case compat != 0:
		return abi.X86, nr
	case nr&abi.X32Bit != 0 && nr>>31 == 0:
		return abi.X32, nr
	}
	return abi.X86_64, nr
}
