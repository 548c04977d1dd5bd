package ptrace

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrThreadKilled means that a thread of [OwnThread] has ended in the middle of its function: a seccomp filter around
// this process killed it (SECCOMP_RET_KILL_THREAD) for one of its calls. What it traced and started has been killed or
// let go by the kernel, as it was to be at the thread's end.
var ErrThreadKilled = errors.New("an outer sandbox killed the thread that follows it, for one of its system calls")

// OwnThread runs f on an operating system thread of its own, which ends with f, and returns when f has. What f does to
// its thread (no_new_privs, filters, signal mask, tracees) therefore touches no other goroutine, and the children of
// the thread are f's. The thread is never the process's first one: the Go runtime parks that one instead of ending it,
// and its tracees would stay attached.
//
// An error other than [ErrThreadKilled] means that f was not run: a filter answers in the kernel's place, so that no
// thread would do, or none could be watched.
func OwnThread(f func()) error {
	over := make(chan struct{})
	defer close(over)
	for range mostThreads {
		t := newThread()
		go t.run(f, over)
		if err := t.wait(); err != errUnfit {
			return err
		}
	}
	return fmt.Errorf("no thread of this process is without children: waitid(2): %w", ErrAnswered)
}

// mostThreads is how many threads are asked at most; some have children of os/exec's.
const mostThreads = 100

var errUnfit = errors.New("the thread has children, or is the first")

// A thread is watched by a word of memory that the kernel clears when the thread ends, whatever ends it:
// CLONE_CHILD_CLEARTID, which set_tid_address(2) sets up. Nobody is asked, so that no filter can answer.
type thread struct {
	word *atomic.Uint32 // wordNew, wordLives, wordLost, or 0: the thread is gone
	done chan error
}

const (
	wordNew   = 1 // it does not stand for a thread yet
	wordLives = 2
	wordLost  = 3 // nobody waits for its thread any more
)

// words are those that the kernel is still to clear: their memory must not become something else before.
var words struct {
	sync.Mutex
	live []*atomic.Uint32
}

func newThread() *thread {
	t := &thread{word: new(atomic.Uint32), done: make(chan error, 1)}
	t.word.Store(wordNew)
	words.Lock()
	defer words.Unlock()
	words.live = append(slices.DeleteFunc(words.live, func(w *atomic.Uint32) bool { return w.Load() == 0 }), t.word)
	return t
}

// run is the thread's life. It reports before the word is cleared.
func (t *thread) run(f func(), over chan struct{}) {
	runtime.LockOSThread()
	var former uintptr // the C library's word, where there is cgo
	_, _, _ = unix.Syscall(unix.SYS_PRCTL, unix.PR_GET_TID_ADDRESS, uintptr(unsafe.Pointer(&former)), 0)
	err := setTIDAddress(uintptr(unsafe.Pointer(t.word)))
	if !t.word.CompareAndSwap(wordNew, wordLives) {
		return
	}
	if err == nil && (unix.Gettid() == os.Getpid() || hasChildren()) {
		err = errUnfit
	}
	if err == nil {
		defer func() { // never unlocked: the thread ends with the goroutine
			t.done <- nil
			if former != 0 {
				t.leave(former)
			}
		}()
		f()
		return
	}
	t.done <- err
	t.leave(former)
	// This goroutine holds the unfit thread, so that the next one must run on another.
	<-over
	runtime.UnlockOSThread()
}

// leave has the calling thread no longer watched.
func (t *thread) leave(former uintptr) {
	if setTIDAddress(former) == nil {
		t.word.Store(0)
	}
}

// setTIDAddress is set_tid_address(2), which returns the caller's id: no filter can return a positive number.
func setTIDAddress(word uintptr) error {
	tid, _, errno := unix.Syscall(unix.SYS_SET_TID_ADDRESS, word, 0, 0)
	if errno != 0 || tid == 0 {
		return fmt.Errorf("set_tid_address(2), which shows a thread's end: %w", ErrAnswered)
	}
	return nil
}

// wait returns what run reports, or that the thread is gone.
func (t *thread) wait() error {
	const (
		first, most = 20 * time.Millisecond, time.Second
		patience    = 10 // five seconds in which this process runs
	)
	pause := first
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for tick := 0; ; tick++ {
		select {
		case err := <-t.done:
			return err
		case <-timer.C:
		}
		if t.word.Load() == 0 || tick >= patience && t.word.CompareAndSwap(wordNew, wordLost) {
			select {
			case err := <-t.done: // it ended when it had done all
				return err
			default:
				return ErrThreadKilled
			}
		}
		pause = min(2*pause, most)
		timer.Reset(pause)
	}
}

// hasChildren says whether the calling thread has forked before: the Go runtime may have run another goroutine's
// os/exec on it. Such children would show in Wait(-1), and those with PDEATHSIG would die with the thread.
func hasChildren() bool {
	err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL|unix.WNOTHREAD, nil)
	return err != unix.ECHILD
}
