package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/ptrace"
	"monban/seccomp"
)

// Run runs the program and returns when it has ended; what it started and left behind goes on, behind the gate. An
// error means that the program was not run, or was killed before its first instruction (with Strict or Loader: before
// main); only with a [*LostError] it has run. Most others are a [*StartError]. Ending ctx kills the program.
//
// The program has no_new_privs (set-user-id bits give it nothing) and a SIGKILL as its parent-death signal. Signals
// that this process is sent are passed on while it runs, except those that the terminal has sent to the program too,
// and when the program stops in the terminal's foreground this process stops as well; see KeepSignals.
//
// Strict mode begins at main where that can be found: in a dynamic program with a symbol table; in a stripped one at
// its entry point, in a static one at its first instruction. The dynamic loader and constructors (of the program's
// libraries too) run before that without it, unless Loader gates them. A program that ends on its way there has run:
// its end is the result, as it is for one that forks, makes a thread or execs there, and is killed; Result.BeforeMain
// says which. The C library's way out of main, exit_group, isn't allowed in strict mode: a program lives if it ends in
// syscall(SYS_exit, n).
func (c *Command) Run(ctx context.Context) (*Result, error) {
	p, err := c.Start(ctx)
	if err != nil {
		return nil, err
	}
	return p.Wait()
}

// Start is Run without waiting for the end: it returns once the program runs, or with the error for which it does not.
// Ending ctx kills the program, later too. Wait must be called.
func (c *Command) Start(ctx context.Context) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	r := &run{Command: c}
	r.prepare()
	err := c.checkDir()
	if err == nil {
		r.path, err = c.resolve()
	}
	if err != nil {
		return nil, cmp.Or(r.prepared(), err)
	}
	r.jobs = newJobs(ctx, c.KeepSignals)
	p := &Process{run: r, done: make(chan error, 1)}
	// The thread is the program's parent and tracer, and has no_new_privs: it must live until the program has ended and
	// never serve another goroutine. With it ends, whatever holds it, a child that it traces.
	go func() {
		var err error
		if lost := ptrace.OwnThread(func() { err = r.do() }); lost != nil {
			r.jobs.reap()
			err = r.ends(lost)
		}
		p.done <- err
	}()
	select {
	case <-r.jobs.seen:
		return p, nil
	case err := <-p.done:
		p.done <- err
	case <-r.jobs.lost:
	}
	if r.ran.Load() { // it has ended already
		return p, nil
	}
	if _, err := p.Wait(); err != nil {
		return nil, err
	}
	return p, nil // it ended on its way to main
}

// A Process is a program that runs behind its gate.
type Process struct {
	run  *run
	done chan error
	once sync.Once
	res  *Result
	err  error
}

// PID is the program's process id, until Wait returns.
func (p *Process) PID() int {
	p.run.jobs.lock.Lock()
	defer p.run.jobs.lock.Unlock()
	return p.run.jobs.pid
}

// Wait returns when the program has ended. The error is that of Run.
func (p *Process) Wait() (*Result, error) {
	p.once.Do(func() {
		r := p.run
		defer r.jobs.close()
		var err error
		select {
		case err = <-p.done:
		case <-r.jobs.lost:
		}
		if why := r.jobs.why(); why != nil {
			err = r.ends(why)
		}
		if p.err = err; err == nil {
			p.res = &r.result
		}
	})
	return p.res, p.err
}

// A run is one start of a Command.
type run struct {
	*Command
	path   string
	jobs   *jobs
	pid    int
	ran    atomic.Bool // the program has been let run (past its way to main), or may have been
	result Result

	prepared func() error // waits until what follows is there
	set      Prepared
}

// prepare begins to complete what binds the program.
func (r *run) prepare() {
	if r.Prepare == nil {
		r.set = Prepared{Gates: r.Gates, Loader: r.Loader, Watch: r.Watch}
		r.prepared = func() error { return r.set.check(r.Command) }
		return
	}
	done := make(chan error, 1)
	go func() {
		var err error
		r.set, err = r.Prepare()
		done <- err
	}()
	r.prepared = sync.OnceValue(func() error { return cmp.Or(<-done, r.set.check(r.Command)) })
}

// step, in tests, is told of each step of a start.
var step func(done string)

func (r *run) did(done string) {
	if step != nil {
		step(done)
	}
}

