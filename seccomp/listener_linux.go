package seccomp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/sys"
)

// A Listener receives the calls that a filter hands over by notify, each of which waits until it has an answer. It is
// for any number of goroutines at once; calls are received by one at a time.
//
// While a call waits its thread stands still, and may hold locks that others want: receive in one goroutine that does
// nothing else, and answer in others what may take its time. Don't supervise your own process: the garbage collector
// waits for its threads.
type Listener struct {
	file   *os.File
	conn   syscall.RawConn
	wake   int           // an eventfd that ends the wait of who receives
	turn   chan struct{} // held by who receives, and for good by Close
	closed chan struct{}
	once   sync.Once // of closed
	watch  watch     // of the context of who receives, or received last
	buffer sys.Buffer
}

// OpenListener makes a Listener of a descriptor that came from another process (by pidfd_getfd, or SCM_RIGHTS). The
// Listener owns it from then on. The error is EINVAL's kind for what is not a listener, and then the descriptor stays
// the caller's.
func OpenListener(fd int) (*Listener, error) {
	buffer, err := sys.NewBuffer()
	if err != nil {
		return nil, fmt.Errorf("sizes of notifications (Linux 5.0): %w", err)
	}
	if err := sys.NotificationValid(fd, 0); err != nil && err != unix.ENOENT {
		return nil, fmt.Errorf("descriptor %d is not a listener of a filter (%w): %w", fd, err, unix.EINVAL)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	l := &Listener{file: os.NewFile(uintptr(fd), "seccomp listener"), wake: wake, turn: make(chan struct{}, 1),
		closed: make(chan struct{}), buffer: buffer}
	if l.conn, err = l.file.SyscallConn(); err != nil {
		unix.Close(wake)
		return nil, fmt.Errorf("descriptor %d: %w", fd, err)
	}
	return l, nil
}

// InstallListener is [Install] with NewListener, and with WaitKillableRecv where the kernel has it: then no signal but
// one that kills takes a received call back. Only one filter of a thread can have a listener (EBUSY).
func InstallListener(p bpf.Program, f Flags) (*Listener, error) {
	if Have(FeatureWaitKillableRecv) == nil {
		f |= WaitKillableRecv
	}
	fd, err := install(p, f|NewListener)
	if err != nil {
		return nil, err
	}
	l, err := OpenListener(fd)
	if err != nil {
		unix.Close(fd)
	}
	return l, err
}

// Close ends the listener. The calls that wait, and all that come, fail with ENOSYS: who must not see that ends them
// first.
func (l *Listener) Close() error {
	err := os.ErrClosed
	l.once.Do(func() {
		close(l.closed)
		l.interrupt()
		l.turn <- struct{}{} // nobody receives any more
		l.watch.end()
		unix.Close(l.wake)
		err = l.file.Close()
	})
	return err
}

// interrupt ends the wait of who receives.
func (l *Listener) interrupt() {
	one := [8]byte{1, 1, 1, 1, 1, 1, 1, 1} // in any byte order
	_, _ = unix.Write(l.wake, one[:])      // it fails where that has been done 2^64 times
}

// Receive waits for a call. What was taken back before it could be received (its thread was killed, or a signal came)
// is passed by. The error is io.EOF when nobody is behind the filter any more (Linux 5.8), the context's cause, or
// os.ErrClosed's kind.
func (l *Listener) Receive(ctx context.Context) (*Notification, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-l.closed:
		return nil, os.ErrClosed
	}
	l.follow(ctx)
	select {
	case <-l.closed: // follow may have taken the interrupt that was Close's
		return nil, os.ErrClosed
	default:
	}
	var n sys.Notification
	switch err := l.control(func(fd int) (err error) { n, err = l.take(fd); return err }); err {
	case nil:
		return &Notification{ID: n.ID, TID: int(n.TID), Call: n.Data, listener: l}, nil
	case io.EOF, os.ErrClosed:
		return nil, err
	case errInterrupted:
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, os.ErrClosed
	default:
		return nil, fmt.Errorf("receiving a call: %w", err)
	}
}

// A watch ends waits when a context does.
type watch struct {
	done <-chan struct{} // the context's
	over func()          // ends the watch
}

// follow has waits end when the context does, from now on: it costs as much as a call's whole answer, and a supervisor
// comes with the same context again and again.
func (l *Listener) follow(ctx context.Context) {
	if done := ctx.Done(); done != l.watch.done {
		l.watch.end()
		if l.watch = (watch{done: done}); done == nil {
			return
		}
		ended := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			l.interrupt()
			close(ended)
		})
		l.watch.over = func() {
			if !stop() {
				<-ended
				var count [8]byte
				_, _ = unix.Read(l.wake, count[:])
			}
		}
	}
}

func (w *watch) end() {
	if w.over != nil {
		w.over()
	}
	*w = watch{}
}

// errInterrupted says that a wait was ended by interrupt.
var errInterrupted = errors.New("interrupted")

