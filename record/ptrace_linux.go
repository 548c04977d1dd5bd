package record

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"monban/abi"
	"monban/bpf"
	"monban/internal/ptrace"
)

const traceOptions = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACEEXEC |
	unix.PTRACE_O_TRACESYSGOOD

// Ptrace runs a program under ptrace and records the calls of all of its threads and children, those that fail too,
// until the last of them ends or ctx does. Then what still runs goes on unrecorded. It needs no privilege.
//
// The error is that of starting the program; nothing has run then.
func Ptrace(ctx context.Context, run Run) (*Recording, Result, error) {
	var t *tracer
	var result Result
	var err error
	lost := ptrace.OwnThread(func() {
		var p *ptrace.Process
		p, err = ptrace.Start(run.Path, run.Args, &syscall.ProcAttr{Env: run.Env, Files: []uintptr{0, 1, 2}})
		if err != nil {
			return
		}
		t = &tracer{run: &run, rec: New(run.Args, "ptrace"), threads: map[int]*thread{}, first: p.PID, changed: time.Now()}
		t.rec.hold(run.Gate)
		if err = t.begin(p); err != nil {
			p.Kill()
			return
		}
		result, err = t.follow(ctx)
	})
	if lost != nil {
		return nil, Result{}, lost
	}
	if err != nil {
		return nil, result, err
	}
	return t.rec, result, nil
}

type tracer struct {
	sync.Mutex // of what follows, which watch looks at, too

	run     *Run
	rec     *Recording
	threads map[int]*thread
	first   int
	changed time.Time
	ended   bool
	result  Result
}

// A thread is a tracee. Its stops at system calls alternate between entry and return.
type thread struct {
	program string
	inside  bool // between the two
	known   bool // it has had its first stop
	forking bool // inside a call that makes a child of which nothing was heard
}

func (t *tracer) begin(p *ptrace.Process) error {
	if err := ptrace.SetOptions(p.PID, traceOptions); err != nil {
		return err
	}
	if err := ptrace.SetSigMask(p.PID, p.Mask); err != nil {
		return err
	}
	if t.run.Started != nil {
		t.run.Started(p.PID)
	}
	t.threads[p.PID] = &thread{program: t.rec.runs(executableOf(p.PID)), known: true}
	return ptrace.ToSyscall(p.PID, 0)
}

// follow handles stops until nothing is left to record.
func (t *tracer) follow(ctx context.Context) (Result, error) {
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { t.watch(ctx, over) })
	defer watching.Wait()
	defer close(over)
	for {
		ev, err := ptrace.Wait(-1, 0)
		switch {
		case errors.Is(err, unix.ECHILD):
			return t.result, nil
		case err != nil:
			return t.result, fmt.Errorf("following the program: %w", err)
		}
		if done, err := t.event(ctx, ev); done || err != nil {
			return t.result, err
		}
	}
}

// event handles one stop or end.
func (t *tracer) event(ctx context.Context, ev ptrace.Event) (done bool, err error) {
	t.Lock()
	defer t.Unlock()
	if ev.Dead() {
		delete(t.threads, ev.TID)
		if ev.TID == t.first {
			t.ended = true
			if ev.Status.Signaled() {
				t.result.Signal = ev.Status.Signal()
			} else {
				t.result.ExitCode = ev.Status.ExitStatus()
			}
		}
	} else if err := t.handle(ev); err != nil && !errors.Is(err, unix.ESRCH) {
		return true, fmt.Errorf("following thread %d: %w", ev.TID, err)
	}
	return ctx.Err() != nil && t.ended, nil // what it left behind is let go with this thread
}

// watch tells how far the recording is, and ends the wait for what the program left behind when ctx is done: the wait
// cannot be interrupted, but a stop of one thread wakes it.
func (t *tracer) watch(ctx context.Context, over <-chan struct{}) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-over:
			return
		case <-ticker.C:
		}
		t.Lock()
		if t.run.Seen != nil {
			t.run.Seen(t.rec, time.Since(t.changed))
		}
		for tid := range t.threads {
			if ctx.Err() == nil || !t.ended || unix.Kill(tid, unix.SIGCONT) == nil {
				break
			}
		}
		t.Unlock()
	}
}

func (t *tracer) handle(ev ptrace.Event) error {
	th := t.threads[ev.TID]
	if th == nil { // a new thread's first stop may come before its parent's event
		th = &thread{program: t.rec.runs(executableOf(ev.TID))}
		t.threads[ev.TID] = th
	}
	if ev.Syscall() {
		if th.inside = !th.inside; th.inside {
			if err := t.entry(ev.TID, th); err != nil {
				return err
			}
		} else if err := t.exit(ev.TID, th); err != nil {
			return err
		}
		return ptrace.ToSyscall(ev.TID, 0)
	}
	switch ev.Cause() {
	case unix.PTRACE_EVENT_CLONE, unix.PTRACE_EVENT_FORK, unix.PTRACE_EVENT_VFORK:
		if child, err := ptrace.Message(ev.TID); err == nil && t.threads[int(child)] == nil {
			t.threads[int(child)] = &thread{program: th.program}
		}
		th.forking = false
		return ptrace.ToSyscall(ev.TID, 0)
	case unix.PTRACE_EVENT_EXEC:
		th.forking = false
		th.program = t.rec.runs(executableOf(ev.TID))
		th.inside = true // the return from execve is still to come
		return ptrace.ToSyscall(ev.TID, 0)
	case 0:
	default:
		return ptrace.ToSyscall(ev.TID, 0)
	}
	sig := ev.Signal()
	if sig == unix.SIGSTOP && !th.known {
		sig = 0 // with which a new tracee begins
	}
	th.known = true
	if sig == unix.SIGTRAP && th.inside {
		if info, err := ptrace.GetSigInfo(ev.TID); err == nil && info.Code == 0 {
			sig = 0 // of an exec that was not announced
		}
	}
	if err := ptrace.Doze(ev, func(*bpf.Data) bool { return true }); err != nil { // there is no gate
		return err
	}
	return ptrace.ToSyscall(ev.TID, sig)
}

// entry records the call that a thread is about to make.
func (t *tracer) entry(tid int, th *thread) error {
	regs, err := ptrace.GetRegs(tid)
	if err != nil {
		return err
	}
	d := regs.Data(ptrace.CallArch(tid, &regs))
	a, ok := abi.Of(d.Arch, d.Nr)
	if !ok {
		t.rec.Lost++
		return nil
	}
	name, _ := a.Name(d.Nr)
	th.forking = slices.Contains(forks, name)
	if t.run.Files {
		if program, file, ok := mapped(tid, a, name, &d); ok {
			t.rec.takes(program.name, program.id, file.name, file.id)
		}
	}
	if name == "clone3" {
		d = t.rec.asClone(a, d, func(addr uint64, buf []byte) error { return ptrace.Read(tid, addr, buf) })
	}
	if t.rec.Add(a, &d, th.program) {
		t.changed = time.Now()
	}
	return nil
}

// forks are the calls that make a child. The kernel tells of each but those that the parent keeps from tracers
// (CLONE_UNTRACED).
var forks = []string{"clone", "clone3", "fork", "vfork"}

// exit counts a child that was made and that nothing was heard of: what it does is lost.
func (t *tracer) exit(tid int, th *thread) error {
	if !th.forking {
		return nil
	}
	th.forking = false
	regs, err := ptrace.GetRegs(tid)
	if err != nil {
		return err
	}
	if child, err := regs.Result(); err == nil && child != 0 {
		t.rec.Lost++
	}
	return nil
}
