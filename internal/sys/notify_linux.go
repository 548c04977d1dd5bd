package sys

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/bpf"
)

// A Notification is struct seccomp_notif: a call that waits for an answer.
type Notification struct {
	ID    uint64
	TID   uint32 // in this process's PID namespace, 0 if the thread has no number there
	Flags uint32
	Data  bpf.Data
}

// A Response is struct seccomp_notif_resp. Error is 0, or an errno as a negative number.
type Response struct {
	ID    uint64
	Value int64
	Error int32
	Flags uint32 // 0 or ResponseContinue
}

// ResponseContinue has the kernel perform the call (SECCOMP_USER_NOTIF_FLAG_CONTINUE, Linux 5.5).
const ResponseContinue = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE

// An AddFD is struct seccomp_notif_addfd.
type AddFD struct {
	ID       uint64
	Flags    uint32 // of SECCOMP_ADDFD_FLAG_*
	Source   uint32 // a descriptor of this process
	Target   uint32 // the number that it gets there, with SECCOMP_ADDFD_FLAG_SETFD
	NewFlags uint32 // O_CLOEXEC or 0
}

// Sizes of the structures, as this package knows them. A later kernel's may be longer.
const (
	notificationSize = 16 + bpf.DataSize
	responseSize     = 24
)

// Sizes are struct seccomp_notif_sizes: how long the kernel's structures are, in bytes.
type Sizes struct{ Notification, Response, Data uint16 }

// NotificationSizes asks the kernel (SECCOMP_GET_NOTIF_SIZES, Linux 5.0). Sizes below those of the first kernel that
// has them are not the kernel's.
func NotificationSizes() (Sizes, error) {
	var s Sizes
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_NOTIF_SIZES, 0, uintptr(unsafe.Pointer(&s))); errno != 0 {
		return s, errno
	}
	if s.Notification < notificationSize || s.Response < responseSize || s.Data < bpf.DataSize {
		return s, fmt.Errorf("seccomp(SECCOMP_GET_NOTIF_SIZES): %w", ErrAnswered)
	}
	return s, nil
}

var sizes = sync.OnceValues(NotificationSizes)

// ErrAnswered means that a filter around this process has answered a call in the kernel's place.
var ErrAnswered = errors.New("a filter answers in the kernel's place")

// A Buffer is memory for the kernel's notifications, as long as they are there.
type Buffer []byte

// NewBuffer is for one receiver at a time.
func NewBuffer() (Buffer, error) {
	s, err := sizes()
	if err != nil {
		return nil, err
	}
	return make(Buffer, s.Notification), nil
}

// Receive takes a notification from a listener (SECCOMP_IOCTL_NOTIF_RECV); where none is there it may wait. ENOENT: the
// call was taken back meanwhile.
func (b Buffer) Receive(listener int) (Notification, error) {
	clear(b) // the kernel wants it so (EINVAL)
	if _, err := control(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&b[0])); err != nil {
		return Notification{}, err
	}
	n := b.decode()
	if n.Data.Arch == 0 { // no architecture has this token: nobody has written
		return n, fmt.Errorf("ioctl(SECCOMP_IOCTL_NOTIF_RECV): %w", ErrAnswered)
	}
	return n, nil
}

// decode reads the structure's beginning, which all kernels have.
func (b Buffer) decode() Notification {
	word, long := binary.NativeEndian.Uint32, binary.NativeEndian.Uint64
	n := Notification{ID: long(b), TID: word(b[8:]), Flags: word(b[12:])}
	data := b[16:]
	n.Data = bpf.Data{Nr: word(data[bpf.OffsetNr:]), Arch: word(data[bpf.OffsetArch:]), IP: long(data[bpf.OffsetIP:])}
	for i := range n.Data.Args {
		n.Data.Args[i] = long(data[bpf.OffsetArgs+8*i:])
	}
	return n
}

// Send answers a notification (SECCOMP_IOCTL_NOTIF_SEND). ENOENT: the call was taken back; EINPROGRESS: it has its
// answer.
func (r Response) Send(listener int) error {
	s, err := sizes()
	if err != nil {
		return err
	}
	b := r.encode(int(s.Response))
	_, err = control(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&b[0]))
	return err
}

// encode writes the structure, with zeros for what a later kernel has behind it.
func (r Response) encode(size int) []byte {
	b := make([]byte, 0, max(size, responseSize))
	b = binary.NativeEndian.AppendUint64(b, r.ID)
	b = binary.NativeEndian.AppendUint64(b, uint64(r.Value))
	b = binary.NativeEndian.AppendUint32(b, uint32(r.Error))
	b = binary.NativeEndian.AppendUint32(b, r.Flags)
	return b[:cap(b)]
}

// Add gives the thread that waits a copy of a descriptor, and says its number there (SECCOMP_IOCTL_NOTIF_ADDFD, Linux
// 5.9).
func (a AddFD) Add(listener int) (int, error) {
	return control(listener, unix.SECCOMP_IOCTL_NOTIF_ADDFD, unsafe.Pointer(&a))
}

// NotificationValid says whether a call still waits: nil, or ENOENT (SECCOMP_IOCTL_NOTIF_ID_VALID). Whatever was read
// of the thread before was that thread's.
func NotificationValid(listener int, id uint64) error {
	_, err := control(listener, unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id))
	if err == unix.EINVAL { // before Linux 5.9 the number had its direction wrong
		const directions = 3 << 30
		_, err = control(listener, unix.SECCOMP_IOCTL_NOTIF_ID_VALID^directions, unsafe.Pointer(&id))
	}
	return err
}

// SetListenerFlags sets SECCOMP_USER_NOTIF_FD_* on a listener (SECCOMP_IOCTL_NOTIF_SET_FLAGS, Linux 6.6).
func SetListenerFlags(listener int, flags uint64) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, uintptr(flags))
	if errno != 0 {
		return errno
	}
	return nil
}

// interruptions is how many signals one call takes at most before somebody else must be saying EINTR.
const interruptions = 1 << 12

// control is ioctl(2), made again where a signal came between.
func control(fd int, request uint, arg unsafe.Pointer) (int, error) {
	for range interruptions {
		n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(arg))
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
			continue
		}
		return -1, errno
	}
	return -1, fmt.Errorf("ioctl(2): %w", ErrAnswered)
}
