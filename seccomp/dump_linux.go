package seccomp

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/peek"
	"monban/internal/ptrace"
	"monban/internal/sys"
)

// stopLimit is how long Dump waits for a thread to stop, where it has to.
const stopLimit = 3 * time.Second

// tracerLimit is how long Dump waits for another tracer to let go. Another Dump does at once, a debugger doesn't.
const tracerLimit = time.Second

// Dump reads the seccomp filters of a live thread, oldest first, the order in which they were installed and in which
// the kernel numbers them. A process id stands for its first thread; threads may have different filters, so any thread
// id is taken too. It needs root (CAP_SYS_ADMIN in the first user namespace), a caller without a filter of its own and
// a kernel with CONFIG_CHECKPOINT_RESTORE (Linux 4.4). Who lacks the privilege is told so, and the thread is left
// alone.
//
// On Linux 6.1 and later, with the kernel's type information, the filters are read from its memory, and the thread is
// not touched at all. Elsewhere, which also takes CAP_SYS_PTRACE, it is stopped for some tens of microseconds and goes
// on as it was, stopped if it was stopped, asleep if it was asleep, on time; only a call that any stop ends by EINTR
// and that has a time-out waits anew: epoll_wait, sigtimedwait, semtimedop, io_getevents, io_pgetevents,
// io_uring_enter, pselect6 and ppoll whose time-out can't be written, and accept, recv, send and their like of a socket
// with SO_RCVTIMEO or SO_SNDTIMEO. connect of a socket with SO_SNDTIMEO is the one call that ends by EINTR.
//
// Errors: [ErrNoFilter], [ErrStrict], ESRCH (no such process), EPERM or EACCES (who may), each with its explanation.
func Dump(pid int) ([]bpf.Program, error) {
	programs, err := dump(pid)
	if err != nil {
		return nil, fmt.Errorf("reading the seccomp filters of process %d: %w", pid, err)
	}
	return programs, nil
}

func dump(pid int) (programs []bpf.Program, err error) {
	if pid <= 0 {
		return nil, fmt.Errorf("not a process id: %w", unix.ESRCH)
	}
	// The mode first: reading it takes no privilege and gives the clearest answers.
	status, err := sys.ReadStatus(pid)
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil, unix.ESRCH
	case err != nil:
		return nil, err
	}
	switch status.Seccomp {
	case sys.SeccompOff:
		return nil, ErrNoFilter
	case sys.SeccompStrict:
		return nil, ErrStrict
	}
	if err := mayLook(); err != nil {
		return nil, err
	}
	programs, err = peek.Filters(pid)
	switch {
	case err == nil && len(programs) == 0:
		return nil, ErrNoFilter // it has ended since we looked
	case err == nil:
		return programs, nil
	}
	return dumpStopped(pid) // which says best what is wrong
}

// mayLook says whether the kernel would let this process read filters, before anybody is stopped for that.
func mayLook() error {
	var head = unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&head, &caps[0]); err != nil {
		return fmt.Errorf("reading this process's capabilities: %w", err)
	}
	first, err := sys.InNamespace("user", sys.FirstUserNamespace)
	if err != nil {
		return fmt.Errorf("looking up this process's user namespace: %w", err)
	}
	if caps[0].Effective&(1<<unix.CAP_SYS_ADMIN) == 0 || !first {
		return fmt.Errorf("%w (it takes root: CAP_SYS_ADMIN in the first user namespace)", unix.EPERM)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0)
	own, err2 := sys.OwnStatus()
	if err := cmp.Or(err, err2); err != nil {
		return fmt.Errorf("reading this process's own seccomp mode: %w", err)
	}
	if mode != 0 || own.Seccomp != sys.SeccompOff {
		return fmt.Errorf("%w (a process that is itself behind a seccomp filter may not)", unix.EACCES)
	}
	return nil
}

// dumpStopped reads the filters of a thread while it is stopped.
func dumpStopped(pid int) (programs []bpf.Program, err error) {
	// Who traced it may have let go when we ask who that is: so it is tried again in any case.
	for tries, begin := 0, time.Now(); ; tries++ {
		err = ptrace.Look(pid, stopLimit, func() (err error) {
			programs, err = filters(pid)
			return err
		})
		attach, refused := errors.AsType[*ptrace.AttachError](err)
		switch {
		case err == nil:
			return programs, nil
		case refused && errors.Is(err, unix.EPERM) && time.Since(begin) < tracerLimit && (tries < 3 || tracer(pid) > 0):
			time.Sleep(tracerLimit / 100)
			continue
		case refused:
			return nil, explainAttach(pid, attach)
		case errors.Is(err, unix.ETIMEDOUT):
			return nil, fmt.Errorf("it did not stop within %v (an uninterruptible sleep?): %w", stopLimit, unix.ETIMEDOUT)
		case errors.Is(err, unix.ESRCH):
			return nil, fmt.Errorf("it ended meanwhile: %w", unix.ESRCH)
		}
		return nil, err
	}
}

func filters(pid int) ([]bpf.Program, error) {
	var programs []bpf.Program
	for i := range maxFilters {
		p, err := ptrace.Filter(pid, i)
		switch {
		case err == nil:
			programs = append(programs, p)
		case errors.Is(err, unix.ENOENT):
			return programs, nil
		case errors.Is(err, unix.EACCES):
			return nil, fmt.Errorf("%w (it takes root: CAP_SYS_ADMIN in the first user namespace, and no filter of one's own)", err)
		case errors.Is(err, unix.EMEDIUMTYPE):
			return nil, fmt.Errorf("filter %d is not classic BPF: %w", i, err)
		case errors.Is(err, unix.EINVAL) && i == 0:
			return nil, ErrNoFilter // it has changed since we looked
		case errors.Is(err, unix.EIO), errors.Is(err, unix.EINVAL):
			return nil, fmt.Errorf("this kernel can't: it needs Linux 4.4 with CONFIG_CHECKPOINT_RESTORE: %w", err)
		default:
			return nil, fmt.Errorf("filter %d: %w", i, err)
		}
	}
	return nil, fmt.Errorf("more than %d filters", maxFilters)
}

// maxFilters is more than a thread can have: each costs an instruction at least of the bpf.MaxStacked that the kernel
// takes.
const maxFilters = bpf.MaxStacked

func explainAttach(pid int, err *ptrace.AttachError) error {
	switch {
	case errors.Is(err, unix.ESRCH):
		return err.Err
	case !errors.Is(err, unix.EPERM):
		return err
	}
	if by := tracer(pid); by > 0 {
		return fmt.Errorf("process %d traces it already (a debugger?): %w", by, err.Err)
	}
	return fmt.Errorf("%w (a kernel thread, or ptrace is denied by Yama, an LSM, a container or an outer sandbox)", err.Err)
}

// tracer is the number of the process that traces a thread; it is positive if one does that is in this PID namespace.
func tracer(pid int) int {
	status, _ := sys.ReadStatus(pid)
	return status.TracerPID
}
