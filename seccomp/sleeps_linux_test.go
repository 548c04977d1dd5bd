package seccomp

import (
	"errors"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/abi"
)

// A sleep is a way to wait for sleepFor: by itself, or until wake is called then.
type sleep struct {
	name string
	call func(wake func(func())) (uintptr, syscall.Errno)
	want syscall.Errno
	anew bool // where it is stopped, a time-out begins anew
}

func spec() *unix.Timespec { s := unix.NsecToTimespec(int64(sleepFor)); return &s }

func raw(nr uintptr, args ...uintptr) (uintptr, syscall.Errno) {
	var a [6]uintptr
	copy(a[:], args)
	r, _, errno := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	return r, errno
}

// pipe is one that gets a byte.
func pipe(wake func(func())) (fd uintptr) {
	var p [2]int
	check(unix.Pipe(p[:]))
	wake(func() { unix.Write(p[1], []byte{1}) })
	return uintptr(p[0])
}

func epoll(timeout time.Duration, fds ...uintptr) (uintptr, syscall.Errno) {
	ep, err := unix.EpollCreate1(0)
	check(err)
	for _, fd := range fds {
		check(unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: unix.EPOLLIN}))
	}
	var ev [1]unix.EpollEvent
	return raw(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(&ev)), 1, uintptr(timeout.Milliseconds()), 0, 8)
}

var sleeps = []sleep{
	{"nanosleep", func(func(func())) (uintptr, syscall.Errno) {
		return raw(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(spec())), 0)
	}, 0, false},
	{"nanosleep and what is left", func(func(func())) (uintptr, syscall.Errno) {
		s := spec()
		return raw(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(s)), uintptr(unsafe.Pointer(s)))
	}, 0, false},
	{"clock_nanosleep", func(func(func())) (uintptr, syscall.Errno) {
		return raw(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, 0, uintptr(unsafe.Pointer(spec())), 0)
	}, 0, false},
	{"clock_nanosleep, absolute", func(func(func())) (uintptr, syscall.Errno) {
		var now unix.Timespec
		check(unix.ClockGettime(unix.CLOCK_MONOTONIC, &now))
		end := unix.NsecToTimespec(now.Nano() + int64(sleepFor))
		return raw(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, uintptr(unsafe.Pointer(&end)), 0)
	}, 0, false},
	{"poll", func(func(func())) (uintptr, syscall.Errno) {
		n, err := unix.Poll(nil, int(sleepFor.Milliseconds())) // ppoll where there is no poll
		return uintptr(n), errnoOf(err)
	}, 0, false},
	{"ppoll", func(func(func())) (uintptr, syscall.Errno) {
		return raw(unix.SYS_PPOLL, 0, 0, uintptr(unsafe.Pointer(spec())), 0, 8)
	}, 0, false},
	{"poll of a pipe", func(wake func(func())) (uintptr, syscall.Errno) {
		fd := unix.PollFd{Fd: int32(pipe(wake)), Events: unix.POLLIN}
		return raw(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fd)), 1, 0, 0, 8)
	}, 0, false},
	{"select", func(func(func())) (uintptr, syscall.Errno) {
		return raw(unix.SYS_PSELECT6, 0, 0, 0, 0, uintptr(unsafe.Pointer(spec())), 0)
	}, 0, false},
	{"epoll", func(func(func())) (uintptr, syscall.Errno) { return epoll(sleepFor) }, 0, true},
	{"epoll of a pipe", func(wake func(func())) (uintptr, syscall.Errno) { return epoll(-time.Millisecond, pipe(wake)) }, 0, false},
	{"futex with a time-out", func(func(func())) (uintptr, syscall.Errno) {
		return raw(unix.SYS_FUTEX, uintptr(unsafe.Pointer(new(uint32))), 0, 0, uintptr(unsafe.Pointer(spec())))
	}, unix.ETIMEDOUT, false},
	{"futex", func(wake func(func())) (uintptr, syscall.Errno) {
		word := new(uint32)
		wake(func() { raw(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), 1, 1) })
		return raw(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), 0, 0, 0)
	}, 0, false},
	{"read of a pipe", func(wake func(func())) (uintptr, syscall.Errno) {
		var b [1]byte
		return raw(unix.SYS_READ, pipe(wake), uintptr(unsafe.Pointer(&b)), 1)
	}, 0, false},
	{"accept", func(wake func(func())) (uintptr, syscall.Errno) {
		s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		check(err)
		check(unix.Bind(s, &unix.SockaddrUnix{})) // the kernel chooses a name
		check(unix.Listen(s, 1))
		name, err := unix.Getsockname(s)
		check(err)
		wake(func() {
			c, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			check(err)
			check(unix.Connect(c, name))
		})
		return raw(unix.SYS_ACCEPT4, uintptr(s), 0, 0, 0)
	}, 0, false},
	{"sigtimedwait", func(func(func())) (uintptr, syscall.Errno) {
		set := uint64(1) << (40 - 1)
		return raw(unix.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&set)), 0, uintptr(unsafe.Pointer(spec())), 8)
	}, unix.EAGAIN, true},
	{"semtimedop", func(func(func())) (uintptr, syscall.Errno) {
		id, errno := raw(unix.SYS_SEMGET, 0, 1, 0o600)
		if errno == 0 {
			defer raw(unix.SYS_SEMCTL, id, 0, 0) // IPC_RMID
			take := struct{ nr, op, flags int16 }{op: -1}
			return raw(semtimedop(), id, uintptr(unsafe.Pointer(&take)), 1, uintptr(unsafe.Pointer(spec())))
		}
		return 0, errno
	}, unix.EAGAIN, true},
}

// semtimedop is the call's number; 32-bit architectures have one for each width of time.
func semtimedop() uintptr {
	nr, ok := abi.Native().Number("semtimedop")
	if !ok {
		nr, _ = abi.Native().Number("semtimedop_time64")
	}
	return uintptr(nr)
}

func errnoOf(err error) syscall.Errno {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return 0
}
