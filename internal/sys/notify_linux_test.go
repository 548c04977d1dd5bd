package sys

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/bpf"
)

// order is that of this machine, in which a C compiler would write.
var order = binary.NativeEndian

func TestFilter(t *testing.T) {
	p := bpf.Program{{Code: 0x20, K: 4}, {Code: 0x15, Jt: 1, Jf: 2, K: 0xc000003e}, {Code: 6, K: 0x7fff0000}}
	got, err := Filter(p)
	if err != nil || len(got) != 24 {
		t.Fatalf("%x, %v", got, err)
	}
	// The same as an array of the structure, laid out by the compiler.
	raw := []unix.SockFilter{{Code: 0x20, K: 4}, {Code: 0x15, Jt: 1, Jf: 2, K: 0xc000003e}, {Code: 6, K: 0x7fff0000}}
	if want := unsafe.Slice((*byte)(unsafe.Pointer(&raw[0])), 24); !bytes.Equal(got, want) {
		t.Errorf("%x, not %x", got, want)
	}
	for _, n := range []int{0, bpf.MaxInstructions + 1, 1 << 16} {
		if _, err := Filter(make(bpf.Program, n)); !errors.Is(err, unix.EINVAL) {
			t.Errorf("%d instructions: %v", n, err)
		}
	}
	if _, err := Filter(make(bpf.Program, bpf.MaxInstructions)); err != nil {
		t.Error(err)
	}
}

func TestFprog(t *testing.T) {
	var mine, kernels = Fprog{Len: 3, Filter: 0x1234}, unix.SockFprog{Len: 3}
	if unsafe.Sizeof(mine) != unsafe.Sizeof(kernels) || unsafe.Offsetof(mine.Filter) != unsafe.Offsetof(kernels.Filter) {
		t.Error("a Fprog is laid out otherwise than struct sock_fprog")
	}
	native := unsafe.Slice((*byte)(unsafe.Pointer(&mine)), unsafe.Sizeof(mine))
	if got := FprogBytes(3, 0x1234, len(native) == FprogSize); !bytes.Equal(got[:len(native)], native) {
		t.Errorf("%x, not %x", got, native)
	}
	narrow := FprogBytes(3, 0xffff000012345678, false)
	if order.Uint16(narrow) != 3 || order.Uint32(narrow[4:]) != 0x12345678 || !bytes.Equal(narrow[8:], make([]byte, 8)) {
		t.Errorf("%x", narrow)
	}
}

// The structure as the kernel writes it, and what a later one may have behind it.
func TestDecodeNotification(t *testing.T) {
	var b []byte
	b = order.AppendUint64(b, 0xfedcba9876543210)
	for _, w := range []uint32{77, 0, 0xfffffffe, 0xc000003e} {
		b = order.AppendUint32(b, w)
	}
	for i := range uint64(7) {
		b = order.AppendUint64(b, i<<40|i)
	}
	if len(b) != notificationSize {
		t.Fatalf("%d bytes", len(b))
	}
	want := Notification{ID: 0xfedcba9876543210, TID: 77, Data: bpf.Data{Nr: 0xfffffffe, Arch: 0xc000003e,
		Args: [6]uint64{1<<40 | 1, 2<<40 | 2, 3<<40 | 3, 4<<40 | 4, 5<<40 | 5, 6<<40 | 6}}}
	for _, more := range []int{0, 16} {
		if got := Buffer(append(b, make([]byte, more)...)).decode(); got != want {
			t.Errorf("%+v, not %+v", got, want)
		}
	}
}

func TestEncodeResponse(t *testing.T) {
	r := Response{ID: 5, Value: -2, Error: -13, Flags: ResponseContinue}
	var want []byte
	want = order.AppendUint64(want, 5)
	want = order.AppendUint64(want, ^uint64(1))
	want = order.AppendUint32(want, ^uint32(12))
	want = order.AppendUint32(want, 1)
	for _, size := range []int{0, 24, 40} {
		if got := r.encode(size); !bytes.Equal(got[:24], want) || len(got) != max(size, 24) || len(bytes.Trim(got[24:], "\x00")) > 0 {
			t.Errorf("%d bytes: %x", size, got)
		}
	}
	if n := unsafe.Sizeof(AddFD{}); n != 24 {
		t.Errorf("struct seccomp_notif_addfd has 24 bytes, not %d", n)
	}
}

func TestNotificationSizes(t *testing.T) {
	s, err := NotificationSizes()
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		t.Skipf("needs Linux 5.0: %v", err)
	}
	if err != nil || s.Notification < 80 || s.Response < 24 || s.Data < 64 {
		t.Errorf("%+v, %v", s, err)
	}
}

// What is not a listener is told so.
func TestNoListener(t *testing.T) {
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	fd := int(null.Fd())
	b, err := NewBuffer()
	if err != nil {
		t.Skipf("needs Linux 5.0: %v", err)
	}
	_, received := b.Receive(fd)
	_, added := AddFD{}.Add(fd)
	for what, err := range map[string]error{
		"receive": received, "send": Response{}.Send(fd), "add": added, "valid": NotificationValid(fd, 1), "flags": SetListenerFlags(fd, 0),
	} {
		if !errors.Is(err, unix.ENOTTY) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
