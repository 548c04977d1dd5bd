package sys

import (
	"io"

	"golang.org/x/sys/unix"
)

// ReadMemory fills buf from a thread's memory (process_vm_readv(2)); io.ErrUnexpectedEOF where only a part of it is
// there. It takes the right to trace the thread. Who looks at a call that waits for a listener's answer asks afterwards
// whether it still does: the number may be another thread's by then.
func ReadMemory(tid int, addr uint64, buf []byte) error {
	return vector(unix.ProcessVMReadv, tid, addr, buf)
}

// WriteMemory copies buf to a thread's memory, where it may be written.
func WriteMemory(tid int, addr uint64, buf []byte) error {
	return vector(unix.ProcessVMWritev, tid, addr, buf)
}

func vector(call func(int, []unix.Iovec, []unix.RemoteIovec, uint) (int, error), tid int, addr uint64, buf []byte) error {
	if len(buf) == 0 {
		return nil
	}
	local := []unix.Iovec{{Base: &buf[0]}}
	local[0].SetLen(len(buf))
	n, err := call(tid, local, []unix.RemoteIovec{{Base: uintptr(addr), Len: len(buf)}}, 0)
	if err == nil && n != len(buf) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
