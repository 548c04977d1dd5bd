package ptrace

import (
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/abi"
	"monban/bpf"
)

// Calls that Monban injects (arch/x86/entry/syscalls/syscall_64.tbl and syscall_32.tbl).
var (
	Seccomp = Call{"seccomp", 317, 354}
	Prctl   = Call{"prctl", 157, 172}
	Getpid  = Call{"getpid", 39, 20}
	Unshare = Call{"unshare", 272, 310}
	Close   = Call{"close", 3, 6}
)

// user32CS is the code segment of 32-bit programs (arch/x86/include/asm/segment.h, __USER32_CS).
const user32CS = 0x23

// injectable says that calls can be injected into programs of this architecture.
const injectable = true

// Regs are a thread's general registers: the 64-bit set, whatever the thread runs.
type Regs struct{ unix.PtraceRegs }

// GetRegs reads the registers of a stopped tracee. PTRACE_GETREGS, not the regset: that one shrinks for i386 programs.
func GetRegs(tid int) (Regs, error) {
	r := Regs{unix.PtraceRegs{Rip: noPC}}
	err := requestPtr(unix.PTRACE_GETREGS, tid, 0, unsafe.Pointer(&r))
	if err == nil && r.Rip == noPC {
		err = ErrAnswered
	}
	return r, err
}

// SetRegs sets the registers of a stopped tracee.
func SetRegs(tid int, r *Regs) error {
	return requestPtr(unix.PTRACE_SETREGS, tid, 0, unsafe.Pointer(r))
}

// Wide says that the thread runs 64-bit code.
func (r *Regs) Wide() bool { return r.Cs != user32CS }

// PC is the instruction pointer.
func (r *Regs) PC() uint64 { return r.Rip }

// SetPC sets the instruction pointer.
func (r *Regs) SetPC(pc uint64) { r.Rip = pc }

// call is the number of the call that the thread is about to make.
func (r *Regs) call() uint64 { return r.Rax }

// SP is the stack pointer.
func (r *Regs) SP() uint64 { return r.Rsp }

// RolledBack says that the kernel has undone the entry into a call, as it does when seccomp kills a whole process or
// sends SIGSYS (syscall_rollback): then rax is the call's number again instead of -ENOSYS or a result.
func (r *Regs) RolledBack() bool { return r.Rax == r.Orig_rax }

// Data is the call that the thread is in, as a seccomp filter for arch sees it. The registers hold it until the call
// returns, and still when the thread dies inside.
func (r *Regs) Data(arch uint32) bpf.Data {
	d := bpf.Data{Nr: uint32(r.Orig_rax), Arch: arch, IP: r.Rip}
	if arch == unix.AUDIT_ARCH_I386 {
		d.IP = uint64(uint32(r.Rip))
		for i, v := range []uint64{r.Rbx, r.Rcx, r.Rdx, r.Rsi, r.Rdi, r.Rbp} {
			d.Args[i] = uint64(uint32(v))
		}
		return d
	}
	d.Args = [6]uint64{r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8, r.R9}
	return d
}

// CallArch is the AUDIT_ARCH_* of the call that a stopped thread is in.
func CallArch(tid int, r *Regs) uint32 {
	if arch, err := AuditArch(tid); err == nil && arch != 0 {
		return arch
	}
	if r.Wide() { // before Linux 5.3: blind to an int 0x80 in 64-bit code
		return unix.AUDIT_ARCH_X86_64
	}
	return unix.AUDIT_ARCH_I386
}

// Results that the kernel keeps to itself, except from a tracer (include/linux/errno.h).
const (
	erestartNoHand       = 514 // make the call again, unless a handler ran
	erestartRestartBlock = 516
)

// interrupted says how a stop has ended the call of this architecture that the thread was in.
func (r *Regs) interrupted(arch uint32) int {
	if int64(r.Orig_rax) < 0 {
		return notAtAll
	}
	switch -int32(r.Rax) { // a 32-bit program's result has its lower half only
	case erestartRestartBlock:
		return byRestart
	case int32(unix.EINTR):
		if d := r.Data(arch); endsByEINTR(&d) {
			return byEINTR
		}
	}
	return notAtAll
}