// inARow is how often in a row a call may be taken back between the poll that sees it and its receipt, or a signal come
// between, before it must be a filter that says so.
const inARow = 1 << 12

// take waits for a call and receives it. It polls, and receives what is there: receiving itself waits in the kernel,
// where nothing but a signal ends it.
func (l *Listener) take(fd int) (n sys.Notification, err error) {
	var began time.Time
	for tries := 1; ; tries++ {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(l.wake), Events: unix.POLLIN}}
		switch _, err = unix.Poll(fds, -1); {
		case err == unix.EINTR:
		case err != nil:
			return n, err
		case fds[1].Revents != 0:
			return n, errInterrupted
		case fds[0].Revents&unix.POLLIN != 0:
			if n, err = l.buffer.Receive(fd); err != unix.ENOENT {
				return n, err
			}
		case fds[0].Revents&unix.POLLHUP != 0:
			return n, io.EOF
		case fds[0].Revents != 0:
			return n, fmt.Errorf("poll: %w", unix.EBADF)
		}
		switch tries % inARow {
		case 1:
			began = time.Now()
		case 0:
			if time.Since(began) < inARow*10*time.Microsecond {
				return n, sys.ErrAnswered
			}
		}
	}
}

// control works with the descriptor, which stays open meanwhile.
func (l *Listener) control(f func(fd int) error) (err error) {
	if l.conn.Control(func(fd uintptr) { err = f(int(fd)) }) != nil {
		return os.ErrClosed
	}
	if err == unix.ENOENT || err == unix.EINPROGRESS {
		return ErrGone
	}
	return err
}

// maxErrno is MAX_ERRNO: results from -maxErrno to -1 are errors.
const maxErrno = 4095

// Return has the call return a value, and the kernel not perform it. A value that programs take for an error is EINVAL:
// see Fail.
func (n *Notification) Return(value int64) error {
	if value < 0 && value >= -maxErrno {
		return n.wrap("answering", fmt.Errorf("%d is an error's number, not a result: %w", value, unix.EINVAL))
	}
	return n.send(sys.Response{ID: n.ID, Value: value})
}

// Fail has the call fail with an errno from 1 to 4095, and the kernel not perform it. Any other is EINVAL: programs
// would take it for success.
func (n *Notification) Fail(errno syscall.Errno) error {
	if errno == 0 || errno > maxErrno {
		return n.wrap("answering", fmt.Errorf("%d is not an errno: %w", uint64(errno), unix.EINVAL))
	}
	return n.send(sys.Response{ID: n.ID, Error: -int32(errno)})
}

// Continue has the kernel perform the call as if there were no filter (Linux 5.5). That is right where numbers alone
// were decided upon. What lies in memory another thread can change between the look and the call, and so can files'
// names: who decides by these performs the call himself and answers with its result.
func (n *Notification) Continue() error {
	return n.send(sys.Response{ID: n.ID, Flags: sys.ResponseContinue})
}

func (n *Notification) send(r sys.Response) error {
	return n.wrap("answering", n.listener.control(func(fd int) error { return r.Send(fd) }))
}

// Valid says whether the call still waits: nil, or ErrGone. Then what was read of the thread before this question (its
// memory, /proc) was this thread's; a number alone may have become another's.
func (n *Notification) Valid() error {
	return n.wrap("looking after", n.listener.control(func(fd int) error { return sys.NotificationValid(fd, n.ID) }))
}

// AddFD gives the waiting process a copy of a descriptor of this one, and says its number there (Linux 5.9). The call
// waits on. Where it fails the call is to fail as well: performed, it would open what was not looked at.
func (n *Notification) AddFD(fd int, p Placement) (number int, err error) {
	return n.add(fd, p, 0)
}

// ReturnFD is AddFD, and has the call return the number, in one step (Linux 5.14): a call that is taken back in between
// leaves no descriptor behind.
func (n *Notification) ReturnFD(fd int, p Placement) (number int, err error) {
	number, err = n.add(fd, p, unix.SECCOMP_ADDFD_FLAG_SEND)
	if errors.Is(err, unix.EINVAL) {
		err = errors.Join(err, Have(FeatureReturnFD))
	}
	return number, err
}

func (n *Notification) add(fd int, p Placement, flags uint32) (number int, err error) {
	add := sys.AddFD{ID: n.ID, Flags: flags, Source: uint32(fd)}
	if p.Replace {
		add.Flags |= unix.SECCOMP_ADDFD_FLAG_SETFD
		add.Target = uint32(p.Number)
	}
	if p.CloseOnExec {
		add.NewFlags = unix.O_CLOEXEC
	}
	err = n.listener.control(func(listener int) (err error) {
		number, err = add.Add(listener)
		return err
	})
	if err != nil {
		return -1, n.wrap("adding a descriptor to", err)
	}
	return number, nil
}

// wrap says what was tried, and with which call.
func (n *Notification) wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s call %d of thread %d: %w", doing, int32(n.Call.Nr), n.TID, err)
}
