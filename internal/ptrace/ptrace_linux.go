package ptrace

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/bpf"
)

// An Event is what wait4(2) reported of one thread.
type Event struct {
	TID    int
	Status unix.WaitStatus
}

// Dead says that the thread, or for a thread group leader the process, is gone and reaped. The zero
// Event, of no thread, is not.
func (e Event) Dead() bool { return e.TID != 0 && (e.Status.Exited() || e.Status.Signaled()) }

// Cause is the PTRACE_EVENT_* of a stop, 0 for a signal, group or system call stop.
func (e Event) Cause() int {
	if !e.Status.Stopped() {
		return 0
	}
	return int(uint32(e.Status) >> 16)
}

// Signal is the signal to pass on when the stopped thread is let run: that of a signal-delivery stop, else 0.
func (e Event) Signal() syscall.Signal {
	if !e.Status.Stopped() || e.Cause() != 0 || e.Syscall() {
		return 0
	}
	return e.Status.StopSignal()
}

// Syscall reports a system call stop; PTRACE_O_TRACESYSGOOD must be on.
func (e Event) Syscall() bool {
	return e.Status.Stopped() && e.Status.StopSignal() == unix.SIGTRAP|0x80
}

// GroupStop reports that a seized thread took part in a job control stop, and by which signal.
func (e Event) GroupStop() (syscall.Signal, bool) {
	if e.Cause() != unix.PTRACE_EVENT_STOP {
		return 0, false
	}
	s := e.Status.StopSignal()
	return s, s != unix.SIGTRAP
}

func (e Event) String() string {
	switch {
	case e.Status.Exited():
		return fmt.Sprintf("thread %d exited with status %d", e.TID, e.Status.ExitStatus())
	case e.Status.Signaled():
		return fmt.Sprintf("thread %d was ended by %s", e.TID, unix.SignalName(e.Status.Signal()))
	}
	return fmt.Sprintf("thread %d stopped by %s (event %d)", e.TID, unix.SignalName(e.Status.StopSignal()), e.Cause())
}

// interruptions is how many signals Wait takes before it looks at the clock.
const interruptions = 1 << 12

// Wait waits for pid, or with -1 for any child or tracee of the calling thread and of no other thread: __WNOTHREAD
// keeps it from reaping what another part of the program started. With WNOHANG and nothing to report, TID is 0.
func Wait(pid, options int) (Event, error) {
	began := time.Now()
	for interrupted := 1; ; interrupted++ {
		var status unix.WaitStatus
		tid, err := unix.Wait4(pid, &status, options|unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case err == nil && tid == 0 && options&unix.WNOHANG == 0:
			return Event{}, fmt.Errorf("wait4(2): %w", ErrAnswered)
		case err != unix.EINTR:
			return Event{TID: tid, Status: status}, err
		case interrupted%interruptions == 0:
			// No signals come so fast.
			if time.Since(began) < interruptions*10*time.Microsecond {
				return Event{}, fmt.Errorf("wait4(2): %w", ErrAnswered)
			}
			began = time.Now()
		}
	}
}

// WaitFor is Wait with a limit; at the end of it the error is os.ErrDeadlineExceeded's kind (Timeout() true).
func WaitFor(pid int, limit time.Duration) (Event, error) {
	pause := 10 * time.Microsecond
	for end := time.Now().Add(limit); ; {
		ev, err := Wait(pid, unix.WNOHANG)
		if err != nil || ev.TID != 0 {
			return ev, err
		}
		if time.Now().After(end) {
			return Event{}, unix.ETIMEDOUT
		}
		time.Sleep(pause)
		pause = min(2*pause, 5*time.Millisecond)
	}
}

