package sandbox

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"monban/internal/ptrace"
)

// passOn are the signals that a launcher hands to its program. Not SIGURG, which the Go runtime uses itself, nor
// SIGPIPE, SIGCHLD, SIGPROF and faults, which concern this process.
var passOn = []syscall.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH, unix.SIGALRM,
	unix.SIGPWR, unix.SIGCONT,
}

// stopSignals are those of the terminal's job control. When they arrive the program decides: this process stops when
// the program has.
var stopSignals = []syscall.Signal{unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU}

// settle is how long one signal to a whole process group may take to show at all its processes.
const settle = 20 * time.Millisecond

// startLimit is how long a start may take, until the program runs: a hundred times what the largest program takes on a
// busy machine. What stops this process, a terminal or a suspended machine, does not count.
var startLimit = 30 * time.Second

// giveUp is how long an aborted start may take to end.
const giveUp = 3 * time.Second

// endsStart are the signals that end a start. The others wait until the program runs.
var endsStart = map[syscall.Signal]bool{unix.SIGHUP: true, unix.SIGINT: true, unix.SIGQUIT: true, unix.SIGTERM: true}

// A phase is how far a start has come.
type phase int

const (
	starting phase = iota
	letting        // the program is being let run: signals wait for what comes of it
	running        // it has been seen to run
)

// jobs owns the time and the signals of a run. During the start, a signal that ends processes, the end of the context
// or startLimit aborts it: the child is killed, and where even that is in vain, lost is closed. While the program is
// being let run all but those signals do; once it runs jobs passes signals on to it, and stops and continues together
// with it. The fields below quit belong to its goroutine; the tracing thread talks to it through reports and the state
// under the lock.
type jobs struct {
	signals chan os.Signal      // of passOn
	stops   chan os.Signal      // of stopSignals
	reports chan syscall.Signal // the signal that stopped the program, or 0: it goes on
	started chan struct{}       // the program runs
	ready   chan struct{}       // closed once signals arrive in the channels above
	lost    chan struct{}       // closed when the start was aborted and does not end
	seen    chan struct{}       // closed once the program was seen to run
	quit    chan struct{}
	done    chan struct{}
	keep    bool

	lock       sync.Mutex
	phase      phase
	aborted    error       // why the start was
	pid, pidfd int         // of the child, 0 while there is none; pidfd may be -1
	reaped     atomic.Bool // the child has been: its number may be somebody else's by now

	ctx     context.Context
	waiting []syscall.Signal // came during the start

	stopSignal syscall.Signal // what has stopped the program, 0 while it runs
	gotStop    bool           // this process was told to stop, too
	answered   bool           // this process has stopped for that, and gone on
	check      *time.Timer    // when to see whether the program has been continued together with this process
}

func newJobs(ctx context.Context, keep bool) *jobs {
	j := &jobs{
		signals: make(chan os.Signal, 64),
		stops:   make(chan os.Signal, 16),
		reports: make(chan syscall.Signal, 64),
		started: make(chan struct{}, 1),
		ready:   make(chan struct{}),
		lost:    make(chan struct{}),
		seen:    make(chan struct{}),
		quit:    make(chan struct{}),
		done:    make(chan struct{}),
		keep:    keep,
		pidfd:   -1,
		ctx:     ctx,
		check:   time.NewTimer(time.Hour),
	}
	j.check.Stop()
	go func() {
		// A millisecond's work, done while the program is loaded.
		if !keep {
			notify(j.signals, passOn)
			notify(j.stops, stopSignals)
		}
		close(j.ready)
		j.loop()
	}()
	return j
}

// notify is signal.Notify, with senders recorded. What is ignored (nohup) stays so, for the program too.
func notify(c chan os.Signal, set []syscall.Signal) {
	for _, s := range set {
		if !signal.Ignored(s) {
			signal.Notify(c, s)
			recordSender(s)
		}
	}
}

// child tells of the child, which is killed at once if the start has been aborted.
func (j *jobs) child(pid, pidfd int) {
	j.lock.Lock()
	j.pid, j.pidfd = pid, pidfd
	aborted := j.aborted
	j.lock.Unlock()
	if aborted != nil {
		j.send(unix.SIGKILL)
	}
}

// release says that the program is about to be let run. The error is why it must not be.
func (j *jobs) release() error {
	<-j.ready
	j.lock.Lock()
	defer j.lock.Unlock()
	if j.aborted == nil && j.phase == starting {
		j.phase = letting
	}
	return j.aborted
}

// runs says that the program was seen to run, and begins to pass signals on; those since newJobs are passed on now.
func (j *jobs) runs() {
	j.lock.Lock()
	defer j.lock.Unlock()
	if j.aborted == nil && j.phase == letting {
		j.phase = running
		j.started <- struct{}{}
		close(j.seen)
	}
}

// reap kills and reaps the child of a tracing thread that is gone, or stuck.
func (j *jobs) reap() {
	j.lock.Lock()
	pid, pidfd := j.pid, j.pidfd
	j.lock.Unlock()
	if pid != 0 {
		ptrace.Reap(pid, pidfd)
	}
}

// abort ends a start that has not come to a phase, and says whether it is ended.
func (j *jobs) abort(why error, before phase) bool {
	j.lock.Lock()
	if j.phase >= before || j.aborted != nil {
		defer j.lock.Unlock()
		return j.aborted != nil
	}
	j.aborted = why
	pid := j.pid
	j.lock.Unlock() // a filter may kill the thread that sends a signal
	time.AfterFunc(giveUp, func() {
		select {
		case <-j.quit: // it has ended
		default:
			j.reap()
		}
		close(j.lost)
	})
	if pid != 0 {
		j.send(unix.SIGKILL)
	}
	return true
}

