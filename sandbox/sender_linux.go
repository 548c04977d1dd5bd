//go:build linux && (amd64 || arm64)

package sandbox

import (
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Package os/signal doesn't tell who sent a signal, and a launcher must know: what the terminal sends goes to the
// program as well, what kill(1) sends does not. So a small handler in front of the runtime's own notes the sender and
// then jumps to the runtime's, with the same arguments, stack and mask.

// sigaction is the kernel's struct sigaction, the same on amd64 and arm64.
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

// runtimeHandler is where noteSender jumps to. The runtime has one handler for all signals.
var runtimeHandler uintptr

var senderLock sync.Mutex

// noteSenderAddr returns the address of noteSender, which the kernel calls; Go code can't.
func noteSenderAddr() uintptr

// recordSender puts the recording handler before the runtime's handler of s, which must be installed. It stays there,
// as the runtime's does after signal.Stop. If it can't be done senders stay unknown.
func recordSender(s syscall.Signal) {
	senderLock.Lock()
	defer senderLock.Unlock()
	const saSiginfo = 4
	var act sigaction
	if rtSigaction(s, nil, &act) != nil || act.handler <= 1 || act.flags&saSiginfo == 0 {
		return
	}
	ours := noteSenderAddr()
	if act.handler == ours || runtimeHandler != 0 && act.handler != runtimeHandler {
		return
	}
	runtimeHandler = act.handler
	act.handler = ours
	_ = rtSigaction(s, &act, nil)
}

// stopSelf stops this process as s does by default, and returns when it goes on. In an orphaned process group, which
// nobody could continue, the kernel ignores s. os/signal has no way back to the default action of a job control signal.
func stopSelf(s syscall.Signal) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var byDefault, old sigaction
	if rtSigaction(s, &byDefault, &old) != nil {
		return
	}
	// To this thread, so that it is here that the process stops and goes on.
	_ = unix.Tgkill(unix.Getpid(), unix.Gettid(), s)
	_ = rtSigaction(s, &old, nil)
}

func rtSigaction(s syscall.Signal, act, old *sigaction) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(act)),
		uintptr(unsafe.Pointer(old)), unsafe.Sizeof(act.mask), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
