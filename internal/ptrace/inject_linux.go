package ptrace

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/sys"
)

// A Call is a system call's number in the program's own calling convention.
type Call struct {
	Name         string
	Native, I386 uint64
}

// An EndedError says that the program didn't survive, or didn't get through, an injected call.
type EndedError struct {
	Call  Call
	Event Event
}

func (e *EndedError) Error() string {
	return fmt.Sprintf("at the injected %s(2), %v", e.Call.Name, e.Event)
}

// An Injection makes a stopped thread perform calls. Between NewInjection and End the thread's registers and signal
// mask are ours; End puts them back.
type Injection struct {
	im    *Image
	saved Regs
	mask  uint64
}

// NewInjection begins work on a thread in a ptrace stop. All signals that can be are blocked until End, so that no
// handler runs in the middle. PTRACE_O_TRACESYSGOOD must be on. Without an image it is errors.ErrUnsupported.
func NewInjection(im *Image) (*Injection, error) {
	if im == nil {
		return nil, fmt.Errorf("started programs can be controlled on amd64 and arm64 only, and this is %s: %w",
			runtime.GOARCH, errors.ErrUnsupported)
	}
	in := &Injection{im: im}
	var err error
	if in.saved, err = GetRegs(im.TID); err != nil {
		return nil, fmt.Errorf("reading registers: %w", err)
	}
	if in.mask, err = GetSigMask(im.TID); err != nil {
		return nil, fmt.Errorf("reading the signal mask: %w", err)
	}
	if err := in.setMask(^uint64(0)); err != nil {
		return nil, fmt.Errorf("blocking signals: %w", err)
	}
	return in, nil
}

// SetMask says which signals the program shall block after End; without it those that it blocked before.
func (in *Injection) SetMask(mask uint64) { in.mask = mask }

// End restores registers and mask. The thread is still stopped.
func (in *Injection) End() error {
	if err := in.setRegs(&in.saved); err != nil {
		return fmt.Errorf("restoring registers: %w", err)
	}
	if err := in.setMask(in.mask); err != nil {
		return fmt.Errorf("restoring the signal mask: %w", err)
	}
	return nil
}

// setRegs sets registers and reads them back: else the program's own code could run where a call of ours was to.
func (in *Injection) setRegs(regs *Regs) error {
	if err := SetRegs(in.im.TID, regs); err != nil {
		return err
	}
	if now, err := GetRegs(in.im.TID); err != nil || now.PC() != regs.PC() || now.call() != regs.call() {
		return cmp.Or(err, ErrAnswered)
	}
	return nil
}

// setMask sets the signal mask and reads it back.
func (in *Injection) setMask(mask uint64) error {
	if err := SetSigMask(in.im.TID, mask); err != nil {
		return err
	}
	if now, err := GetSigMask(in.im.TID); err != nil || (now^mask)&^unblockable != 0 {
		return cmp.Or(err, ErrAnswered)
	}
	return nil
}

// unblockable are SIGKILL and SIGSTOP in a mask.
const unblockable = 1<<(unix.SIGKILL-1) | 1<<(unix.SIGSTOP-1)

// Call makes the thread perform c and returns what the call returned; a failed call is its Errno, a thread that ended
// instead an *EndedError.
func (in *Injection) Call(c Call, args ...uint64) (uint64, error) {
	tid := in.im.TID
	regs := in.saved
	regs.setCall(in.im.site, c, args)
	if err := in.setRegs(&regs); err != nil {
		return 0, fmt.Errorf("setting registers for %s(2): %w", c.Name, err)
	}
	for stop := 0; stop < 2; { // on the way into the call, and out of it
		ev, err := Resume(tid, unix.PTRACE_SYSCALL, 0)
		switch {
		case err != nil:
			return 0, fmt.Errorf("%s(2): %w", c.Name, err)
		case ev.Syscall():
			stop++
		case ev.Dead():
			return 0, &EndedError{c, ev}
		case ev.Signal() == unix.SIGSTOP:
			in.im.held = true
		case ev.Signal() == unix.SIGTRAP && stop == 0, ev.Cause() == unix.PTRACE_EVENT_STOP:
			// A trap that was pending when we began, or a job control stop.
		default:
			return 0, &EndedError{c, ev} // SIGSYS or SIGSEGV: the kernel forces these through the mask
		}
	}
	regs, err := GetRegs(tid)
	if err != nil {
		return 0, fmt.Errorf("reading the result of %s(2): %w", c.Name, err)
	}
	return regs.result()
}