// why is the reason for which the start was aborted, nil if it wasn't.
func (j *jobs) why() error {
	j.lock.Lock()
	defer j.lock.Unlock()
	return j.aborted
}

// close ends passing on. The child has been reaped, or there never was one, or it is lost.
func (j *jobs) close() {
	close(j.quit)
	// Half a millisecond's work that a launcher, which ends now, need not wait for.
	go func() {
		<-j.ready
		signal.Stop(j.signals)
		signal.Stop(j.stops)
		<-j.done
	}()
}

func (j *jobs) stopped(s syscall.Signal) { j.report(s) }
func (j *jobs) continued()               { j.report(0) }

func (j *jobs) report(s syscall.Signal) {
	select {
	case j.reports <- s:
	case <-j.quit:
	}
}

func (j *jobs) loop() {
	defer close(j.done)
	cancelled := j.ctx.Done()
	// Ticks are dropped while this process is stopped: what is counted is time in which it could run.
	const ticks = 30
	clock := time.NewTicker(startLimit / ticks)
	defer clock.Stop()
	for left := ticks; ; {
		select {
		case s := <-j.signals:
			j.signalled(s.(syscall.Signal))
		case s := <-j.stops:
			j.gotStop = true
			j.signalled(s.(syscall.Signal))
			j.stopToo()
		case <-j.started:
			clock.Stop()
			for _, s := range j.waiting {
				j.received(s)
			}
			j.waiting = nil
		case <-clock.C:
			if left--; left == 0 {
				clock.Stop()
				j.abort(fmt.Errorf("it has not reached its first instruction within %v", startLimit), running)
			}
		case s := <-j.reports:
			j.stopSignal, j.answered = s, false
			if s == 0 {
				j.gotStop = false
			}
			j.stopToo()
		case <-j.check.C:
			if j.stopSignal != 0 {
				j.send(unix.SIGCONT)
			}
		case <-cancelled:
			cancelled = nil
			if !j.abort(j.ctx.Err(), running) {
				j.send(unix.SIGKILL)
			}
		case <-j.quit:
			return
		}
	}
}

// signalled deals with a signal to this process.
func (j *jobs) signalled(s syscall.Signal) {
	switch {
	case endsStart[s] && j.abort(fmt.Errorf("interrupted by %s", unix.SignalName(s)), letting):
	case !j.runsNow():
		j.waiting = append(j.waiting, s)
	default:
		j.received(s)
	}
}

func (j *jobs) runsNow() bool {
	j.lock.Lock()
	defer j.lock.Unlock()
	return j.phase == running
}

// received passes a signal on, unless the program has had it from the same sender.
func (j *jobs) received(s syscall.Signal) {
	if s == unix.SIGCONT {
		// Most often it went to the whole process group.
		j.check.Reset(settle)
		return
	}
	from := takeSender(s)
	switch {
	case from.kernel: // the terminal, which signals the whole foreground process group
	case from.unknown && terminalSignal(s) && foreground():
	case from.pid == j.pid: // the program signals its own process group
	default:
		j.send(s)
	}
}

// stopToo stops this process if the program has stopped and whoever watches this process (a shell) must see that: it
// was told to stop too, or it is what the terminal's user looks at. It returns when the process goes on.
func (j *jobs) stopToo() {
	if j.keep || j.stopSignal == 0 || j.answered || !j.gotStop && !foreground() {
		return
	}
	sig := j.stopSignal
	if sig != unix.SIGTTIN && sig != unix.SIGTTOU {
		sig = unix.SIGTSTP // not SIGSTOP, which stops even where nobody could continue us
	}
	stopSelf(sig)
	// What the terminal sent us was part of this stop.
	j.gotStop, j.answered = false, true
	for len(j.stops) > 0 {
		<-j.stops
	}
	j.check.Reset(settle)
}

func (j *jobs) send(s syscall.Signal) {
	if j.reaped.Load() {
		return
	}
	if s == unix.SIGKILL {
		_ = ptrace.Signal(j.pid, j.pidfd, s)
		return
	}
	if j.pidfd >= 0 {
		err := unix.PidfdSendSignal(j.pidfd, s, nil, 0)
		if err == nil || err == unix.ESRCH {
			return
		}
	}
	// An older kernel, or a sandbox that doesn't know pidfd_send_signal. Not unix.Kill, see ptrace.Signal.
	_, _, _ = unix.Syscall(unix.SYS_KILL, uintptr(j.pid), uintptr(s), 0)
}

// terminalSignal says whether a terminal sends s to its foreground process group.
func terminalSignal(s syscall.Signal) bool {
	switch s {
	case unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP, unix.SIGWINCH, unix.SIGHUP:
		return true
	}
	return false
}

// foreground says whether this process belongs to the foreground process group of its controlling terminal.
func foreground() bool {
	fd, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	pgrp, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	return err == nil && pgrp == unix.Getpgrp()
}

// A sender is who sent this process a signal.
type sender struct {
	unknown bool
	kernel  bool // the terminal driver, or another part of the kernel
	pid     int
}

// senders holds for each signal si_pid<<32 | si_code of its last arrival; signal handlers write it.
var senders = func() (s [65]uint64) {
	for i := range s {
		s[i] = noSender
	}
	return s
}()

const (
	siKernel   = 0x80 // SI_KERNEL (asm-generic/siginfo.h)
	noSender   = 1<<64 - 1
	siCodeMask = 1<<32 - 1
)

// takeSender reads and forgets who sent the last s.
func takeSender(s syscall.Signal) sender {
	v := atomic.SwapUint64(&senders[s], noSender)
	if v == noSender {
		return sender{unknown: true}
	}
	return sender{kernel: v&siCodeMask == siKernel, pid: int(v >> 32)}
}
