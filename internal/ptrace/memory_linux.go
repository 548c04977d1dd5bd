package ptrace

import (
	"bytes"
	"cmp"
	"unsafe"

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
	return peek(tid, uintptr(addr), buf)
}

// peek is Read by PTRACE_PEEKDATA, which gives a word. Its success can be an outer filter's, which can't write memory:
// a word is read over a poison, and over another one if that is what it seems to be.
func peek(tid int, addr uintptr, buf []byte) error {
	var word [unsafe.Sizeof(addr)]byte
	ask := func(poison byte) (poisoned bool, err error) {
		for i := range word {
			word[i] = poison
		}
		// Aligned words, so that none reaches into a page that isn't there.
		err = requestPtr(unix.PTRACE_PEEKDATA, tid, addr&^(unsafe.Sizeof(addr)-1), unsafe.Pointer(&word))
		return bytes.Count(word[:], []byte{poison}) == len(word), err
	}
	for len(buf) > 0 {
		poisoned, err := ask(0x5e)
		if err == nil && poisoned {
			if poisoned, err = ask(0xa1); poisoned {
				err = cmp.Or(err, ErrAnswered)
			}
		}
		if err != nil {
			return err
		}
		n := copy(buf, word[addr%unsafe.Sizeof(addr):])
		buf, addr = buf[n:], addr+uintptr(n)
	}
	return nil
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
