package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"monban/abi"
	"monban/bpf"
	"monban/compile"
	"monban/internal/ptrace"
	"monban/internal/sys"
	"monban/policy/lang"
	"monban/seccomp"
	"monban/verdict"
)

// harmless are calls that Notify lets pass unseen, because programs make them all the time and they do little: reading
// and writing what is open, asking what is known, waiting.
var harmless = []string{"read", "write", "readv", "writev", "lseek", "_llseek", "close", "fstat", "fstat64", "stat", "stat64", "lstat", "lstat64",
	"newfstatat", "fstatat64", "statx", "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents64", "poll", "ppoll", "select",
	"pselect6", "epoll_wait", "epoll_pwait", "getuid", "geteuid", "getgid", "getegid", "getppid", "fork"}

// forkFlags are what a plain fork gives clone. It passes like the harmless calls: a signal that comes before the
// notification is read makes a call fail by EINTR, which fork never does and no program expects of it.
const forkFlags = "CSIGNAL | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID"

// forks notes the plain fork that the filter lets pass.
func (r *Recording) forks(a abi.Arch) {
	const parentSettid, childCleartid, childSettid = 0x00100000, 0x00200000, 0x01000000 // linux/sched.h
	nr, ok := a.Number("clone")
	if !ok {
		return
	}
	d := bpf.Data{Nr: nr, Arch: a.Token()}
	matter := Arguments(a, "clone")
	c := &Call{Programs: map[string]uint64{}, Values: make([]Values, len(matter))}
	for i, m := range matter {
		d.Args[m.Position] = parentSettid | childCleartid | childSettid | uint64(syscall.SIGCHLD)
		c.Values[i].add(m.value(&d))
	}
	c.Example = d
	r.Calls[Key{a, nr}] = c
}

// Notify runs a program behind a filter that asks this process about each call, which takes it down and lets it pass.
// The kernel answers itself for what run.Gate allows, and for harmless calls and those that any run may make: those
// cost nothing and are not counted. It needs no privilege, but a kernel with SECCOMP_USER_NOTIF_FLAG_CONTINUE (5.5) and
// pidfd_getfd (5.6); set-user-ID programs do not work inside.
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
		var l *seccomp.Listener
		if l, err = listen(p, filter); err != nil {
			p.Kill()
			err = &UnavailableError{err}
			return
		}
		defer l.Close()
		if err = ptrace.Detach(p.PID, 0); err != nil {
			p.Kill()
			return
		}
		var following sync.WaitGroup // the program lives as long as this thread, which has nothing else to do
		following.Go(func() { result, err = n.follow(ctx, l, p.PID) })
		following.Wait()
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
		if slices.Contains(harmless, name) || AnyRun(name) {
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
func listen(p *ptrace.Process, filter bpf.Program) (*seccomp.Listener, error) {
	in, err := ptrace.NewInjection(p.Image)
	if err != nil {
		return nil, err
	}
	if err := in.Do(ptrace.Prctl, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("setting no_new_privs: %w", err)
	}
	fd, err := in.InstallListener(filter, listenerFlags())
	if err != nil {
		return nil, fmt.Errorf("installing a filter with a listener: %w", err)
	}
	pidfd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return nil, fmt.Errorf("pidfd_open: %w", err)
	}
	defer unix.Close(pidfd)
	taken, err := unix.PidfdGetfd(pidfd, fd, 0)
	if err != nil {
		return nil, fmt.Errorf("taking the listener out of the program: %w", err)
	}
	l, err := seccomp.OpenListener(taken)
	if err != nil {
		unix.Close(taken)
		return nil, err
	}
	// An i386 program's close is asked about, and nobody answers yet.
	ctx, closed := context.WithCancel(context.Background())
	var answering sync.WaitGroup
	answering.Go(func() {
		for ask, err := l.Receive(ctx); err == nil; ask, err = l.Receive(ctx) {
			_ = ask.Continue()
		}
	})
	err = in.Do(ptrace.Close, uint64(fd))
	closed()
	answering.Wait()
	if err != nil {
		l.Close()
		return nil, err
	}
	in.SetMask(p.Mask)
	return l, in.End()
}

// listenerFlags are those with which a call that waits for its answer is not interrupted by signals that it would not
// see otherwise.
func listenerFlags() uint32 {
	if seccomp.Have(seccomp.FeatureWaitKillableRecv) != nil {
		return 0
	}
	return uint32(seccomp.WaitKillableRecv)
}

type notified struct {
	sync.Mutex // of the recording, which a ticker looks at, too

	rec      *Recording
	run      *Run
	programs map[int]string
	changed  time.Time
}

// follow takes calls down until all that is behind the filter has ended, or the first process has and ctx is done.
func (n *notified) follow(ctx context.Context, l *seccomp.Listener, pid int) (Result, error) {
	var result Result // once ended is closed
	receiving, enough := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer enough()
		result = waitFor(pid)
		close(ended)
		select {
		case <-ctx.Done():
		case <-receiving.Done():
		}
	}()
	over := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() { n.tell(over) })
	defer telling.Wait()
	defer close(over)
	defer enough()
	for {
		ask, err := l.Receive(receiving)
		switch {
		case err == io.EOF, receiving.Err() != nil: // the first process is about to be reaped, or has been
			<-ended
			return result, nil
		case err != nil:
			return Result{}, err
		}
		if err := n.take(ask); err != nil {
			return Result{}, err
		}
	}
}

// waitFor waits for the end of a child.
func waitFor(pid int) (result Result) {
	var status unix.WaitStatus
	for {
		if _, err := unix.Wait4(pid, &status, unix.WALL, nil); err != unix.EINTR {
			break
		}
	}
	if status.Signaled() {
		result.Signal = status.Signal()
	} else {
		result.ExitCode = status.ExitStatus()
	}
	return result
}

// tell says ten times a second how far the recording is.
func (n *notified) tell(over <-chan struct{}) {
	if n.run.Seen == nil {
		return
	}
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-over:
			return
		case <-ticker.C:
		}
		n.Lock()
		n.run.Seen(n.rec, time.Since(n.changed))
		n.Unlock()
	}
}

// take takes one call down and lets it go on.
func (n *notified) take(ask *seccomp.Notification) error {
	n.Lock()
	n.note(ask)
	n.Unlock()
	if err := ask.Continue(); err != nil && !errors.Is(err, seccomp.ErrGone) {
		return err
	}
	return nil
}

// note takes one call down. What was looked up by the thread's number counts only if it is still that thread's.
func (n *notified) note(ask *seccomp.Notification) {
	d, tid := ask.Call, ask.TID
	a, ok := abi.Of(d.Arch, d.Nr)
	if !ok {
		n.rec.Lost++
		return
	}
	name, _ := a.Name(d.Nr)
	program, known := n.programs[tid]
	if !known {
		if x := executableOf(tid); ask.Valid() == nil {
			program = n.rec.runs(x)
			n.programs[tid] = program
		} else {
			program = unknownProgram
		}
	}
	if name == "execve" || name == "execveat" {
		delete(n.programs, tid) // it is another one afterwards
	}
	if n.run.Files {
		if program, file, ok := mapped(tid, a, name, &d); ok && ask.Valid() == nil {
			n.rec.takes(program.name, program.id, file.name, file.id)
		}
	}
	if name == "clone3" {
		d = n.rec.asClone(a, d, func(addr uint64, buf []byte) error {
			return cmp.Or(sys.ReadMemory(tid, addr, buf), ask.Valid())
		})
	}
	if n.rec.Add(a, &d, program) {
		n.changed = time.Now()
	}
}
