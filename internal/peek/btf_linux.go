package peek

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
)

// offsets are places in the kernel's structures, in bytes, as its own type information gives them, and the number of
// the type that an iterator over tasks has.
type offsets struct {
	started, filter                                   int16 // in struct task_struct
	previous, program, original, length, instructions int16 // in seccomp_filter, bpf_prog and sock_fprog_kern
	iterator                                          uint32
}

// kernelTypes is the kernel's type information (Documentation/bpf/btf.rst).
const kernelTypes = "/sys/kernel/btf/vmlinux"

func kernelOffsets() (o offsets, err error) {
	raw, err := os.ReadFile(kernelTypes)
	if err != nil {
		return o, err
	}
	t, err := readTypes(raw, "task_struct", "seccomp", "seccomp_filter", "bpf_prog", "sock_fprog_kern", "bpf_iter_link_info", "bpf_iter_task")
	if err != nil {
		return o, fmt.Errorf("%s: %w", kernelTypes, err)
	}
	// Without this member the kernel would take the thread's number for something else, or for nothing, and show all
	// tasks (6.1).
	if _, err := t.offset("bpf_iter_link_info", "task"); err != nil {
		return o, err
	}
	inTask, err1 := t.offset("task_struct", "seccomp")
	inSeccomp, err2 := t.offset("seccomp", "filter")
	o.filter = inTask + inSeccomp
	var errs [6]error
	o.started, errs[0] = t.offset("task_struct", "start_time")
	o.previous, errs[1] = t.offset("seccomp_filter", "prev")
	o.program, errs[2] = t.offset("seccomp_filter", "prog")
	o.original, errs[3] = t.offset("bpf_prog", "orig_prog")
	o.length, errs[4] = t.offset("sock_fprog_kern", "len")
	o.instructions, errs[5] = t.offset("sock_fprog_kern", "filter")
	if o.iterator = t.functions["bpf_iter_task"]; o.iterator == 0 {
		return o, errors.New("the kernel has no iterator over tasks")
	}
	return o, errors.Join(append(errs[:], err1, err2)...)
}

// types are the structures and functions that were looked for.
type types struct {
	members   map[string]map[string]uint32 // in bits
	functions map[string]uint32            // by the number of the type
}

// Kinds of types, and how many bytes each has behind its head: those of one and of each of its members (linux/btf.h).
const (
	kindStruct, kindUnion, kindFunc = 4, 5, 12

	headSize, memberSize = 12, 12
)

var kindSizes = [20]struct{ fixed, each int }{
	1: {4, 0}, 3: {12, 0}, kindStruct: {0, memberSize}, kindUnion: {0, memberSize}, 6: {0, 8}, 13: {0, 8}, 14: {4, 0}, 15: {0, 12}, 17: {4, 0}, 19: {0, 12},
}

// readTypes reads the types of these names.
func readTypes(raw []byte, names ...string) (*types, error) {
	broken := errors.New("not type information as it is known")
	const headerSize, magic = 24, 0xeb9f
	if len(raw) < headerSize || order.Uint16(raw) != magic {
		return nil, broken
	}
	word := func(b []byte, at int) uint32 { return order.Uint32(b[at:]) }
	section := func(at int) ([]byte, bool) {
		begin, size := uint64(word(raw, 4))+uint64(word(raw, at)), uint64(word(raw, at+4))
		if begin+size > uint64(len(raw)) {
			return nil, false
		}
		return raw[begin:][:size], true
	}
	code, ok1 := section(8)
	text, ok2 := section(16)
	if !ok1 || !ok2 {
		return nil, broken
	}
	// Names by where they are in the text: each is there once.
	wanted := map[uint32]string{}
	for _, n := range names {
		if at := bytes.Index(text, []byte("\x00"+n+"\x00")); at >= 0 {
			wanted[uint32(at)+1] = n
		}
	}
	name := func(at uint32) string {
		if uint64(at) >= uint64(len(text)) {
			return ""
		}
		s, _, _ := bytes.Cut(text[at:], []byte{0})
		return string(s)
	}
	t := &types{map[string]map[string]uint32{}, map[string]uint32{}}
	for id := uint32(1); len(code) > 0; id++ {
		if len(code) < headSize {
			return nil, broken
		}
		info := word(code, 4)
		kind, count := info>>24&0x1f, int(info&0xffff)
		if int(kind) >= len(kindSizes) {
			return nil, fmt.Errorf("a type of an unknown kind, %d", kind)
		}
		size := headSize + kindSizes[kind].fixed + count*kindSizes[kind].each
		if len(code) < size {
			return nil, broken
		}
		if n := wanted[word(code, 0)]; n != "" {
			switch kind {
			case kindStruct, kindUnion:
				t.members[n] = map[string]uint32{}
				for m := code[headSize:size]; len(m) > 0; m = m[memberSize:] {
					bits := word(m, 8)
					if info>>31 != 0 {
						bits &= 0xffffff // the upper byte is a bit field's size
					}
					t.members[n][name(word(m, 0))] = bits
				}
			case kindFunc:
				t.functions[n] = id
			}
		}
		code = code[size:]
	}
	return t, nil
}

// offset is where in a structure its member begins, in bytes.
func (t *types) offset(structure, member string) (int16, error) {
	bits, ok := t.members[structure][member]
	if !ok || bits%8 != 0 || bits/8 > math.MaxInt16/2 {
		return 0, fmt.Errorf("this kernel's %s has no %s within reach", structure, member)
	}
	return int16(bits / 8), nil
}
