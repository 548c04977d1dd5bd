package ptrace

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"monban/internal/sys"
)

// An Image is what a stopped thread's program offers to an [Injection].
type Image struct {
	TID  int
	Auxv map[uint64]uint64
	Wide bool   // 64-bit registers and pointers; false: an i386 program on amd64
	site uint64 // the address of a system call instruction
	held bool   // a SIGSTOP came during an injection; it can't be blocked
}

// vdsoSize is how much of the vDSO is searched: it has two or three pages.
const vdsoSize = 4 * 4096

// ReadImage looks at a program that is stopped at its exec, before its first instruction: the stack pointer then points
// at argc, with the auxiliary vector behind argv and envp, so that no mounted /proc is needed.
func ReadImage(tid int) (*Image, error) {
	regs, err := GetRegs(tid)
	if err != nil {
		return nil, fmt.Errorf("reading registers: %w", err)
	}
	im := &Image{TID: tid, Wide: regs.Wide()}
	if im.Auxv, err = readAuxv(tid, regs.SP(), im.Wide); err != nil {
		return nil, fmt.Errorf("reading the fresh stack: %w", err)
	}
	if im.site, err = im.findSite(); err != nil {
		return nil, err
	}
	return im, nil
}

// readAuxv walks argc, argv, NULL, envp, NULL and returns the vector that follows.
func readAuxv(tid int, sp uint64, wide bool) (map[uint64]uint64, error) {
	size := uint64(4)
	if wide {
		size = 8
	}
	var page []byte
	var base uint64
	word := func() (uint64, error) {
		if sp+size > base+uint64(len(page)) {
			// To the end of the page only: the last page of the stack is the last that is mapped.
			page = make([]byte, 4096-sp%4096)
			base = sp
			if err := Read(tid, sp, page); err != nil {
				return 0, err
			}
		}
		at := page[sp-base:]
		sp += size
		if wide {
			return binary.NativeEndian.Uint64(at), nil
		}
		return uint64(binary.NativeEndian.Uint32(at)), nil
	}
	if _, err := word(); err != nil { // argc
		return nil, err
	}
	for ends := 0; ends < 2; {
		w, err := word()
		if err != nil {
			return nil, err
		}
		if w == 0 {
			ends++
		}
	}
	auxv := map[uint64]uint64{}
	for {
		k, err := word()
		if err != nil {
			return nil, err
		}
		v, err := word()
		if err != nil {
			return nil, err
		}
		if k == 0 {
			return auxv, nil
		}
		auxv[k] = v
	}
}

// findSite finds a system call instruction in the vDSO or, on a kernel without one, in the program's own text.
func (im *Image) findSite() (uint64, error) {
	ins := callInstruction(im.Wide)
	if ins == nil {
		return 0, fmt.Errorf("injecting a call into this kind of program: %w", errors.ErrUnsupported)
	}
	if vdso := im.Auxv[sys.AtSysinfoEhdr]; vdso != 0 {
		buf := make([]byte, 0, vdsoSize)
		for page := uint64(0); page < vdsoSize; page += 4096 {
			chunk := buf[page : page+4096]
			if Read(im.TID, vdso+page, chunk) != nil {
				break
			}
			buf = buf[:page+4096]
			// An instruction that straddles two pages is found with the second.
			from := max(0, int(page)-len(ins))
			if i := index(buf[from:], ins, from); i >= 0 {
				return vdso + uint64(from+i), nil
			}
		}
	}
	return im.siteInText(ins)
}

// index is bytes.Index for a whole instruction: where instructions are 4 bytes long they are aligned.
func index(text, ins []byte, offset int) int {
	for at := 0; ; at++ {
		i := bytes.Index(text[at:], ins)
		if i < 0 {
			return -1
		}
		at += i
		if len(ins) != 4 || (offset+at)%4 == 0 {
			return at
		}
	}
}

// siteInText searches the executable mappings, in the order of their addresses.
func (im *Image) siteInText(ins []byte) (uint64, error) {
	maps, err := sys.Mappings(im.TID)
	if err != nil {
		return 0, fmt.Errorf("no vDSO, and no way to the program's mappings: %w", err)
	}
	for _, m := range maps {
		if !m.Executable {
			continue
		}
		const window = 1 << 20
		for at := m.Begin; at < m.End; at += window - 8 {
			buf := make([]byte, min(window, m.End-at))
			if Read(im.TID, at, buf) != nil {
				break // [vsyscall] can be executed only
			}
			if i := index(buf, ins, 0); i >= 0 {
				return at + uint64(i), nil
			}
		}
	}
	return 0, fmt.Errorf("found no system call instruction in the vDSO or in the program's text: %w", unix.ENOEXEC)
}
