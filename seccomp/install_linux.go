package seccomp

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/ptrace"
	"monban/internal/sys"
)

// NoNewPrivs sets no_new_privs on the calling thread: no exec will ever grant it, or its children, more privileges than
// it has. Without CAP_SYS_ADMIN that is the price of a filter. Other threads keep their state until [Install] with
// [TSYNC] gives it to them, so a Go program calls both between runtime.LockOSThread and UnlockOSThread.
func NoNewPrivs() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("setting no_new_privs (Linux 3.5): %w", err)
	}
	// A filter around us may answer in the kernel's place.
	if n, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || n != 1 {
		return fmt.Errorf("setting no_new_privs had no effect: an outer sandbox forbids it: %w", unix.EPERM)
	}
	return nil
}

// Install installs p on the calling thread or, with TSYNC, on every thread of the process. The filter binds from the
// next system call on, for good, and all children inherit it. Without TSYNC a Go program should not come here except on
// a locked thread: its goroutines move between threads.
//
// Errors carry the kernel's errno: EACCES without no_new_privs or CAP_SYS_ADMIN, EINVAL for an inadmissible program or
// an unknown flag, ENOMEM for too many instructions in all filters together, ESRCH if TSYNC met a thread with another
// filter. NewListener is refused with EINVAL: [InstallListener] returns what it makes.
//
// Success is never taken on trust: if an earlier filter fakes that of seccomp(2), that is an error. Nothing is
// installed besides p for that.
func Install(p bpf.Program, f Flags) error {
	if f&NewListener != 0 {
		return fmt.Errorf("flag NEW_LISTENER: use InstallListener, which returns the listener: %w", unix.EINVAL)
	}
	_, err := install(p, f)
	return err
}

func install(p bpf.Program, f Flags) (int, error) {
	filter, err := sys.Filter(p)
	if err != nil {
		return -1, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	n, err := ptrace.Install(uintptr(f), filter)
	if errno := unix.Errno(0); errors.As(err, &errno) {
		return -1, explainInstall(errno, f)
	} else if err != nil {
		return -1, fmt.Errorf("installing a filter: %w", err)
	}
	if n > 0 && f&NewListener == 0 {
		return -1, otherThread(n)
	}
	return int(n), nil
}

// otherThread is the error for the first thread that TSYNC could not bind.
func otherThread(n uintptr) error {
	return fmt.Errorf("installing a filter on all threads: thread %d has a filter of its own or is in strict mode, "+
		"so nothing was installed: %w", n, unix.ESRCH)
}

// explainInstall adds what an errno of seccomp(2) means. Sources: kernel/seccomp.c and seccomp(2).
func explainInstall(errno unix.Errno, f Flags) error {
	var why string
	switch errno {
	case unix.EACCES:
		why = "set no_new_privs on this thread first, or have CAP_SYS_ADMIN"
	case unix.EINVAL:
		why = fmt.Sprintf("the kernel does not admit this program, doesn't know a flag (%v), or the thread is in strict mode", f)
	case unix.ESRCH:
		why = "a thread of the process could not be given the filter, so nothing was installed"
	case unix.ENOMEM:
		why = "out of memory, or more than 32768 instructions in all filters of the thread together (each counts 4 more)"
	case unix.EBUSY:
		why = "a filter of this thread has a listener already"
	case unix.ENOSYS:
		why = "this kernel has no seccomp(2): it needs Linux 3.17 and CONFIG_SECCOMP_FILTER"
	case unix.EPERM:
		why = "an outer sandbox denies seccomp(2)"
	default:
		return fmt.Errorf("installing a filter: %w", errno)
	}
	return fmt.Errorf("installing a filter: %w (%s)", errno, why)
}

// Strict puts the calling thread into the kernel's strict mode (SECCOMP_SET_MODE_STRICT): from now on it may read,
// write, exit (the thread, not exit_group) and return from a signal handler; any other call is SIGKILL.
//
// Don't do this to a Go program. The runtime needs futex, mmap, sigaltstack, clone and more on every thread: soon
// after, the kernel kills this one thread (only it: the kill is silent and the process goes on), whatever goroutine or
// lock it held is lost, and the rest of the program hangs, typically at the next garbage collection. It is right only
// in a locked thread that does nothing but RawSyscall reads and writes and then SYS_EXIT. To run another program in
// strict mode use sandbox.Command.
func Strict() error {
	// A filter could answer in the kernel's place, and afterwards nothing can be tried.
	if err := ptrace.Unfiltered(); err != nil {
		return fmt.Errorf("entering strict mode: this thread is behind a filter, or the kernel lacks CONFIG_SECCOMP: %w", err)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_STRICT, 0, 0); errno != 0 {
		if errors.Is(errno, unix.EINVAL) {
			return fmt.Errorf("entering strict mode: %w (the thread has a filter already, or the kernel lacks CONFIG_SECCOMP)",
				errno)
		}
		return fmt.Errorf("entering strict mode: %w", errno)
	}
	return nil
}
