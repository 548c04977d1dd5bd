package sandbox

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/ptrace"
)

// With AllowExec nobody stops the program after its exec, so its process installs the gates before it. Go can't run code
// between fork and exec; this executable is started once more instead, under a name that init recognises, to install the
// gates and exec the program. From the first gate on it makes the calls seccomp (for further gates) and execve only.

// shimName is the arg 0 of that second start, and the thread's name until the exec.
const shimName = "monban-gate"

// Arguments of the second start. The gates follow, each in base64, then the program's own arguments.
const (
	shimStatus = 1 + iota // the descriptor to which an error is written
	shimFlags
	shimPath
	shimGates // how many
	shimFirst
)

// shimError is what the second start writes if it fails: which gate (from 0), or -1 for the exec, and the errno.
type shimError struct{ Gate, Errno int32 }

func init() {
	if len(os.Args) > shimFirst && os.Args[0] == shimName {
		shim(os.Args)
	}
}

// shim never returns.
func shim(args []string) {
	runtime.LockOSThread()
	number := func(i int) int {
		n, err := strconv.Atoi(args[i])
		if err != nil || n < 0 {
			os.Exit(125)
		}
		return n
	}
	status, flags, gates := number(shimStatus), number(shimFlags), number(shimGates)
	if len(args) < shimFirst+gates {
		os.Exit(125)
	}
	fail := func(gate int, errno syscall.Errno) {
		e := shimError{int32(gate), int32(errno)}
		_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(status), uintptr(unsafe.Pointer(&e)), unsafe.Sizeof(e))
		_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 125, 0, 0)
	}
	if _, err := unix.FcntlInt(uintptr(status), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
		os.Exit(125)
	}
	progs := make([]unix.SockFprog, gates)
	for i := range progs {
		raw, err := base64.StdEncoding.DecodeString(args[shimFirst+i])
		if err != nil || len(raw) == 0 {
			fail(i, unix.EINVAL)
		}
		progs[i].Len = uint16(len(raw) / 8)
		progs[i].Filter = (*unix.SockFilter)(unsafe.Pointer(&raw[0]))
	}
	path, err := syscall.BytePtrFromString(args[shimPath])
	if err != nil {
		fail(-1, unix.EINVAL)
	}
	argv, err := syscall.SlicePtrFromStrings(args[shimFirst+gates:])
	if err != nil {
		fail(-1, unix.EINVAL)
	}
	envv, err := syscall.SlicePtrFromStrings(os.Environ())
	if err != nil {
		fail(-1, unix.EINVAL)
	}
	filtered := ptrace.Filtered()
	// The runtime has raised the limit of open files; only syscall.Exec knows what it was, and an exec of nothing sets it
	// back before it fails.
	_ = syscall.Exec("", []string{""}, nil)
	// No garbage collection may begin between a gate and the exec.
	debug.SetGCPercent(-1)
	name := append([]byte(shimName), 0)
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name[0])), 0, 0, 0)

	for i := range progs {
		// Without an address it must be EFAULT: else a filter pretends success.
		_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(flags), 0)
		if errno != unix.EFAULT {
			fail(i, errno)
		}
		// Nor may it fake what it does with a filter that has one.
		if filtered || i > 0 {
			if n, err := ptrace.ProbeInstall(uintptr(flags), &progs[i]); err != nil || n != 0 {
				errno, _ := err.(syscall.Errno)
				fail(i, errno)
			}
		}
		_, _, errno = unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(flags),
			uintptr(unsafe.Pointer(&progs[i])))
		if errno != 0 {
			fail(i, errno)
		}
	}
	_, _, errno := unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&argv[0])),
		uintptr(unsafe.Pointer(&envv[0])))
	fail(-1, errno)
}

// doInside runs the program with its gates installed before the exec.
func (r *run) doInside() error {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	status := os.NewFile(uintptr(pipe[0]), "status")
	defer status.Close()
	pid, pidfd, err := r.forkShim(pipe[1])
	unix.Close(pipe[1])
	if err != nil {
		return fmt.Errorf("starting this executable once more, to install the gates: %w", err)
	}
	r.pid = pid
	r.did("started")
	r.jobs.start(r.ctx, pid, pidfd)
	if err := r.shimResult(status); err != nil {
		(&ptrace.Process{PID: pid}).Kill()
		return err
	}
	r.did("gated")
	return r.wait()
}

func (r *run) forkShim(status int) (pid, pidfd int, err error) {
	attr := r.procAttr()
	at, err := inherited(&attr.Files)
	if err != nil {
		return 0, -1, err
	}
	attr.Files[at] = uintptr(status)
	argv := []string{shimName, strconv.Itoa(at), strconv.Itoa(int(r.Flags)), r.path, strconv.Itoa(len(r.Gates))}
	for _, g := range r.Gates {
		argv = append(argv, encodeGate(g))
	}
	argv = append(argv, r.argv()...)
	pidfd = -1
	attr.Sys = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, PidFD: &pidfd}
	pid, err = syscall.ForkExec("/proc/self/exe", argv, attr)
	return pid, pidfd, err
}

// encodeGate writes a program as struct sock_filter, in base64: a gate can be passed as an argument (at most 44 KiB).
func encodeGate(p bpf.Program) string {
	var raw []byte
	for _, in := range p {
		raw = binary.NativeEndian.AppendUint16(raw, in.Code)
		raw = append(raw, in.Jt, in.Jf)
		raw = binary.NativeEndian.AppendUint32(raw, in.K)
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// inherited extends files with the descriptors above 2 that an exec keeps, each at its number, and one free place, whose
// number it returns. The others are closed, as the exec would.
func inherited(files *[]uintptr) (int, error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= 2 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
			continue
		}
		for len(*files) <= fd {
			*files = append(*files, ^uintptr(0))
		}
		(*files)[fd] = uintptr(fd)
	}
	*files = append(*files, 0)
	return len(*files) - 1, nil
}

// shimResult reads what became of the second start.
func (r *run) shimResult(status io.Reader) error {
	var e shimError
	err := binary.Read(status, binary.NativeEndian, &e)
	if errors.Is(err, io.EOF) {
		// The exec closed the pipe, or the process died with it open; then its name is still ours.
		if t := readTask(r.pid); t.comm == shimName {
			return fmt.Errorf("%s was not started: installing the gates or the execve after it was killed; "+
				"with --allow-exec the gates must allow execve", r.path)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("starting %s: %w", r.path, err)
	}
	errno := syscall.Errno(e.Errno)
	if e.Gate >= 0 && errno == 0 {
		return r.gateError(int(e.Gate), ptrace.ErrFaked)
	}
	if e.Gate >= 0 {
		return r.gateError(int(e.Gate), errno)
	}
	if errno == unix.EPERM || errno == unix.ENOSYS {
		return fmt.Errorf("%s was not started: execve: %w; with --allow-exec the gates must allow execve", r.path, errno)
	}
	return r.execError(r.path, errno)
}
