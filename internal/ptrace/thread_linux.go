package ptrace

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// OwnThread runs f on an operating system thread of its own, which ends with f, and returns when f has. What f does to
// its thread (no_new_privs, filters, signal mask, tracees) therefore touches no other goroutine, and the children of the
// thread are f's. The thread is never the process's first one: the Go runtime parks that one instead of ending it, and its
// tracees would stay attached.
//
// Whether a thread will do is asked of the kernel. Where a filter answers in its place, so that none ever would, the last of some is taken:
// what starts and follows programs does not believe such answers either.
func OwnThread(f func()) {
	done := make(chan struct{})
	onFreshThread(f, done, mostThreads)
	<-done
}

// mostThreads is how many threads are asked at most; some have children of os/exec's.
const mostThreads = 100

func onFreshThread(f func(), done chan struct{}, left int) {
	go func() {
		runtime.LockOSThread()
		if left == 0 || unix.Gettid() != unix.Getpid() && !hasChildren() {
			defer close(done)
			f() // never unlocked: the thread ends with the goroutine
			return
		}
		// This goroutine holds the unfit thread, so the next one must run on another.
		onFreshThread(f, done, left-1)
		<-done
		runtime.UnlockOSThread()
	}()
}

// hasChildren says whether the calling thread has forked before: the Go runtime may have run another goroutine's os/exec
// on it. Such children would show in Wait(-1), and those with PDEATHSIG would die with the thread.
func hasChildren() bool {
	err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL|unix.WNOTHREAD, nil)
	return err != unix.ECHILD
}
