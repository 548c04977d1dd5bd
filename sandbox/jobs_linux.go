package sandbox

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// passOn are the signals that a launcher hands to its program. Not SIGURG, which the Go runtime uses itself, nor SIGPIPE,
// SIGCHLD, SIGPROF and faults, which concern this process.
var passOn = []syscall.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH, unix.SIGALRM,
	unix.SIGPWR, unix.SIGCONT,
}

// stopSignals are those of the terminal's job control. When they arrive the program decides: this process stops when the
// program has.
var stopSignals = []syscall.Signal{unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU}

// settle is how long one signal to a whole process group may take to show at all its processes.
const settle = 20 * time.Millisecond

// jobs passes signals on to the program and stops and continues together with it. Its fields belong to its goroutine; the
// tracing thread talks to it through reports.
type jobs struct {
	signals chan os.Signal      // of passOn
	stops   chan os.Signal      // of stopSignals
	reports chan syscall.Signal // the signal that stopped the program, or 0: it goes on
	ready   chan struct{}       // closed once signals arrive in the channels above
	quit    chan struct{}
	done    chan struct{}
	keep    bool

	ctx        context.Context
	pid, pidfd int

	stopSignal syscall.Signal // what has stopped the program, 0 while it runs
	gotStop    bool           // this process was told to stop, too
	answered   bool           // this process has stopped for that, and gone on
	check      *time.Timer    // when to see whether the program has been continued together with this process
}

func newJobs(keep bool) *jobs {
	j := &jobs{
		signals: make(chan os.Signal, 64),
		stops:   make(chan os.Signal, 16),
		reports: make(chan syscall.Signal, 64),
		ready:   make(chan struct{}),
		quit:    make(chan struct{}),
		keep:    keep,
	}
	go func() {
		// A millisecond's work, done while the program is loaded.
		defer close(j.ready)
		if !keep {
			notify(j.signals, passOn)
			notify(j.stops, stopSignals)
		}
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

// start begins passing on; the signals since newJobs are passed on now. pidfd may be -1; it is closed in the end.
func (j *jobs) start(ctx context.Context, pid, pidfd int) {
	<-j.ready
	j.ctx, j.pid, j.pidfd = ctx, pid, pidfd
	j.done = make(chan struct{})
	j.check = time.NewTimer(time.Hour)
	j.check.Stop()
	go j.loop()
}

// close ends passing on. The program has been reaped, or never started.
func (j *jobs) close() {
	if j.done != nil {
		close(j.quit)
		<-j.done
		if j.pidfd >= 0 {
			unix.Close(j.pidfd)
		}
	}
	// Half a millisecond's work that a launcher, which ends now, need not wait for.
	go func() {
		<-j.ready
		signal.Stop(j.signals)
		signal.Stop(j.stops)
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
	for {
		select {
		case s := <-j.signals:
			j.received(s.(syscall.Signal))
		case s := <-j.stops:
			j.gotStop = true
			j.received(s.(syscall.Signal))
			j.stopToo()
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
			j.send(unix.SIGKILL)
		case <-j.quit:
			return
		}
	}
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

// stopToo stops this process if the program has stopped and whoever watches this process (a shell) must see that: it was
// told to stop too, or it is what the terminal's user looks at. It returns when the process goes on.
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
	if j.pidfd >= 0 {
		err := unix.PidfdSendSignal(j.pidfd, s, nil, 0)
		if err == nil || err == unix.ESRCH {
			return
		}
	}
	_ = unix.Kill(j.pid, s) // an older kernel, or a sandbox that doesn't know pidfd_send_signal
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
var senders [65]uint64

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

func init() {
	for i := range senders {
		senders[i] = noSender
	}
}
