package record

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// A hook is a program that gets the kernel's own arguments of a raw tracepoint, and may read the structures that they point to (tp_btf).
type hook struct {
	at   string
	code asm.Instructions
	fd   int // once it is attached: closing it detaches
}

// progLoad is what bpf(BPF_PROG_LOAD) takes, as far as it matters here (union bpf_attr, linux/bpf.h).
type progLoad struct {
	kind, size        uint32
	code, license     unsafe.Pointer
	logLevel, logSize uint32
	log               unsafe.Pointer
	_, _              uint32
	name              [16]byte
	_, attach, _, _   uint32
	_                 uint64
	_, _              uint32
	_                 uint64
	_, target, _, _   uint32
}

// rawTracepoint is what bpf(BPF_RAW_TRACEPOINT_OPEN) takes. A program that names its target has no name here.
type rawTracepoint struct {
	_  uint64
	fd uint32
	_  uint32
}

// attach loads and attaches the program. The library that makes the maps would do it, and index all of the kernel's types for the
// number of one of them.
func (h *hook) attach(k *kernelTypes) error {
	typ, err := k.find(btfTypedef, "btf_trace_"+h.at)
	if err != nil {
		return err
	}
	var code bytes.Buffer
	if err := h.code.Marshal(&code, binary.LittleEndian); err != nil {
		return err
	}
	license := []byte("Dual MIT/GPL\x00") // the kernel's structures are for programs under the GPL or a licence that goes with it
	load := progLoad{
		kind: uint32(ebpf.Tracing), attach: uint32(ebpf.AttachTraceRawTp), target: typ.id,
		size: uint32(code.Len() / asm.InstructionSize), code: unsafe.Pointer(&code.Bytes()[0]), license: unsafe.Pointer(&license[0]),
	}
	copy(load.name[:15], "monban_"+h.at)
	program, err := bpfCall(unix.BPF_PROG_LOAD, unsafe.Pointer(&load), unsafe.Sizeof(load))
	if err != nil {
		return fmt.Errorf("loading the program for %s: %w%s", h.at, err, load.reason())
	}
	defer unix.Close(program)
	open := rawTracepoint{fd: uint32(program)}
	if h.fd, err = bpfCall(unix.BPF_RAW_TRACEPOINT_OPEN, unsafe.Pointer(&open), unsafe.Sizeof(open)); err != nil {
		return fmt.Errorf("attaching to %s: %w", h.at, err)
	}
	return nil
}

// reason asks the kernel again, and what it says last of the program.
func (l *progLoad) reason() string {
	log := make([]byte, 1<<20)
	l.logLevel, l.logSize, l.log = 1, uint32(len(log)), unsafe.Pointer(&log[0])
	if fd, err := bpfCall(unix.BPF_PROG_LOAD, unsafe.Pointer(l), unsafe.Sizeof(*l)); err == nil {
		unix.Close(fd)
	}
	said, _, _ := bytes.Cut(log, []byte{0})
	lines := bytes.Split(bytes.TrimSpace(said), []byte("\n"))
	if n := len(lines); n > 1 { // the last line counts instructions
		return ": " + string(lines[n-2])
	}
	return ""
}

func bpfCall(command uintptr, attr unsafe.Pointer, size uintptr) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_BPF, command, uintptr(attr), size)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}
