package child

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Child is a started process. Until it has gone on to its exec or ended, its steps and stack are in use.
type Child struct {
	PID   int
	PIDFD int // -1 where the kernel has none (before Linux 5.2)

	script  *Script
	control *control
	memory  []byte // the control block, and the stack from its end down
}

// stackSize is much: one loop and a system call, and a page that is never touched.
const stackSize = 16 << 10

// Start starts a child that performs the script. All signals that can be are blocked in it. Its parent, and tracer if
// it asks for one, is the calling thread, which must be locked. A failed fork is a syscall.Errno.
func (s *Script) Start() (*Child, error) {
	memory, err := syscall.Mmap(-1, 0, stackSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("memory for a child: %w", err)
	}
	c := &Child{PIDFD: -1, script: s, memory: memory, control: (*control)(unsafe.Pointer(&memory[0]))}
	c.control.steps, c.control.count = unsafe.Pointer(&s.Steps[0]), uintptr(len(s.Steps))
	pidfd := int32(-1)

	// No signal may find the child with our handlers, nor this thread between clone and its return.
	old, all := uint64(0), ^uint64(0)
	syscall.ForkLock.Lock() // no descriptor that is about to be close-on-exec gets into the child
	defer syscall.ForkLock.Unlock()
	setMask(&all, &old)
	if SignalMask()|unblockable != all {
		setMask(&old, nil)
		c.Release()
		return nil, errors.New("signals can't be blocked: a filter answers rt_sigprocmask(2) in the kernel's place")
	}
	pid := clone(&memory[0], uintptr(len(memory)), &pidfd)
	setMask(&old, nil)
	if pid >= ^uintptr(maxErrno-1) {
		c.Release()
		return nil, syscall.Errno(-pid)
	}
	c.PID, c.PIDFD = int(pid), int(pidfd)
	return c, nil
}

// Progress is where the child is, or was when it ended: the place of its step and, if that step's result was wrong, the
// result. Errors are -4095 to -1.
func (c *Child) Progress() (step, result int, failed bool) {
	return int(c.control.at), int(c.control.result), c.control.failed != 0
}

// AtExec says whether the child is at its exec, or was when it ended, and whether it has ended at one of its steps.
func (c *Child) AtExec() (at, failed bool) {
	step, _, failed := c.Progress()
	return step == c.script.exec, failed
}

// exitSignal is what a child's end sends its parent: nothing. The kernel makes it SIGCHLD at the exec.
const exitSignal = uintptr(0)

// Execed says whether a child that is there, or is not reaped, has performed its exec; known is false where a filter
// keeps that from us. It asks for children of one kind: those that end with SIGCHLD, which this one has become by its
// exec, or those that do not (__WCLONE). The kernel finds it among one of them, and writes so to memory, which no
// filter can. The caller is the parent.
func Execed(pid int) (execed, known bool) {
	among := func(kind uint32) bool {
		const poison = -1
		info := unix.Siginfo{Signo: poison}
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WNOTHREAD|int(kind), nil)
		return err == nil && info.Signo != poison
	}
	switch {
	case among(0):
		return true, true
	case among(unix.WCLONE):
		return false, true
	}
	return false, false
}

// Gone says that the child does not use this process's memory: its exec has come so far that it can't fail, or it is
// ending. That is the kernel's word in memory, which no filter can give. A plain fork has memory of its own from the
// beginning.
func (c *Child) Gone() bool { return atomic.LoadUint32(&c.control.uses) == 0 }

// Release frees what the child needed. It has execed or ended, or never was.
func (c *Child) Release() {
	if c.memory != nil {
		last := control{at: c.control.at, failed: c.control.failed, result: c.control.result}
		_ = syscall.Munmap(c.memory)
		c.memory, c.control = nil, &last
	}
}

// SignalMask reads which signals the calling thread blocks; bit n-1 is signal n.
func SignalMask() (mask uint64) {
	setMask(nil, &mask)
	return mask
}

// unblockable are SIGKILL and SIGSTOP.
const unblockable = 1<<(syscall.SIGKILL-1) | 1<<(syscall.SIGSTOP-1)

func setMask(set, old *uint64) {
	const sigSetMask = 2
	syscall6(syscall.SYS_RT_SIGPROCMASK, sigSetMask, uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
}

const sysExitGroup = syscall.SYS_EXIT_GROUP
