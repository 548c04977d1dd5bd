package record

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/abi"
	"monban/bpf"
	"monban/compile"
	"monban/internal/ptrace"
	"monban/policy/lang"
	"monban/verdict"
)

// Harmless are calls that Notify lets pass unseen, because programs make them all the time and they do little: reading and writing what
// is open, asking what is known, waiting.
var Harmless = []string{"read", "write", "readv", "writev", "lseek", "_llseek", "close", "fstat", "fstat64", "stat", "stat64", "lstat", "lstat64",
	"newfstatat", "fstatat64", "statx", "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents64", "poll", "ppoll", "select",
	"pselect6", "epoll_wait", "epoll_pwait", "getuid", "geteuid", "getgid", "getegid", "getppid", "fork"}

// forkFlags are what a plain fork gives clone. It passes like the harmless calls: a signal that comes before the notification is read
// makes a call fail by EINTR, which fork never does and no program expects of it.
const forkFlags = "CSIGNAL | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID"

// forks notes the plain fork that the filter lets pass.
func (r *Recording) forks(a abi.Arch) {
	const parentSettid, childCleartid, childSettid = 0x00100000, 0x00200000, 0x01000000 // linux/sched.h
	nr, ok := a.Number("clone")
	if !ok {
		return
	}
	d := bpf.Data{Nr: nr, Arch: a.Token()}
	matter := Matter(a, "clone")
	c := &Call{Programs: map[string]uint64{}, Values: make([]Values, len(matter))}
	for i, m := range matter {
		d.Args[m.Position] = parentSettid | childCleartid | childSettid | uint64(syscall.SIGCHLD)
		c.Values[i].add(m.value(&d))
	}
	c.Example = d
	r.Calls[Key{a, nr}] = c
}

// Notify runs a program behind a filter that asks this process about each call, which takes it down and lets it pass. The kernel answers
// itself for what run.Gate allows, and for Harmless and the calls that any run may make: those cost nothing and are not counted. It needs
// no privilege, but a kernel with SECCOMP_USER_NOTIF_FLAG_CONTINUE (5.5) and pidfd_getfd (5.6); set-user-ID programs do not work inside.
func Notify(ctx context.Context, run Run) (*Recording, Result, error) {
	filter, passed, err := askingFilter(run.Gate)
	if err != nil {
		return nil, Result{}, &UnavailableError{err}
	}
	n := &notified{rec: New(run.Args, "notify"), run: &run, programs: map[int]string{}, changed: time.Now()}
	n.rec.Unseen = passed
	n.rec.hold(run.Gate)
	n.rec.forks(abi.Native())
	var result Result
	lost := ptrace.OwnThread(func() {
		var p *ptrace.Process
		if p, err = ptrace.Start(run.Path, run.Args, &syscall.ProcAttr{Env: run.Env, Files: []uintptr{0, 1, 2}}); err != nil {
			return
		}
		if run.Started != nil {
			run.Started(p.PID)
		}
		var listener int
		if listener, err = listen(p, filter); err != nil {
			p.Kill()
			err = &UnavailableError{err}
			return
		}
		defer unix.Close(listener)
		if err = ptrace.Detach(p.PID, 0); err != nil {
			p.Kill()
			return
		}
		result, err = n.answer(ctx, listener, p.PID)
	})
	if lost != nil {
		return nil, Result{}, lost
	}
	if err != nil {
		return nil, result, err
	}
	return n.rec, result, nil
}

// askingFilter lets pass what needs no asking; passed are the names of those calls.
func askingFilter(known *verdict.Verdict) (p bpf.Program, passed []string, err error) {
	native := abi.Native()
	for _, name := range native.Calls() {
		if slices.Contains(Harmless, name) || AnyRun(name) {
			passed = append(passed, name)
		}
	}
	text := fmt.Sprintf("arch %s\ndefault notify\nunknown notify\nbadarch notify\nallow optional %s\nallow clone(flags & ~(%s) == 0)\n",
		native, strings.Join(passed, " optional "), forkFlags)
	gate, err := lang.Load("the recorder", []byte(text), lang.Options{Native: native})
	if err != nil {
		return nil, nil, err
	}
	space := verdict.NewSpace(verdict.DefaultBudget)
	if known != nil {
		space = known.Space()
	}
	err = space.Do(func() error {
		v, err := gate.Verdict(space)
		if err != nil {
			return err
		}
		if known != nil { // what it allows, under conditions too
			allowed := known.Where(func(do bpf.Action) bool { return do == bpf.Allow })
			v = space.Verdict(space.If(allowed, space.Action(bpf.Allow), v.Node()))
		}
		p, err = compile.Program(v, native.ByteOrder(), compile.Options{})
		return err
	})
	return p, passed, err
}

