package ptrace

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// killLimit is how long Kill waits for the end. A process that can be killed at all is gone in microseconds, and a busy
// machine is not that busy.
const killLimit = 2 * time.Second

// Kill ends and reaps the process. Where a filter lets no SIGKILL through it gives up: the process, stopped, ends with
// the calling thread by PTRACE_O_EXITKILL, or by not being told to go on.
func (p *Process) Kill() {
	if p.PID == 0 {
		return
	}
	_ = p.signal(unix.SIGKILL)
	for end := time.Now().Add(killLimit); time.Now().Before(end); {
		ev, err := WaitFor(p.PID, time.Until(end))
		if err != nil {
			return
		}
		if ev.Dead() {
			p.PID = 0
			return
		}
		_ = Cont(p.PID, unix.SIGKILL) // an exit event, a stop from before the SIGKILL, or no SIGKILL came
	}
}

// signal sends a signal in each way there is until one takes it.
func (p *Process) signal(s syscall.Signal) error {
	return Signal(p.PID, p.PIDFD, s)
}

// Signal sends a signal to a child. All ways are tried, since a filter may pretend the success of some: of the signals
// that are sent here a second one means nothing.
//
// Not by unix.Kill, of which the Go scheduler knows nothing: if a filter kills the calling thread there, what was to
// run on it is lost.
func Signal(pid, pidfd int, s syscall.Signal) error {
	err := unix.ENOSYS
	for _, way := range signalWays {
		errno := way(pid, pidfd, s)
		if errno == 0 || errno == unix.ESRCH {
			err = 0
		} else if err != 0 {
			err = errno
		}
	}
	if err != 0 {
		return os.NewSyscallError("kill", err)
	}
	return nil
}

// signalWays are all there are to send a signal to a child.
var signalWays = [...]func(pid, pidfd int, s syscall.Signal) syscall.Errno{
	func(_, pidfd int, s syscall.Signal) syscall.Errno {
		return signalBy(unix.SYS_PIDFD_SEND_SIGNAL, pidfd, int(s))
	},
	func(pid, _ int, s syscall.Signal) syscall.Errno { return signalBy(unix.SYS_KILL, pid, int(s)) },
	func(pid, _ int, s syscall.Signal) syscall.Errno { return signalBy(unix.SYS_TGKILL, pid, pid, int(s)) },
}

func signalBy(nr uintptr, args ...int) syscall.Errno {
	var a [3]uintptr
	for i, arg := range args {
		a[i] = uintptr(arg)
	}
	_, _, errno := unix.Syscall6(nr, a[0], a[1], a[2], 0, 0, 0)
	return errno
}

// Reap sees to the end of a child whose parent thread a filter has killed. The kernel has killed it for that, unless it
// has made another parent-death signal its own, and it is a child of this process still. What killed the one thread may
// kill the next.
func Reap(pid, pidfd int) {
	reaped := make(chan struct{})
	for i := range len(signalWays) + 1 {
		go func() {
			if i > 0 && unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil) != unix.ECHILD {
				signalWays[i-1](pid, pidfd, unix.SIGKILL)
			}
			for err := unix.EINTR; err == unix.EINTR; {
				_, e := unix.Wait4(pid, nil, unix.WALL, nil)
				err, _ = e.(syscall.Errno)
			}
			select {
			case reaped <- struct{}{}:
			default:
			}
		}()
		select {
		case <-reaped:
			return
		case <-time.After(killLimit / 10):
		}
	}
}
