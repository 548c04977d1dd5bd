package sandbox

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"

	"monban/internal/ptrace"
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
	list   []step
	pid    int         // of the child, which becomes the program
	ran    atomic.Bool // the program has been let run (past its way to main), or may have been
	result Result

	prepared func() error // waits until what binds the program is there
	ready    bool         // it is
	set      Prepared

	process   *ptrace.Process
	injection *ptrace.Injection // on the traced program, while it is stopped
	installs  []installation    // of gates by the child itself
	last      ptrace.Event      // the end of a child that did not come through its exec
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
