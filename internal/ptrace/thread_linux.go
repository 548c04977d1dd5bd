package ptrace

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// OwnThread runs f on an operating system thread of its own, which ends with f, and returns when f has. What f does to
// its thread (no_new_privs, filters, signal mask, tracees) therefore touches no other goroutine. The thread is never the
// process's first one: the Go runtime parks that one instead of ending it, and its tracees would stay attached.
func OwnThread(f func()) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if unix.Gettid() != unix.Getpid() {
			defer close(done)
			f()
			return
		}
		// This goroutine holds the first thread, so the next one must run on another.
		go func() {
			runtime.LockOSThread()
			defer close(done)
			f()
		}()
		<-done
		runtime.UnlockOSThread()
	}()
	<-done
}
