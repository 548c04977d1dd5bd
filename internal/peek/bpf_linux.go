package peek

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// control is bpf(2) for commands that make something; attr is one of union bpf_attr's structs (linux/bpf.h), with
// pointers of 64 bits. A filter around this process that pretends success can only say 0, which is never a new
// descriptor: the Go runtime sees to it that 0 is open.
func control[T any](command uintptr, attr *T) (int, error) {
	n, _, errno := unix.Syscall(unix.SYS_BPF, command, uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr))
	if errno != 0 {
		return -1, errno
	}
	if n == 0 {
		return -1, errors.New("bpf(2) was answered by a filter")
	}
	return int(n), nil
}

// newArray makes a map of one value, which can be mapped into memory.
func newArray(size uintptr) (fd int, err error) {
	return control(unix.BPF_MAP_CREATE, &struct{ kind, key, value, entries, flags uint32 }{
		unix.BPF_MAP_TYPE_ARRAY, 4, uint32(size), 1, unix.BPF_F_MMAPABLE,
	})
}

// loadIterator loads a program that is to run for each task, whose context is of a type of the kernel's with this
// number.
func loadIterator(code []instruction, context uint32) (fd int, err error) {
	license := []byte("Dual MIT/GPL\x00") // the kernel's structures are for programs under the GPL or a licence that goes with it
	attr := struct {
		kind, count           uint32
		code, license         unsafe.Pointer
		logLevel, logSize     uint32
		log                   unsafe.Pointer
		version, flags        uint32
		name                  [16]byte
		device, attachType    uint32
		types, functionSize   uint32
		functions             unsafe.Pointer
		functionCount, lineSz uint32
		lines                 unsafe.Pointer
		lineCount, context    uint32
	}{
		kind: unix.BPF_PROG_TYPE_TRACING, count: uint32(len(code)), attachType: unix.BPF_TRACE_ITER, context: context,
		code: unsafe.Pointer(&code[0]), license: unsafe.Pointer(&license[0]),
	}
	copy(attr.name[:], "monban_peek")
	return control(unix.BPF_PROG_LOAD, &attr)
}

// newLink binds a program to one thread.
func newLink(program int, tid uint32) (fd int, err error) {
	thread := struct{ tid, pid, pidfd uint32 }{tid: tid} // union bpf_iter_link_info
	return control(unix.BPF_LINK_CREATE, &struct {
		program, target, attachType, flags uint32
		info                               unsafe.Pointer
		infoSize, _                        uint32
	}{program: uint32(program), attachType: unix.BPF_TRACE_ITER, info: unsafe.Pointer(&thread), infoSize: uint32(unsafe.Sizeof(thread))})
}

// newIterator makes a file; who reads it runs the program.
func newIterator(link int) (fd int, err error) {
	return control(unix.BPF_ITER_CREATE, &struct{ link, flags uint32 }{link: uint32(link)})
}
