package child

import (
	"syscall"
	"unsafe"
)

// A Step is one thing that a child does. Addresses in it must stay valid until the child has gone on to its exec or
// ended.
type Step struct {
	Op   Op
	Nr   uintptr        // the call's number
	Args [6]uintptr     // its arguments
	Word unsafe.Pointer // of Compare, a uint32, and Store, a uintptr
	// From, if not 0, is 1 + the place of the step whose result is the first argument.
	From int
	Want uintptr // what Equal and Compare ask for, and Store stores
	// Again is how often a wrong result leads back to the step at Back instead of ending the child.
	Again, Back uintptr
	Result      uintptr // what the call returned, as the kernel returns it: errors are -4095 to -1
}

// An Op says what a step does and which results let the child go on.
type Op uintptr

// The kinds of steps.
const (
	Any     Op = iota // a call; every result is right
	NoError           // a call that must not fail
	Equal             // a call that must return Want
	Compare           // no call: Word must be Want
	Store             // no call: Word becomes Want
)

// maxErrno is MAX_ERRNO (include/linux/err.h).
const maxErrno = 4095

// control is what parent and child share. Nothing that the child writes is a pointer.
type control struct {
	uses    uint32 // not 0 as long as the child uses this memory; the kernel clears it; the first, as assembly knows
	steps   unsafe.Pointer
	count   uintptr
	at      uintptr  // the step that the child is at
	failed  uintptr  // 1 once that step's result was wrong
	result  uintptr  // what it was
	nowhere *uintptr // nil
}

// perform is the child's life. It must not grow the stack, be preempted or call the runtime.
//
//go:nosplit
//go:norace
//go:nocheckptr
func perform(c *control) {
	for i := uintptr(0); i < c.count; i++ {
		c.at = i
		s := (*Step)(unsafe.Add(c.steps, i*unsafe.Sizeof(Step{})))
		if s.From != 0 {
			s.Args[0] = (*Step)(unsafe.Add(c.steps, (uintptr(s.From)-1)*unsafe.Sizeof(Step{}))).Result
		}
		ok := true
		switch s.Op {
		case Store:
			*(*uintptr)(s.Word) = s.Want
		case Compare:
			s.Result = uintptr(*(*uint32)(s.Word))
			ok = s.Result == s.Want
		default:
			s.Result = syscall6(s.Nr, s.Args[0], s.Args[1], s.Args[2], s.Args[3], s.Args[4], s.Args[5])
			ok = s.Op == Any || s.Op == Equal && s.Result == s.Want || s.Op == NoError && s.Result < ^uintptr(maxErrno-1)
		}
		if !ok && s.Again > 0 {
			s.Again--
			i = s.Back - 1 // from where the loop goes on by one, also where that is the first
			continue
		}
		if !ok {
			c.failed, c.result = 1, s.Result
			break
		}
	}
	const status = 125 // of a child that did not come to its exec
	syscall6(sysExitGroup, status, 0, 0, 0, 0, 0)
	// A filter denies it. A fault ends the child by a signal that is forced on it.
	*c.nowhere = 0
}

// Fails is the result of a call that fails with an errno, for Equal.
func Fails(errno syscall.Errno) uintptr { return -uintptr(errno) }
