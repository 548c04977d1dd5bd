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

var sleeps = append([]sleep{
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
	{"select, its time-out not to be written", func(func(func())) (uintptr, syscall.Errno) {
		return raw(unix.SYS_PSELECT6, 0, 0, 0, 0, sealed(unsafe.Slice((*byte)(unsafe.Pointer(spec())), unsafe.Sizeof(unix.Timespec{}))), 0)
	}, 0, true},
	{"io_getevents", func(func(func())) (uintptr, syscall.Errno) {
		var queue uintptr
		if _, errno := raw(unix.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&queue))); errno != 0 {
			return 0, errno
		}
		var event [32]byte
		return raw(unix.SYS_IO_GETEVENTS, queue, 1, 1, uintptr(unsafe.Pointer(&event)), uintptr(unsafe.Pointer(spec())))
	}, 0, true},
	{"accept with a time-out", func(func(func())) (uintptr, syscall.Errno) {
		s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		check(err)
		check(unix.Bind(s, &unix.SockaddrUnix{}))
		check(unix.Listen(s, 1))
		timeOut(s)
		return raw(unix.SYS_ACCEPT4, uintptr(s), 0, 0, 0)
	}, unix.EAGAIN, true},
}, timedOut()...)

// sealed is the address of bytes that may only be read.
func sealed(b []byte) uintptr {
	page, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	check(err)
	copy(page, b)
	check(unix.Mprotect(page, unix.PROT_READ))
	return uintptr(unsafe.Pointer(&page[0]))
}

// timeOut has all that waits for a socket give up after sleepFor.
func timeOut(s int) {
	t := unix.NsecToTimeval(int64(sleepFor))
	check(unix.SetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &t))
	check(unix.SetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &t))
}

// timedOut are the calls that take from a socket in which there is nothing, or put into a full one, until the socket's
// time-out.
func timedOut() (all []sleep) {
	type message struct {
		unix.Msghdr
		length uint32
	}
	ignoredOffset := ^uintptr(0) // of preadv2 and pwritev2: the file's own position
	for name, call := range map[string]func(s uintptr, b []byte, io *unix.Iovec, m *message) (uintptr, syscall.Errno){
		"read": func(s uintptr, b []byte, _ *unix.Iovec, _ *message) (uintptr, syscall.Errno) {
			return raw(unix.SYS_READ, s, uintptr(unsafe.Pointer(&b[0])), 1)
		},
		"readv": func(s uintptr, _ []byte, io *unix.Iovec, _ *message) (uintptr, syscall.Errno) {
			return raw(unix.SYS_READV, s, uintptr(unsafe.Pointer(io)), 1)
		},
		"preadv2": func(s uintptr, _ []byte, io *unix.Iovec, _ *message) (uintptr, syscall.Errno) {
			return raw(unix.SYS_PREADV2, s, uintptr(unsafe.Pointer(io)), 1, ignoredOffset, ignoredOffset)
		},
		"recvfrom": func(s uintptr, b []byte, _ *unix.Iovec, _ *message) (uintptr, syscall.Errno) {
			return raw(unix.SYS_RECVFROM, s, uintptr(unsafe.Pointer(&b[0])), 1)
		},
		"recvmsg": func(s uintptr, _ []byte, _ *unix.Iovec, m *message) (uintptr, syscall.Errno) {
			return raw(unix.SYS_RECVMSG, s, uintptr(unsafe.Pointer(m)), 0)
		},
		"recvmmsg": func(s uintptr, _ []byte, _ *unix.Iovec, m *message) (uintptr, syscall.Errno) {
			return raw(unix.SYS_RECVMMSG, s, uintptr(unsafe.Pointer(m)), 1, 0, 0)
		},
		"splice": func(s uintptr, _ []byte, _ *unix.Iovec, _ *message) (uintptr, syscall.Errno) {
			var p [2]int
			check(unix.Pipe(p[:]))
			return raw(unix.SYS_SPLICE, s, 0, uintptr(p[1]), 0, 1, 0)
		},
		"write": func(s uintptr, b []byte, _ *unix.Iovec, _ *message) (uintptr, syscall.Errno) {
			return raw(unix.SYS_WRITE, s, uintptr(unsafe.Pointer(&b[0])), 1)
		},
		"writev": func(s uintptr, _ []byte, io *unix.Iovec, _ *message) (uintptr, syscall.Errno) {
			return raw(unix.SYS_WRITEV, s, uintptr(unsafe.Pointer(io)), 1)
		},
		"pwritev2": func(s uintptr, _ []byte, io *unix.Iovec, _ *message) (uintptr, syscall.Errno) {
			return raw(unix.SYS_PWRITEV2, s, uintptr(unsafe.Pointer(io)), 1, ignoredOffset, ignoredOffset)
		},
		"sendto": func(s uintptr, b []byte, _ *unix.Iovec, _ *message) (uintptr, syscall.Errno) {
			return raw(unix.SYS_SENDTO, s, uintptr(unsafe.Pointer(&b[0])), 1)
		},
		"sendmsg": func(s uintptr, _ []byte, _ *unix.Iovec, m *message) (uintptr, syscall.Errno) {
			return raw(unix.SYS_SENDMSG, s, uintptr(unsafe.Pointer(m)), 0)
		},
		"sendmmsg": func(s uintptr, _ []byte, _ *unix.Iovec, m *message) (uintptr, syscall.Errno) {
			return raw(unix.SYS_SENDMMSG, s, uintptr(unsafe.Pointer(m)), 1, 0)
		},
		"sendfile": func(s uintptr, _ []byte, _ *unix.Iovec, _ *message) (uintptr, syscall.Errno) {
			f, err := unix.Open("/proc/self/exe", unix.O_RDONLY, 0)
			check(err)
			return raw(unix.SYS_SENDFILE, s, uintptr(f), 0, 1)
		},
	} {
		all = append(all, sleep{name + " with a time-out", func(func(func())) (uintptr, syscall.Errno) {
			pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			check(err)
			for err == nil { // what takes takes from the other direction
				_, err = unix.SendmsgN(pair[0], make([]byte, 1<<10), nil, nil, unix.MSG_DONTWAIT)
			}
			timeOut(pair[0])
			b := make([]byte, 1)
			io := unix.Iovec{Base: &b[0]}
			io.SetLen(1)
			m := message{Msghdr: unix.Msghdr{Iov: &io}}
			m.SetIovlen(1)
			return call(uintptr(pair[0]), b, &io, &m)
		}, unix.EAGAIN, true})
	}
	return all
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
