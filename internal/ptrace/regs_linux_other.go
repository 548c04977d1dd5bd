//go:build linux && !amd64 && !arm64

package ptrace

import (
	"errors"

	"monban/bpf"
)

// Calls that Monban would inject; on this architecture it can't.
var (
	Seccomp = Call{Name: "seccomp"}
	Prctl   = Call{Name: "prctl"}
	Getpid  = Call{Name: "getpid"}
	Unshare = Call{Name: "unshare"}
	Close   = Call{Name: "close"}
)

// injectable says that calls can be injected into programs of this architecture.
const injectable = false

// Regs are a thread's registers, of which nothing is known on this architecture.
type Regs struct{}

// GetRegs returns errors.ErrUnsupported.
func GetRegs(int) (Regs, error) { return Regs{}, errors.ErrUnsupported }

// SetRegs returns errors.ErrUnsupported.
func SetRegs(int, *Regs) error { return errors.ErrUnsupported }

// Wide, PC, SetPC, SP, RolledBack and Data mean nothing here, as there are no Regs to ask.
func (r *Regs) Wide() bool                     { return false }
func (r *Regs) PC() uint64                     { return 0 }
func (r *Regs) SetPC(uint64)                   {}
func (r *Regs) SP() uint64                     { return 0 }
func (r *Regs) RolledBack() bool               { return false }
func (r *Regs) call() uint64                   { return 0 }
func (r *Regs) Data(arch uint32) bpf.Data      { return bpf.Data{Arch: arch} }
func (r *Regs) setCall(uint64, Call, []uint64) {}
func (r *Regs) result() (uint64, error)        { return 0, errors.ErrUnsupported }

// CallArch is unknown.
func CallArch(int, *Regs) uint32 { return 0 }

func (r *Regs) interrupted(uint32) int { return notAtAll }
func (r *Regs) again()                 {}

func (r *Regs) restartNumber(uint32) uint32 { return 0 }

func (r *Regs) restarts(*Regs) bool { return false }

func isRestart(uint32, uint64) bool { return false }

func callInstruction(bool) []byte { return nil }

// Breakpoint is unknown.
var Breakpoint []byte

// BreakpointAdvance is unknown.
const BreakpointAdvance = 0
