package ptrace

import (
	"bytes"

	"golang.org/x/sys/unix"

	"monban/internal/sys"
)

// Read fills buf from the memory of a stopped tracee. EIO or EPERM: the kernel keeps its memory from us, as it does for
// a program whose file can be executed but not read.
func Read(tid int, addr uint64, buf []byte) error {
	if len(buf) == 0 {
		return nil
	}
	if sys.ReadMemory(tid, addr, buf) == nil {
		return nil
	}
	// An outer sandbox may know ptrace and not process_vm_readv.
	_, err := unix.PtracePeekData(tid, uintptr(addr), buf)
	return err
}

// Write copies buf to the memory of a stopped tracee; it reaches read-only and not yet grown stack pages too.
func Write(tid int, addr uint64, buf []byte) error {
	if len(buf) == 0 {
		return nil
	}
	if sys.WriteMemory(tid, addr, buf) == nil {
		return nil
	}
	if _, err := unix.PtracePokeData(tid, uintptr(addr), buf); err != nil {
		return err
	}
	// Unlike the result of the first way, the success of this one can be an outer filter's.
	back := make([]byte, len(buf))
	if err := Read(tid, addr, back); err != nil {
		return err
	}
	if !bytes.Equal(back, buf) {
		return ErrAnswered
	}
	return nil
}
