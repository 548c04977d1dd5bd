package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runc/libcontainer/seccomp"
	"github.com/opencontainers/runc/libcontainer/specconv"
	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/compile"
	"monban/internal/ptrace"
	"monban/policy/lang"
	gate "monban/seccomp"
	"monban/verdict"
)

// catcher is the gate of the thread that runs runc's code: loading a filter asks us instead of the kernel.
const catcher = "arch native\ndefault allow\nunknown allow\nnotify prctl(option == 22 && arg1 == 2) # PR_SET_SECCOMP, filter mode\n"

// runcCompiler is the code with which runc puts a container behind a filter, up to the moment of loading: libseccomp with a binary
// tree, and runc's patch that answers ENOSYS to numbers that are too new. The thread believes that it loaded its filter.
func runcCompiler() compiler {
	return compiler{"runc (libseccomp)", true, func(r *Rules) (built, error) {
		config, err := specconv.SetupSeccomp(r.profile())
		if err != nil {
			return built{}, err
		}
		b, err := catch(config)
		b.unknown = scmpGaps(r)
		return b, err
	}}
}

// runcEnabled says whether runc's code was built with seccomp, which is its build tag.
func runcEnabled() error {
	if !seccomp.Enabled {
		return errors.New("this was built without runc's seccomp code: add -tags seccomp")
	}
	return nil
}

// catch runs runc's InitSeccomp on a thread of its own and takes the program out of the call that would load it.
func catch(config *configs.Seccomp) (b built, err error) {
	if err := runcEnabled(); err != nil {
		return b, err
	}
	p, err := lang.Load("catcher", []byte(catcher), lang.Options{})
	if err != nil {
		return b, err
	}
	v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		return b, err
	}
	program, err := compile.Program(v, binary.LittleEndian, compile.Options{})
	if err != nil {
		return b, err
	}
	var caught error
	ptrace.OwnThread(func() {
		if err = gate.NoNewPrivs(); err != nil {
			return
		}
		fd, e := gate.InstallListener(program, gate.SpecAllow)
		if err = e; err != nil {
			return
		}
		answered := make(chan struct{})
		var loaded time.Time
		go func() {
			defer close(answered)
			defer unix.Close(fd) // lets a call that got no answer fail
			b.program, loaded, caught = answer(fd)
		}()
		start := time.Now()
		_, err = seccomp.InitSeccomp(config)
		<-answered
		b.took = loaded.Sub(start)
	})
	return b, errors.Join(err, caught)
}

// notification is struct seccomp_notif, response struct seccomp_notif_resp (linux/seccomp.h).
type (
	notification struct {
		id         uint64
		pid, flags uint32
		nr, arch   uint32
		ip         uint64
		args       [6]uint64
	}
	response struct {
		id    uint64
		val   int64
		error int32
		flags uint32
	}
)

// The requests SECCOMP_IOCTL_NOTIF_RECV and SECCOMP_IOCTL_NOTIF_SEND.
const (
	notifRecv = 3<<30 | unsafe.Sizeof(notification{})<<16 | '!'<<8
	notifSend = 3<<30 | unsafe.Sizeof(response{})<<16 | '!'<<8 | 1
)

// answer waits for the call that loads a filter, copies the program and tells the caller that it is loaded.
func answer(fd int) (p bpf.Program, at time.Time, err error) {
	// Without a call within this time the thread has failed before it, and its error is the one to tell.
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000); n != 1 {
		return nil, at, fmt.Errorf("runc loaded no filter: %w", errors.Join(err, os.ErrDeadlineExceeded))
	}
	var n notification
	if err := ioctl(fd, notifRecv, unsafe.Pointer(&n)); err != nil {
		return nil, at, fmt.Errorf("hearing of the filter: %w", err)
	}
	at = time.Now()
	p, err = readProgram(n.args[2])
	r := response{id: n.id}
	return p, at, errors.Join(err, ioctl(fd, notifSend, unsafe.Pointer(&r)))
}

func ioctl(fd int, request uintptr, p unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(p)); errno != 0 {
		return errno
	}
	return nil
}

// readProgram copies a program that lies at a struct sock_fprog of ours. The kernel reads it, as the address came from there.
func readProgram(at uint64) (bpf.Program, error) {
	head := make([]byte, 16)
	if err := readSelf(head, at); err != nil {
		return nil, err
	}
	code := make([]byte, bpf.InstructionSize*int(binary.LittleEndian.Uint16(head)))
	if err := readSelf(code, binary.LittleEndian.Uint64(head[8:])); err != nil {
		return nil, err
	}
	return bpf.Read(bytes.NewReader(code), binary.LittleEndian)
}

func readSelf(buf []byte, at uint64) error {
	local := []unix.Iovec{{Base: &buf[0]}}
	local[0].SetLen(len(buf))
	n, err := unix.ProcessVMReadv(os.Getpid(), local, []unix.RemoteIovec{{Base: uintptr(at), Len: len(buf)}}, 0)
	if err == nil && n != len(buf) {
		err = unix.EFAULT
	}
	return err
}
