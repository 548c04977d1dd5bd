package ptrace

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"monban/internal/sys"
)

// An AttachError says that a thread could not be attached to; nothing has happened to it.
type AttachError struct{ Err error }

func (e *AttachError) Error() string { return "attaching to it: " + e.Err.Error() }
func (e *AttachError) Unwrap() error { return e.Err }

// Look stops a thread of somebody else, calls f while it stands still, and lets it go on as if nobody had been there.
// It is the only way to stop a foreign thread. f may ask and read, and must not let it run.
//
// A stop ends the sleep that a thread is in. What the kernel would make of that afterwards the program may notice, so
// it is undone:
//
//   - a sleep with a time-out of the kernel's keeping (nanosleep, poll, a futex) goes on by restart_syscall, which the
//     thread's own filter may refuse or kill. It is made past the filter, exactly on time; who may not do so (it takes
//     CAP_SYS_ADMIN in the first user namespace and no filter of one's own) has the call made again, so that a relative
//     time-out begins anew.
//   - a call that ends in EINTR after any stop is made again, where a time-out begins anew: epoll_wait, sigtimedwait,
//     semtimedop, io_getevents, io_pgetevents, io_uring_enter, select and ppoll with a time-out in memory that can't be
//     written, and what takes from a socket or puts into one that has a time-out (SO_RCVTIMEO, SO_SNDTIMEO).
//   - connect of a socket that has one ends in EINTR, which is not undone: made again, it would end by another error.
//   - all others the kernel itself makes again.
//
// All this is known of x86; elsewhere the thread is only let go. Errors: *AttachError, os.ErrDeadlineExceeded's kind
// (it did not stop in time), ESRCH (it ended), OwnThread's, and f's.
func Look(tid int, limit time.Duration, f func() error) (err error) {
	us := 0
	if lost := OwnThread(func() { us, err = unix.Gettid(), look(tid, limit, f) }); lost != nil {
		return lost
	}
	// The thread above ends now, and with it what it still holds: a stop until then would show to whoever waits for a
	// child of ours.
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(20 * time.Microsecond) {
		if status, err := sys.ReadStatus(tid); err != nil || status.TracerPID != us {
			break
		}
	}
	return err
}

func look(tid int, limit time.Duration, f func() error) error {
	// A thread that can't be interrupted now (it waits for a disk, or for a child of vfork) would be later, unseen.
	for end := time.Now().Add(limit); stateOf(tid) == 'D'; time.Sleep(limit / 1000) {
		if time.Now().After(end) {
			return unix.ETIMEDOUT
		}
	}
	if err := Seize(tid, 0); err != nil {
		return &AttachError{err}
	}
	// From here on a failure leaves the thread to the kernel, which detaches it when this one ends.
	if err := interrupt(tid); err != nil {
		return fmt.Errorf("stopping it: %w", err)
	}
	ev, err := WaitFor(tid, limit)
	if err != nil {
		return fmt.Errorf("waiting for it to stop: %w", err)
	}
	if ev.Dead() {
		return unix.ESRCH
	}
	err = f()
	if rerr := resume(ev, limit); rerr != nil && !errors.Is(rerr, unix.ESRCH) && err == nil {
		err = fmt.Errorf("letting it go: %w", rerr)
	}
	return err
}

// interrupt asks a seized thread to stop; the stop is reported by Wait.
func interrupt(tid int) error { return request(unix.PTRACE_INTERRUPT, tid, 0, 0) }

// maxStops bounds the stops of one thread between our interrupt and its going on: each is a signal's.
const maxStops = 1000

// resume lets a stopped thread go. A signal that arrived just now is delivered; a job control stop goes on.
func resume(ev Event, limit time.Duration) error {
	for range maxStops {
		if ev.Dead() {
			return nil
		}
		sig := ev.Signal()
		regs, err := GetRegs(ev.TID)
		_, stopped := ev.GroupStop()
		if err != nil || stopped || sig != 0 && handles(ev.TID, sig) {
			return Detach(ev.TID, sig) // its own affair: the handler ends the sleep, or the stop has
		}
		switch regs.interrupted(CallArch(ev.TID, &regs)) {
		case byRestart:
			next, asleep, err := restart(ev, &regs, limit)
			switch {
			case asleep:
				return nil
			case err == nil:
				ev = next
				continue
			case !errors.Is(err, errors.ErrUnsupported):
				return err
			}
			fallthrough
		case byEINTR:
			regs.again()
			if err := SetRegs(ev.TID, &regs); err != nil {
				return err
			}
		}
		break
	}
	return Detach(ev.TID, ev.Signal())
}

// How a stop has ended the call that a thread was in.
const (
	notAtAll  = iota // it was in none, or the kernel makes it again by itself
	byRestart        // it would be resumed by restart_syscall (ERESTART_RESTARTBLOCK)
	byEINTR
)

// restart has a thread resume its sleep by restart_syscall, which its filters do not see: seccomp is suspended from the
// entry into that one call until its return, so that no instruction of the program runs without a filter. Then the
// thread is asleep, and still attached: the kernel lets it go when the calling thread ends, without a stop. (Only a
// signal that the program ignores, and that comes in the few microseconds until then, still wakes it as any stop does.)
// Or else it has come to another stop. before are its registers at this one. It is errors.ErrUnsupported, and nothing
// has changed, where the kernel does not let us.
func restart(ev Event, before *Regs, limit time.Duration) (next Event, asleep bool, err error) {
	const plain, blind = unix.PTRACE_O_TRACESYSGOOD, unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_SUSPEND_SECCOMP
	tid := ev.TID
	if SetOptions(tid, blind) != nil {
		return ev, false, errors.ErrUnsupported
	}
	if err := errors.Join(SetOptions(tid, plain), ToSyscall(tid, ev.Signal())); err != nil {
		return ev, false, err
	}
	if ev, err = WaitFor(tid, limit); err != nil || ev.Dead() {
		return ev, false, err
	}
	if !ev.Syscall() { // a signal: if it came on the way to the call, we are back before that
		if regs, err := GetRegs(tid); err == nil && regs.restarts(before) {
			return ev, false, SetRegs(tid, before)
		}
		return ev, false, nil
	}
	if arch, nr, ok := entering(tid); !ok || !isRestart(arch, nr) {
		return Event{}, true, Detach(tid, 0) // something else came between: its filters judge it
	}
	if err := errors.Join(SetOptions(tid, blind), ToSyscall(tid, 0)); err != nil {
		return ev, false, err
	}
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(20 * time.Microsecond) {
		if ev, err = Wait(tid, unix.WNOHANG); err != nil || ev.Dead() {
			return ev, false, err
		}
		if ev.TID != 0 {
			return ev, false, SetOptions(tid, plain)
		}
		if stateOf(tid) == 'S' {
			return Event{}, true, nil
		}
	}
	return Event{}, true, nil
}

// entering is the call that a thread stands before (Linux 5.3).
func entering(tid int) (arch uint32, nr uint64, ok bool) {
	const entry = 1 // PTRACE_SYSCALL_INFO_ENTRY
	info, err := getSyscallInfo(tid)
	return info.Arch, info.Nr, err == nil && info.Op == entry
}

// handles says whether a thread has a handler for a signal.
func handles(tid int, sig syscall.Signal) bool {
	status, _ := sys.ReadStatus(tid)
	return status.CaughtSignals&bit(sig) != 0
}

func bit(sig syscall.Signal) uint64 { return 1 << (sig - 1) }

// stateOf is the letter that /proc has for what a thread does, 0 where it can't be seen.
func stateOf(tid int) byte {
	stat, _ := sys.ReadStat(tid)
	return stat.State
}