// Do is Call for calls that return 0. Anything else means that the call did not take place: a seccomp filter that traps
// or kills has undone it, and the SIGSYS is still to come.
func (in *Injection) Do(c Call, args ...uint64) error {
	result, err := in.Call(c, args...)
	if err == nil && result != 0 {
		return in.undone(c)
	}
	return err
}

func (in *Injection) undone(c Call) error {
	const stopped = 0x7f // the low byte of a wait status, the signal above it
	return &EndedError{c, Event{TID: in.im.TID, Status: unix.WaitStatus(stopped | unix.SIGSYS<<8)}}
}

// redZone is what the x86-64 ABI lets a leaf function use below the stack pointer.
const redZone = 128

// InstallFilter makes the thread call seccomp(SECCOMP_SET_MODE_FILTER, flags, p), and sees to it that the kernel did
// it. The program is written below its stack pointer, where nothing is kept. The error is the kernel's errno, an
// *EndedError or ErrFaked.
func (in *Injection) InstallFilter(p bpf.Program, flags uint32) error {
	_, err := in.install(p, flags)
	return err
}

// InstallListener is InstallFilter with SECCOMP_FILTER_FLAG_NEW_LISTENER: fd is the listener in the thread's own table.
func (in *Injection) InstallListener(p bpf.Program, flags uint32) (fd int, err error) {
	n, err := in.install(p, flags|unix.SECCOMP_FILTER_FLAG_NEW_LISTENER)
	return int(int32(n)), err
}

// install asks twice, as explained at [Installed].
func (in *Injection) install(p bpf.Program, flags uint32) (result uint64, err error) {
	at, fprog, err := in.writeFilter(p)
	if err != nil {
		return 0, err
	}
	ask := func() (uint64, error) {
		return in.Call(Seccomp, unix.SECCOMP_SET_MODE_FILTER, uint64(flags), at)
	}
	result, err = ask()
	if err == nil && result != 0 {
		return 0, in.undone(Seccomp)
	}
	if err := Probed(err); err != nil {
		return 0, err
	}
	if err := Write(in.im.TID, at, fprog); err != nil {
		return 0, fmt.Errorf("writing the filter to the program's stack: %w", err)
	}
	result, err = ask()
	if err := Installed(err); err != nil {
		return 0, err
	}
	if result != 0 && flags&unix.SECCOMP_FILTER_FLAG_NEW_LISTENER == 0 {
		return 0, in.undone(Seccomp)
	}
	return result, nil
}

// writeFilter puts a program and a struct sock_fprog without the program's address below the stack pointer, and says
// where; fprog is the struct with the address.
func (in *Injection) writeFilter(p bpf.Program) (at uint64, fprog []byte, err error) {
	filter, err := sys.Filter(p)
	if err != nil {
		return 0, nil, err
	}
	at = (in.saved.SP() - redZone - uint64(sys.FprogSize+len(filter))) &^ 15
	buf := append(sys.FprogBytes(len(p), Nowhere, in.im.Wide), filter...)
	if err := Write(in.im.TID, at, buf); err != nil {
		if errors.Is(err, unix.EFAULT) || errors.Is(err, unix.EIO) {
			return 0, nil, fmt.Errorf("writing %d bytes below the stack pointer (is the stack limit, ulimit -s, too small?): %w",
				len(buf), err)
		}
		return 0, nil, fmt.Errorf("writing the filter to the program's stack: %w", err)
	}
	return at, sys.FprogBytes(len(p), at+sys.FprogSize, in.im.Wide), nil
}