// listen puts the filter on a program that stands before its first instruction, and takes the listener out of it.
func listen(p *ptrace.Process, filter bpf.Program) (listener int, err error) {
	in, err := ptrace.NewInjection(p.Image)
	if err != nil {
		return -1, err
	}
	if err := in.Do(ptrace.Prctl, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, fmt.Errorf("setting no_new_privs: %w", err)
	}
	// A call that waits for its answer is not to be interrupted by signals that it would not see otherwise (5.19).
	fd, err := in.InstallListener(filter, unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	if errors.Is(err, unix.EINVAL) {
		fd, err = in.InstallListener(filter, 0)
	}
	if err != nil {
		return -1, fmt.Errorf("installing a filter with a listener: %w", err)
	}
	pidfd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return -1, fmt.Errorf("pidfd_open: %w", err)
	}
	defer unix.Close(pidfd)
	if listener, err = unix.PidfdGetfd(pidfd, fd, 0); err != nil {
		return -1, fmt.Errorf("taking the listener out of the program: %w", err)
	}
	// An i386 program's close is asked about, and nobody answers yet.
	var closed atomic.Bool
	var answering sync.WaitGroup
	answering.Go(func() { letGo(listener, &closed) })
	err = in.Do(ptrace.Close, uint64(fd))
	closed.Store(true)
	answering.Wait()
	if err != nil {
		unix.Close(listener)
		return -1, err
	}
	in.SetMask(p.Mask)
	return listener, in.End()
}

// letGo lets calls pass that are asked about until it is over.
func letGo(listener int, over *atomic.Bool) {
	for !over.Load() {
		fds := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if n, _ := unix.Poll(fds, 1); n <= 0 {
			continue
		}
		var ask notification
		if control(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&ask)) == nil {
			_ = goesOn(listener, ask.ID)
		}
	}
}

type notified struct {
	rec      *Recording
	run      *Run
	programs map[int]string
	changed  time.Time
	told     time.Time
}

// struct seccomp_notif and seccomp_notif_resp (linux/seccomp.h).
type (
	notification struct {
		ID    uint64
		PID   uint32
		Flags uint32
		Nr    int32
		Arch  uint32
		IP    uint64
		Args  [6]uint64
	}
	response struct {
		ID    uint64
		Val   int64
		Error int32
		Flags uint32
	}
)

const goOn = 1 // SECCOMP_USER_NOTIF_FLAG_CONTINUE

func control(fd int, req uint, arg unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(req), uintptr(arg))
	if errno != 0 {
		return errno
	}
	return nil
}

// answer takes calls down until all that is behind the filter has ended, or the first process has and ctx is done.
func (n *notified) answer(ctx context.Context, listener, pid int) (result Result, err error) {
	ended := make(chan unix.WaitStatus, 1)
	go func() {
		var status unix.WaitStatus
		for {
			if _, err := unix.Wait4(pid, &status, unix.WALL, nil); err != unix.EINTR {
				ended <- status
				return
			}
		}
	}()
	over := false
	for {
		select {
		case status := <-ended:
			over = true
			if status.Signaled() {
				result.Signal = status.Signal()
			} else {
				result.ExitCode = status.ExitStatus()
			}
		default:
		}
		fds := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		_, err := unix.Poll(fds, 50)
		switch {
		case err != nil && err != unix.EINTR:
			return result, fmt.Errorf("waiting for calls: %w", err)
		case fds[0].Revents&unix.POLLIN != 0:
			if err := n.one(listener); err != nil {
				return result, err
			}
		case fds[0].Revents&unix.POLLHUP != 0 && over, over && ctx.Err() != nil:
			return result, nil
		case fds[0].Revents&unix.POLLHUP != 0:
			time.Sleep(time.Millisecond) // the first process is about to be reaped
		}
		if now := time.Now(); n.run.Seen != nil && now.Sub(n.told) > 100*time.Millisecond {
			n.told = now
			n.run.Seen(n.rec, now.Sub(n.changed))
		}
	}
}

// one takes one call down and lets it go on.
func (n *notified) one(listener int) error {
	var ask notification
	switch err := control(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&ask)); {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINTR):
		return nil // a signal has taken the call back
	case err != nil:
		return fmt.Errorf("taking a call: %w", err)
	}
	d := bpf.Data{Nr: uint32(ask.Nr), Arch: ask.Arch, IP: ask.IP, Args: ask.Args}
	if a, ok := abi.Of(d.Arch, d.Nr); ok {
		pid := int(ask.PID)
		name, _ := a.Name(d.Nr)
		program, known := n.programs[pid]
		if !known {
			program = n.rec.programOf(pid)
			n.programs[pid] = program
		}
		if name == "execve" || name == "execveat" {
			delete(n.programs, pid) // it is another one afterwards
		}
		if n.run.Files {
			n.rec.maps(pid, a, name, &d)
		}
		if name == "clone3" {
			asClone(a, &d, n.rec, func(addr uint64, buf []byte) error { return readProcess(pid, addr, buf) })
		}
		if n.rec.Add(a, &d, program) {
			n.changed = time.Now()
		}
	} else {
		n.rec.Lost++
	}
	return goesOn(listener, ask.ID)
}

// goesOn lets the call with this number pass; it may have been taken back meanwhile.
func goesOn(listener int, id uint64) error {
	answer := response{ID: id, Flags: goOn}
	if err := control(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&answer)); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("letting a call go on: %w", err)
	}
	return nil
}

// readProcess reads a process's memory.
func readProcess(pid int, addr uint64, buf []byte) error {
	local := []unix.Iovec{{Base: &buf[0]}}
	local[0].SetLen(len(buf))
	n, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: uintptr(addr), Len: len(buf)}}, 0)
	if err == nil && n != len(buf) {
		err = os.ErrInvalid
	}
	return err
}
