package ptrace

import (
	"errors"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/child"
	"monban/internal/sys"
)

// ErrFaked means that seccomp(2) reported success and installed nothing.
var ErrFaked = errors.New("the kernel said that the filter was installed, but it is not there: " +
	"an outer sandbox fakes the answer")

// Nowhere is an address at which no program has a filter: every one of the kernel's half, in 32 bits too.
const Nowhere = ^uint64(0) &^ 0xfff

// noPC is where no program is.
const noPC = ^uint64(0)

// Install makes the calling thread call seccomp(SECCOMP_SET_MODE_FILTER, flags, filter), of [sys.Filter], and sees to
// it that the kernel did. The error is an errno or ErrFaked; n is seccomp's result: a listener, or with TSYNC a thread
// that stood in the way.
//
// It asks twice. A filter around us decides by struct seccomp_data alone: the call, the instruction's address, six
// numbers. It can't read memory and remembers nothing, so the same call gets the same answer from it. The first call
// has everything as in the second, the address of struct sock_fprog included, but in that the address of no filter: the
// kernel says EFAULT. The second has the filter's. EFAULT first and success then are two answers to one question: no
// filter gave them, but the kernel, which looked. Nothing is installed besides, and nothing is asked that may lie. (Who
// supervises this process by SECCOMP_RET_USER_NOTIF or ptrace can do as he likes, with a filter that is installed,
// too.)
func Install(flags uintptr, filter []byte) (n uintptr, err error) {
	// As numbers, since the garbage collector must not meet an address of nothing; at a place that doesn't move.
	prog := &sys.Fprog{Len: uint16(len(filter) / bpf.InstructionSize), Filter: uintptr(Nowhere & uint64(^uintptr(0)))}
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(prog)
	pin.Pin(&filter[0])
	ask := func() (uintptr, error) {
		n, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(prog)))
		if errno != 0 {
			return 0, errno
		}
		return n, nil
	}
	_, err = ask()
	if err := Probed(err); err != nil {
		return 0, err
	}
	prog.Filter = uintptr(unsafe.Pointer(&filter[0]))
	n, err = ask()
	return n, Installed(err)
}

// Unfiltered returns nil if no filter is around the calling thread, which must be locked. It does not ask: a child
// enters strict mode, which no thread with a filter can, and is killed for a call that was answered before.
func Unfiltered() error {
	s := new(child.Script)
	s.Call("getpid", child.NoError, unix.SYS_GETPID)
	s.Call("entering strict mode", child.Equal, unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_STRICT)
	s.Call("getpid in strict mode", child.NoError, unix.SYS_GETPID)
	c, err := s.Start()
	if err != nil {
		return err
	}
	p := &Process{PID: c.PID, PIDFD: c.PIDFD}
	defer p.Close()
	ev, err := Wait(c.PID, 0)
	if err != nil {
		p.Kill()
		return err
	}
	defer c.Release()
	if at, _, failed := c.Progress(); ev.Status.Signaled() && ev.Status.Signal() == unix.SIGKILL && !failed && at == 2 {
		return nil
	}
	return c.Ended(syscall.WaitStatus(ev.Status))
}

// Probed judges the answer to the first of the two calls that Install explains.
func Probed(err error) error {
	switch {
	case err == nil:
		return ErrFaked
	case errors.Is(err, unix.EFAULT):
		return nil
	}
	return err
}

// Installed judges the answer to the second: an EFAULT again is the answer of a filter.
func Installed(err error) error {
	if errors.Is(err, unix.EFAULT) {
		return ErrFaked
	}
	return err
}
