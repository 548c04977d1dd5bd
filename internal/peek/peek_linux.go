package peek

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/bpf"
)

// ErrUnavailable means that this kernel, or whoever asks, has no such programs. It says nothing about the thread.
var ErrUnavailable = errors.New("filters can't be read from the kernel's memory here")

// maxStack bounds the filters of one thread: the kernel takes bpf.MaxStacked instructions, of which each filter costs
// one and bpf.StackedExtra.
const maxStack = bpf.MaxStacked/(1+bpf.StackedExtra) + 1

// maxTries is how often a stack is read anew that grows meanwhile.
const maxTries = 100

// Filters reads the stack of a thread, the oldest filter first; it is empty where there is none. The thread's number is
// one of the PID namespace of this process. Errors: [ErrUnavailable], ESRCH (no such thread, or one that this kernel
// does not show).
func Filters(tid int) ([]bpf.Program, error) {
	r, err := open()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	r.Lock()
	defer r.Unlock()
	link, err := r.link(tid)
	if err != nil {
		return nil, err
	}
	defer unix.Close(link)
	for range maxTries {
		programs, whole, err := r.stack(link)
		if err != nil || whole {
			return programs, err
		}
	}
	return nil, fmt.Errorf("the filters of thread %d change all the time", tid)
}

// A reader is the loaded program and what it shares with us.
type reader struct {
	sync.Mutex
	program, shared int // descriptors
	answer          *answer
}

// An answer is what the program was asked, and what it says (in program.go the places of these fields).
type answer struct {
	Cursor       uint64 // asked: the address of a filter; 0: the newest
	State        uint64 // one of the states
	Head         uint64 // the address of the newest filter, 0: none
	Started      uint64 // when the thread began: with Head it says that the stack is the same
	Previous     uint64 // the address of the filter before this one, 0: it is the oldest
	Len          uint64 // in instructions
	spare        [2]uint64
	Instructions [bpf.MaxInstructions * bpf.InstructionSize]byte
}

// States of an answer. The program writes done as its last deed.
const (
	unseen = iota // the program did not run: there is no such thread
	failed
	done
)

// open loads the program, once.
var open = sync.OnceValues(func() (*reader, error) {
	if strconv.IntSize != 64 {
		return nil, errors.New("on 64-bit architectures only")
	}
	o, err := kernelOffsets()
	if err != nil {
		return nil, err
	}
	r := &reader{program: -1, shared: -1}
	if err := r.load(o); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
})

func (r *reader) load(o offsets) (err error) {
	if r.shared, err = newArray(unsafe.Sizeof(answer{})); err != nil {
		return fmt.Errorf("making a map: %w", err)
	}
	size := os.Getpagesize()
	size *= (int(unsafe.Sizeof(answer{})) + size - 1) / size
	mem, err := unix.Mmap(r.shared, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("mapping it: %w", err)
	}
	r.answer = (*answer)(unsafe.Pointer(&mem[0]))
	if r.program, err = loadIterator(reading(r.shared, o), o.iterator); err != nil {
		return fmt.Errorf("loading the program: %w", err)
	}
	return nil
}

func (r *reader) close() {
	for _, fd := range []int{r.program, r.shared} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// stack follows the filters from the newest to the oldest. A filter lives as long as one that was installed after it,
// and a thread's newest only ever gets a newer one, until the thread ends: so if the newest is the same behind each
// step, all steps were on living filters, and the stack is whole.
func (r *reader) stack(link int) (programs []bpf.Program, whole bool, err error) {
	head, started := uint64(0), uint64(0)
	for cursor := uint64(0); len(programs) < maxStack; {
		if err := r.ask(link, cursor); err != nil {
			return nil, false, err
		}
		a := r.answer
		switch {
		case cursor == 0:
			head, started = a.Head, a.Started
			if head == 0 {
				return nil, true, nil
			}
		case a.Head != head || a.Started != started:
			return nil, false, nil
		}
		if a.State != done || a.Len == 0 || a.Len > bpf.MaxInstructions {
			return nil, false, fmt.Errorf("%w: a filter is kept otherwise than this program knows", ErrUnavailable)
		}
		p, err := bpf.Decode(a.Instructions[:a.Len*bpf.InstructionSize], order)
		if err != nil {
			return nil, false, err
		}
		programs = append(programs, p)
		if cursor = a.Previous; cursor == 0 {
			// The head was looked at before the instructions were: once more.
			if err := r.ask(link, 0); err != nil {
				return nil, false, err
			}
			slices.Reverse(programs)
			return programs, a.Head == head && a.Started == started, nil
		}
	}
	return nil, false, fmt.Errorf("%w: a stack of more than %d filters", ErrUnavailable, maxStack)
}

// ask runs the program on the thread.
func (r *reader) ask(link int, cursor uint64) error {
	*r.answer = answer{Cursor: cursor}
	it, err := newIterator(link)
	if err != nil {
		return err
	}
	defer unix.Close(it)
	var none [16]byte
	for { // the program writes no text
		n, err := unix.Read(it, none[:])
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if err != nil || n > 0 {
			return fmt.Errorf("%w: running the program: %d bytes, %w", ErrUnavailable, n, err)
		}
		break
	}
	if atomic.LoadUint64(&r.answer.State) == unseen {
		return unix.ESRCH
	}
	return nil
}

// link binds the program to a thread.
func (r *reader) link(tid int) (int, error) {
	if tid <= 0 {
		return -1, unix.ESRCH
	}
	fd, err := newLink(r.program, uint32(tid))
	if err != nil {
		return -1, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return fd, nil
}

var order = binary.NativeEndian