// endsByEINTR says whether a call that only waits ends by EINTR after any stop (signal(7)), and may be made again.
func endsByEINTR(d *bpf.Data) bool {
	arch, ok := abi.Of(d.Arch, d.Nr)
	if !ok {
		return false
	}
	const connect = 3 // SYS_CONNECT (linux/net.h), socketcall's first argument
	name, _ := arch.Name(d.Nr)
	return eintr[name] && (name != "socketcall" || d.Args[0] != connect)
}

// eintr are such calls. select and its like are among them where their time-out lies in memory that can't be written,
// and what takes from a socket or puts into one where that has a time-out (SO_RCVTIMEO, SO_SNDTIMEO). A call ends so
// before anything has been moved, as the result is else how much has. connect is not among them: made again, it says
// EALREADY when its time is over, not EINPROGRESS.
var eintr = set("epoll_wait epoll_pwait epoll_pwait2 rt_sigtimedwait rt_sigtimedwait_time64 semop semtimedop semtimedop_time64 ipc " +
	"io_getevents io_pgetevents io_pgetevents_time64 io_uring_enter select _newselect pselect6 pselect6_time64 ppoll ppoll_time64 " +
	"accept accept4 read readv preadv2 recvfrom recvmsg recvmmsg recvmmsg_time64 " +
	"write writev pwritev2 sendto sendmsg sendmmsg sendfile sendfile64 splice socketcall")

func set(names string) map[string]bool {
	all := map[string]bool{}
	for name := range strings.FieldsSeq(names) {
		all[name] = true
	}
	return all
}

// again has the kernel make the call once more that a stop has ended, unless a handler runs.
func (r *Regs) again() {
	result := int64(-erestartNoHand)
	r.Rax = uint64(result)
}

// restarts says whether the kernel has set up the resumption of a call that a stop had ended in before.
func (r *Regs) restarts(before *Regs) bool {
	const instruction = 2 // bytes: syscall, int 0x80 and sysenter
	return r.Rip == before.Rip-instruction && r.Rsp == before.Rsp && r.Rax != before.Rax
}

// restartNumber is the number by which the kernel resumes the call of this architecture that the thread was in.
func (r *Regs) restartNumber(token uint32) uint32 {
	arch, _ := abi.Of(token, uint32(r.Orig_rax))
	nr, _ := arch.Number("restart_syscall")
	return nr
}

// isRestart says whether a number is restart_syscall's.
func isRestart(token uint32, nr uint64) bool {
	arch, ok := abi.Of(token, uint32(nr))
	if !ok {
		return false
	}
	name, _ := arch.Name(uint32(nr))
	return name == "restart_syscall"
}

func (r *Regs) setCall(site uint64, c Call, args []uint64) {
	r.Rip = site
	r.Orig_rax = ^uint64(0) // no call is in progress that the kernel should restart
	var a [6]uint64
	copy(a[:], args)
	if r.Wide() {
		r.Rax = c.Native
		r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8, r.R9 = a[0], a[1], a[2], a[3], a[4], a[5]
		return
	}
	r.Rax = c.I386
	r.Rbx, r.Rcx, r.Rdx, r.Rsi, r.Rdi, r.Rbp = a[0], a[1], a[2], a[3], a[4], a[5]
}

func (r *Regs) result() (uint64, error) {
	if r.Wide() {
		return errnoOf(r.Rax)
	}
	return errnoOf(uint64(int64(int32(r.Rax))))
}

// callInstruction is syscall in 64-bit code and int 0x80 in 32-bit code.
func callInstruction(wide bool) []byte {
	if wide {
		return []byte{0x0f, 0x05}
	}
	return []byte{0xcd, 0x80}
}

// Breakpoint is the instruction int3; the trap leaves the instruction pointer behind it.
var Breakpoint = []byte{0xcc}

// BreakpointAdvance is how far past a breakpoint the instruction pointer is when it has trapped.
const BreakpointAdvance = 1