func (r *run) do() error {
	if err := seccomp.NoNewPrivs(); err != nil {
		return err
	}
	r.did("no_new_privs")
	if r.AllowExec {
		if err := r.prepared(); err != nil {
			return err
		}
		return r.doInside()
	}
	p, err := r.startTraced()
	if p != nil {
		defer p.Close()
	}
	var in *ptrace.Injection
	if err == nil {
		if in, err = ptrace.NewInjection(p.Image); err != nil {
			err = r.refused(&ptrace.RefusedError{While: "controlling the program", Err: err})
		}
	}
	if prepErr := r.prepared(); prepErr != nil {
		err = prepErr
	}
	if err == nil {
		r.did("started")
		err = r.gate(p, in)
	}
	if err != nil {
		if p != nil {
			p.Kill()
		}
		return err
	}
	if p.PID == 0 { // it ended before main
		return nil
	}
	r.did("gated")
	wait := r.wait
	if r.Detach || !r.set.Watch {
		err = r.letRun(p.Detach, p.Runs, &r.ran)
	} else {
		var ev ptrace.Event
		if ev, err = p.Reseize(watchOptions); ev.Dead() {
			r.ended(ev)
			return nil
		}
		if err == nil {
			err = r.letRun(p.Continue, p.Runs, &r.ran)
		}
		wait = r.watch
	}
	if err != nil {
		p.Kill()
		return r.refused(err)
	}
	r.did("released")
	return r.lastly(p, wait)
}

// letRun lets the program run: let does, and seen sees to it that it did. In between a filter may kill this thread, or
// let may be answered by one; then ran tells, as it was before or not, whether the program may have run.
func (r *run) letRun(let, seen func() error, ran *atomic.Bool) error {
	if err := r.jobs.release(); err != nil {
		return err
	}
	if err := let(); err != nil {
		return err
	}
	ran.Store(true)
	if err := seen(); err != nil {
		ran.Store(false) // it stands where it stood
		return err
	}
	r.jobs.runs()
	return nil
}

// lastly waits for the program's end; if that can't be had the program ends, too.
func (r *run) lastly(p *ptrace.Process, wait func() error) error {
	if err := wait(); err != nil {
		p.Kill()
		return &LostError{r.path, err}
	}
	return nil
}

// procAttr is what the program inherits.
func (r *run) procAttr() *syscall.ProcAttr {
	attr := &syscall.ProcAttr{Dir: r.Dir, Env: r.environ()}
	for i, f := range []*os.File{r.Stdin, r.Stdout, r.Stderr} {
		fd := uintptr(i)
		if f != nil {
			fd = f.Fd()
		} else if _, err := unix.FcntlInt(fd, unix.F_GETFD, 0); err != nil {
			fd = ^uintptr(0) // closed, and it stays closed
		}
		attr.Files = append(attr.Files, fd)
	}
	return attr
}

func (r *run) argv() []string {
	if len(r.Args) == 0 {
		return []string{r.Path}
	}
	return r.Args
}

// startTraced starts the program and takes it to its first instruction. The process is there, to be killed, even with
// an error that came later than its fork.
func (r *run) startTraced() (*ptrace.Process, error) {
	p, err := ptrace.Spawn(r.path, r.argv(), r.procAttr())
	if err == nil {
		r.pid = p.PID
		r.jobs.child(p.PID, p.PIDFD)
		r.did("spawned")
		err = p.Load()
	}
	refused := (*ptrace.RefusedError)(nil)
	switch errno, isExec := err.(syscall.Errno); {
	case err == nil:
		return p, nil
	case isExec:
		return p, r.execError(r.path, errno)
	case errors.As(err, &refused):
		return p, r.refused(err)
	}
	return p, r.notStarted(err)
}

// gate puts the gates, or strict mode, on the stopped program. If it ended on its way to main p.PID is 0.
func (r *run) gate(p *ptrace.Process, in *ptrace.Injection) error {
	in.SetMask(p.Mask)
	if r.Strict || len(r.set.Loader) > 0 {
		return r.atMain(p, in)
	}
	return r.install(in, r.set.Gates, 0)
}

// install puts gates on the stopped program; before them there are some others.
func (r *run) install(in *ptrace.Injection, gates []bpf.Program, before int) error {
	for i, gate := range gates {
		if err := in.InstallFilter(gate, uint32(r.Flags)); err != nil {
			return r.gateError(before+i, err)
		}
		r.did(fmt.Sprintf("gate %d", before+i+1))
	}
	return in.End()
}

// ended takes the program's status over into the result.
func (r *run) ended(ev ptrace.Event) {
	if ev.Status.Signaled() {
		r.result.Signal = ev.Status.Signal()
		r.result.CoreDump = ev.Status.CoreDump()
		return
	}
	r.result.ExitCode = ev.Status.ExitStatus()
}

// wait waits for a program that is not traced.
func (r *run) wait() error {
	for {
		ev, err := ptrace.Wait(r.pid, unix.WUNTRACED|unix.WCONTINUED)
		switch {
		case err != nil:
			return fmt.Errorf("waiting for the program: %w", err)
		case ev.Dead():
			r.ended(ev)
			return nil
		case ev.Status.Continued():
			r.jobs.continued()
		case ev.Status.Stopped():
			r.jobs.stopped(ev.Status.StopSignal())
		}
	}
}
