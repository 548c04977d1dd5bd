package ptrace

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/bpf"
)

// Calls that Monban injects (include/uapi/asm-generic/unistd.h).
var (
	Seccomp = Call{Name: "seccomp", Native: 277}
	Prctl   = Call{Name: "prctl", Native: 167}
	Getpid  = Call{Name: "getpid", Native: 172}
	Unshare = Call{Name: "unshare", Native: 97}
	Close   = Call{Name: "close", Native: 57}
)

// ntPrstatus is NT_PRSTATUS, the general register set.
const ntPrstatus = 1

// injectable says that calls can be injected into programs of this architecture.
const injectable = true

// Regs are a thread's general registers.
type Regs struct{ unix.PtraceRegs }

// GetRegs reads the registers of a stopped tracee; a 32-bit ARM program is errors.ErrUnsupported.
func GetRegs(tid int) (Regs, error) {
	r := Regs{unix.PtraceRegs{Pc: noPC}}
	iov := unix.Iovec{Base: (*byte)(unsafe.Pointer(&r))}
	iov.SetLen(int(unsafe.Sizeof(r)))
	if err := requestPtr(unix.PTRACE_GETREGSET, tid, ntPrstatus, unsafe.Pointer(&iov)); err != nil {
		return r, err
	}
	if iov.Len != uint64(unsafe.Sizeof(r)) {
		return r, fmt.Errorf("a 32-bit ARM program, which Monban cannot control: %w", errors.ErrUnsupported)
	}
	if r.Pc == noPC {
		return r, ErrAnswered
	}
	return r, nil
}

// SetRegs sets the registers of a stopped tracee.
func SetRegs(tid int, r *Regs) error {
	iov := unix.Iovec{Base: (*byte)(unsafe.Pointer(r))}
	iov.SetLen(int(unsafe.Sizeof(*r)))
	return requestPtr(unix.PTRACE_SETREGSET, tid, ntPrstatus, unsafe.Pointer(&iov))
}

// Wide says that the thread runs 64-bit code: GetRegs refuses others.
func (r *Regs) Wide() bool { return true }

// PC is the program counter.
func (r *Regs) PC() uint64 { return r.Pc }

// SetPC sets the program counter.
func (r *Regs) SetPC(pc uint64) { r.Pc = pc }

// call is the number of the call that the thread is about to make.
func (r *Regs) call() uint64 { return r.Regs[8] }

// SP is the stack pointer.
func (r *Regs) SP() uint64 { return r.Sp }

// RolledBack is never known on arm64: x0 is both first argument and result, and it is intact in either case.
func (r *Regs) RolledBack() bool { return false }

// Data is the call that the thread is in, as a seccomp filter for arch sees it.
func (r *Regs) Data(arch uint32) bpf.Data {
	return bpf.Data{Nr: uint32(r.Regs[8]), Arch: arch, IP: r.Pc, Args: [6]uint64(r.Regs[:6])}
}

// CallArch is the AUDIT_ARCH_* of the call that a stopped thread is in.
func CallArch(tid int, _ *Regs) uint32 {
	if arch, err := AuditArch(tid); err == nil && arch != 0 {
		return arch
	}
	return unix.AUDIT_ARCH_AARCH64
}

// btype is PSTATE.BTYPE: behind an indirect branch, as at main, a page guarded by BTI admits landing pads only, and the
// vDSO may be such a page.
const btype = 3 << 10

// interrupted is never known: before a stop shows, the kernel has set the registers to make the call again.
func (r *Regs) interrupted(uint32) int { return notAtAll }

func (r *Regs) again() {}

func (r *Regs) restartNumber(uint32) uint32 { return 0 }

func (r *Regs) restarts(*Regs) bool { return false }

func isRestart(uint32, uint64) bool { return false }

func (r *Regs) setCall(site uint64, c Call, args []uint64) {
	r.Pc = site
	r.Pstate &^= btype
	r.Regs[8] = c.Native
	clear(r.Regs[:6])
	copy(r.Regs[:6], args)
}

func (r *Regs) result() (uint64, error) { return errnoOf(r.Regs[0]) }

// callInstruction is svc #0.
func callInstruction(bool) []byte { return []byte{0x01, 0x00, 0x00, 0xd4} }

// Breakpoint is the instruction brk #0; the trap leaves the program counter on it.
var Breakpoint = []byte{0x00, 0x00, 0x20, 0xd4}

// BreakpointAdvance is how far past a breakpoint the program counter is when it has trapped.
const BreakpointAdvance = 0
