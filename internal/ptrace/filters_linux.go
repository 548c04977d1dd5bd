package ptrace

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrFaked means that seccomp(2) reported success and installed nothing.
var ErrFaked = errors.New("the kernel said that the filter was installed, but it is not there: " +
	"an outer sandbox fakes the answer")

// Filters is what /proc/PID/status tells of a thread's seccomp state.
type Filters struct {
	Mode  int // Seccomp: 0 none, 1 strict mode, 2 filters
	Count int // Seccomp_filters (Linux 5.9); -1: not told
}

// ReadFilters reads the seccomp state of a child. It is an error if /proc is missing or that of another PID namespace.
func ReadFilters(pid int) (Filters, error) {
	self, err := os.Readlink("/proc/self")
	if err != nil {
		return Filters{}, err
	}
	if self != strconv.Itoa(unix.Getpid()) {
		return Filters{}, errors.New("/proc belongs to another PID namespace")
	}
	return readFilters(fmt.Sprintf("/proc/%d/status", pid))
}

func readFilters(path string) (Filters, error) {
	f, err := os.Open(path)
	if err != nil {
		return Filters{}, err
	}
	defer f.Close()
	s := Filters{Mode: -1, Count: -1}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		k, v, _ := strings.Cut(lines.Text(), ":")
		n, err := strconv.Atoi(strings.TrimSpace(v))
		switch {
		case err != nil:
		case k == "Seccomp":
			s.Mode = n
		case k == "Seccomp_filters":
			s.Count = n
		}
	}
	if err := lines.Err(); err != nil {
		return Filters{}, err
	}
	if s.Mode < 0 {
		return Filters{}, fmt.Errorf("%s does not tell the seccomp mode", path)
	}
	return s, nil
}

// CheckInstalled says whether one filter more is there than before: nil or ErrFaked. A kernel that doesn't count filters
// can say so of the first one only.
func (s Filters) CheckInstalled(before Filters) error {
	switch {
	case s.Mode != unix.SECCOMP_MODE_FILTER:
		return ErrFaked
	case s.Count >= 0 && s.Count != before.Count+1:
		return ErrFaked
	case s.Count < 0 && before.Mode != 0:
		return errors.New("it cannot be seen whether the filter was installed: there was one before, " +
			"and filters are counted since Linux 5.9")
	}
	return nil
}

// Filtered says whether the calling thread may be behind a filter. It asks the kernel in two ways, as a filter may fake
// the answer of prctl(2).
func Filtered() bool {
	if mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0); err != nil || mode != 0 {
		return true
	}
	s, err := readFilters("/proc/thread-self/status")
	return err == nil && s.Mode != 0
}

// ProbeInstall finds out whether seccomp(2) with these flags installs what it says, for a thread that is behind a filter
// and must not open files any more. It installs a filter for good, which answers just one call that nobody else makes with
// an errno chosen at random, and then makes that call: it needs no other than seccomp(2). prog is the struct that the real
// installation will use, so that a filter which judges by the pointer can't tell one from the other. The error is an
// errno, or ErrFaked; n is seccomp's result, with TSYNC a thread that stood in the way.
func ProbeInstall(flags uintptr, prog *unix.SockFprog) (n uintptr, err error) {
	// An address of the kernel's half, odd: EFAULT if the call gets through.
	addr := ^uintptr(0) - uintptr(rand.IntN(1<<15))<<1
	answer := uint32(2000 + rand.IntN(2000)) // below MAX_ERRNO and above those that exist
	var arg [8]byte
	binary.NativeEndian.PutUint64(arg[:], uint64(addr))
	word := binary.NativeEndian.Uint32
	const (
		load    = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		ifEqual = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ret     = unix.BPF_RET | unix.BPF_K
		nr      = 0           // offsets in struct seccomp_data
		arg2    = 16 + 2*8    //
		errno   = 0x0005_0000 // SECCOMP_RET_ERRNO
		allow   = 0x7fff_0000 // SECCOMP_RET_ALLOW
	)
	probe := []unix.SockFilter{
		{Code: load, K: nr},
		{Code: ifEqual, Jf: 5, K: unix.SYS_SECCOMP},
		{Code: load, K: arg2},
		{Code: ifEqual, Jf: 3, K: word(arg[:4])},
		{Code: load, K: arg2 + 4},
		{Code: ifEqual, Jf: 1, K: word(arg[4:])},
		{Code: ret, K: errno | answer},
		{Code: ret, K: allow},
	}
	saved := *prog
	prog.Len, prog.Filter = uint16(len(probe)), &probe[0]
	n, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(prog)))
	runtime.KeepAlive(probe)
	*prog = saved
	switch {
	case e != 0:
		return 0, e
	case n != 0:
		return n, nil
	}
	if _, _, e = unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, addr); e != unix.Errno(answer) {
		return 0, ErrFaked
	}
	return 0, nil
}
