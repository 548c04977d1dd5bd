package seccomp

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"monban/abi"
	"monban/internal/ptrace"
)

// foreignCalls try the other calling conventions of a 64-bit process, which an x86-64 filter must answer too. That they
// are impossible is not a fault: one way less around a gate.
var foreignCalls = []probe{
	{FeatureI386Calls, "int 0x80; a gate must judge them", "2.6.12", "CONFIG_IA32_EMULATION", inVictim(func(p *ptrace.Process) error {
		return execute(p, []byte{0xcd, 0x80, 0xcc}, ptrace.Getpid.I386)
	})},
	{FeatureX32Calls, "numbers with bit 30; a gate must judge them", "3.4", "CONFIG_X86_X32_ABI", inVictim(func(p *ptrace.Process) error {
		return execute(p, []byte{0x0f, 0x05, 0xcc}, abi.X32Bit|ptrace.Getpid.Native)
	})},
}

// execute overwrites the victim's next instructions with a call and a breakpoint, and checks that the call was getpid.
func execute(p *ptrace.Process, code []byte, nr uint64) error {
	regs, err := ptrace.GetRegs(p.PID)
	if err != nil {
		return err
	}
	if err := ptrace.Write(p.PID, regs.PC(), code); err != nil {
		return err
	}
	regs.Rax, regs.Orig_rax = nr, ^uint64(0)
	if err := ptrace.SetRegs(p.PID, &regs); err != nil {
		return err
	}
	if err := ptrace.Cont(p.PID, 0); err != nil {
		return err
	}
	ev, err := ptrace.Wait(p.PID, 0)
	switch {
	case err != nil:
		return err
	case ev.Dead():
		p.PID = 0
		return fmt.Errorf("the call ends a process: %v", ev)
	case ev.Signal() != unix.SIGTRAP:
		return errors.New("the call ends in " + unix.SignalName(ev.Signal()))
	}
	if regs, err = ptrace.GetRegs(p.PID); err != nil {
		return err
	}
	if n := int64(regs.Rax); n < 0 {
		return unix.Errno(-n)
	}
	if int(regs.Rax) != p.PID {
		return fmt.Errorf("getpid returned %d in process %d", regs.Rax, p.PID)
	}
	return nil
}
