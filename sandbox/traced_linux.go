package sandbox

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/child"
	"monban/internal/ptrace"
)

// hold has the child asked to be traced, and stopped; seen by the stop of a tracee, and one that an option marks.
var hold = step{
	name: "tracer",
	child: func(r *run, s *child.Script) error {
		r.process.Ask(s)
		return nil
	},
	parent: func(r *run) error { return r.process.Hold() },
	failed: (*run).refused,
}

// load lets the child go on to its exec, and takes hold of the program before its first instruction: of its registers,
// which are read back, and with all its signals blocked.
var load = step{
	name:  "exec",
	child: (*run).program,
	parent: func(r *run) (err error) {
		if err := r.process.Exec(); err != nil {
			return err
		}
		if err := r.inject(); err != nil {
			return &ptrace.RefusedError{While: "controlling the program", Err: err}
		}
		r.injection.SetMask(r.process.Mask)
		return nil
	},
	failed: func(r *run, err error) error {
		if errno, ok := err.(syscall.Errno); ok {
			return r.execError(r.path, errno)
		}
		return r.refused(err)
	},
}

// gates are installed by the stopped program, which is asked twice, as [ptrace.Install] explains.
var gates = step{
	name:   "gates",
	parent: func(r *run) error { return r.install(r.set.Gates, len(r.set.Loader)) },
}

// release puts the program's registers and mask back and lets it run: seen, because it doesn't stand where it was.
var release = step{
	name: "release",
	parent: func(r *run) error {
		if err := r.injection.End(); err != nil {
			return err
		}
		if !r.follows() {
			return r.letRun(r.process.Detach, r.process.Runs, &r.ran)
		}
		switch ev, err := r.process.Reseize(watchOptions); {
		case ev.Dead():
			r.ended(ev)
			return errEnded
		case err != nil:
			return err
		}
		return r.letRun(r.process.Continue, r.process.Runs, &r.ran)
	},
	failed: (*run).refused,
}

// end waits for the program's end; if that can't be had the program ends, too.
var end = step{
	name: "end",
	parent: func(r *run) error {
		if r.follows() {
			return r.watch()
		}
		return r.wait()
	},
	failed: func(r *run, err error) error { return &LostError{r.path, err} },
}

// follows says whether the program stays traced when it runs.
func (r *run) follows() bool { return r.set.Watch && !r.Detach && !r.AllowExec }

// inject begins to make the stopped program perform calls.
func (r *run) inject() (err error) {
	r.injection, err = ptrace.NewInjection(r.process.Image)
	return err
}

// install puts gates on the stopped program; before them there are some others.
func (r *run) install(gates []bpf.Program, before int) error {
	for i, gate := range gates {
		if err := r.injection.InstallFilter(gate, uint32(r.Flags)); err != nil {
			return r.gateError(before+i, err)
		}
	}
	return nil
}

// ended takes the program's status over into the result.
func (r *run) ended(ev ptrace.Event) {
	r.jobs.reaped.Store(true)
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