func request(req, tid int, addr, data uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(req), uintptr(tid), addr, data, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func requestPtr(req, tid int, addr uintptr, data unsafe.Pointer) error {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(req), uintptr(tid), addr, uintptr(data), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// Seize attaches to a thread without stopping it. EPERM: no permission, or it is traced already; ESRCH: no such thread.
func Seize(tid, options int) error { return request(unix.PTRACE_SEIZE, tid, 0, uintptr(options)) }

// SetOptions sets the PTRACE_O_* of a stopped tracee.
func SetOptions(tid, options int) error {
	return request(unix.PTRACE_SETOPTIONS, tid, 0, uintptr(options))
}

// Cont lets a stopped tracee run, delivering sig if it isn't 0.
func Cont(tid int, sig syscall.Signal) error { return request(unix.PTRACE_CONT, tid, 0, uintptr(sig)) }

// ToSyscall lets a stopped tracee run to its next entry into or return from a system call.
func ToSyscall(tid int, sig syscall.Signal) error {
	return request(unix.PTRACE_SYSCALL, tid, 0, uintptr(sig))
}

// Listen leaves a tracee in its group stop, but able to hear of SIGCONT.
func Listen(tid int) error { return request(unix.PTRACE_LISTEN, tid, 0, 0) }

// Detach lets a stopped tracee go, delivering sig if it isn't 0.
func Detach(tid int, sig syscall.Signal) error {
	return request(unix.PTRACE_DETACH, tid, 0, uintptr(sig))
}

// Message is the number that came with the last event: the status of an exiting thread, the id of a new one.
func Message(tid int) (uint, error) {
	n, err := unix.PtraceGetEventMsg(tid)
	return n, err
}

// SigInfo is the beginning of siginfo_t, the part that all signals share; Code is its si_code.
type SigInfo struct {
	Signo, Errno, Code int32
	rest               [29]int32 // the kernel's siginfo_t has 128 bytes
}

// sender is the process that sent the signal by kill(2), 0 for another origin. On 64-bit machines the union that si_pid
// is in is aligned.
func (i *SigInfo) sender() int {
	if i.Code != 0 { // SI_USER
		return 0
	}
	return int(i.rest[bits.UintSize/32-1])
}

// GetSigInfo reads the signal that a tracee is about to get.
func GetSigInfo(tid int) (SigInfo, error) {
	var info SigInfo
	err := requestPtr(unix.PTRACE_GETSIGINFO, tid, 0, unsafe.Pointer(&info))
	return info, err
}

// sigsetSize is sizeof(kernel sigset_t) on the architectures that Go has, save MIPS.
const sigsetSize = 8

// pendingSignal says whether a signal waits to be taken by a stopped tracee or its process.
func pendingSignal(tid int, s syscall.Signal) bool {
	const shared = 1 // PTRACE_PEEKSIGINFO_SHARED
	for flags := range uint32(shared + 1) {
		for from := uint64(0); ; {
			var infos [16]SigInfo
			args := struct { // struct ptrace_peeksiginfo_args
				from  uint64
				flags uint32
				count int32
			}{from, flags, int32(len(infos))}
			n, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_PEEKSIGINFO, uintptr(tid), uintptr(unsafe.Pointer(&args)),
				uintptr(unsafe.Pointer(&infos)), 0, 0)
			if errno != 0 || n == 0 {
				break
			}
			for _, info := range infos[:min(int(n), len(infos))] {
				if info.Signo == int32(s) {
					return true
				}
			}
			from += uint64(n)
		}
	}
	return false
}

// GetSigMask reads which signals a stopped tracee blocks; bit n-1 is signal n.
func GetSigMask(tid int) (uint64, error) {
	var mask uint64
	err := requestPtr(unix.PTRACE_GETSIGMASK, tid, sigsetSize, unsafe.Pointer(&mask))
	return mask, err
}

// SetSigMask sets which signals a stopped tracee blocks.
func SetSigMask(tid int, mask uint64) error {
	return requestPtr(unix.PTRACE_SETSIGMASK, tid, sigsetSize, unsafe.Pointer(&mask))
}

// syscallInfo is struct ptrace_syscall_info (linux/ptrace.h); Nr is that of a stop on the way into a call.
type syscallInfo struct {
	Op   uint8
	_    [3]uint8
	Arch uint32
	IP   uint64
	SP   uint64
	Nr   uint64
	_    [56]byte
}

func getSyscallInfo(tid int) (info syscallInfo, err error) {
	err = requestPtr(unix.PTRACE_GET_SYSCALL_INFO, tid, unsafe.Sizeof(info), unsafe.Pointer(&info))
	return info, err
}

// AuditArch is the AUDIT_ARCH_* of the system call that a stopped tracee is in, or would make (Linux 5.3). It tells an
// i386 call of a 64-bit program (int 0x80) from the program's native ones.
func AuditArch(tid int) (uint32, error) {
	info, err := getSyscallInfo(tid)
	return info.Arch, err
}

// Result is what the call returned from which a stopped tracee comes; a failed call is its Errno.
func (r *Regs) Result() (uint64, error) { return r.result() }

// Filter reads the i-th seccomp filter of a stopped tracee; the kernel counts from the oldest. The end of the list is
// ENOENT. It needs CAP_SYS_ADMIN in the first user namespace and a caller without a filter (EACCES), a thread in filter
// mode (EINVAL) and a kernel with CONFIG_CHECKPOINT_RESTORE (EIO).
func Filter(tid, i int) (bpf.Program, error) {
	n, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SECCOMP_GET_FILTER, uintptr(tid), uintptr(i), 0, 0, 0)
	if errno != 0 {
		return nil, errno
	}
	if n == 0 || n > bpf.MaxInstructions {
		return nil, fmt.Errorf("the kernel reports a filter of %d instructions", n)
	}
	raw := make([]byte, n*bpf.InstructionSize)
	_, _, errno = unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SECCOMP_GET_FILTER, uintptr(tid), uintptr(i),
		uintptr(unsafe.Pointer(&raw[0])), 0, 0)
	if errno != 0 {
		return nil, errno
	}
	return bpf.Decode(raw, binary.NativeEndian)
}
