package seccomp

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/ptrace"
)

// Features probes what this kernel, as seen from this process, offers. Each is tried, none concluded from a version: with
// arguments that the kernel refuses for a telling reason, on a thread that ends with the probe, or in a child that is
// killed before its first instruction. Nothing of it stays on the caller. It takes some milliseconds.
func Features() []Feature {
	fs := []Feature{probeFilterMode()}
	fs = append(fs, probeInVictim("strict mode", "the kernel's own: read, write, exit, sigreturn", "2.6.12", probeStrict),
		probeNoNewPrivs(), probeUnprivileged())
	for _, f := range []struct {
		flag          Flags
		with          Flags // without which the kernel refuses it
		since, detail string
	}{
		{TSYNC, 0, "3.17", "bind all threads at once"},
		{LOG, 0, "4.14", "log what is not allowed"},
		{SpecAllow, 0, "4.17", "leave speculation mitigations off"},
		{NewListener, 0, "5.0", "answer calls from another process (notify)"},
		{TSYNCErrno, 0, "5.7", "TSYNC together with a listener"},
		{WaitKillableRecv, NewListener, "5.19", "don't interrupt a received notification"},
	} {
		fs = append(fs, Feature{Name: "flag " + f.flag.String(), Detail: f.detail, Since: f.since}.
			verdict(probeFlags(f.flag|f.with)))
	}
	for _, a := range bpf.Actions() {
		fs = append(fs, Feature{Name: "action " + a.Name(), Since: a.Since()}.verdict(probeAction(a)))
	}
	fs = append(fs, probeNotifSizes())
	fs = append(fs, probeListener()...)
	fs = append(fs, probeInVictim("ptrace", yamaState(), "", probeControl))
	fs = append(fs, probeInVictim("dump of filters", "PTRACE_SECCOMP_GET_FILTER", "4.4", probeGetFilter))
	fs = append(fs, foreignCalls()...)
	return append(fs, probeInVictim("user namespaces", "", "3.8", probeUserNamespace), probeLandlock(),
		probeFile("logged actions", "/proc/sys/kernel/seccomp/actions_logged", "4.14"),
		probeFile("BPF compiler", "/proc/sys/net/core/bpf_jit_enable", "3.0"))
}

// verdict completes a feature with how its probe went.
func (f Feature) verdict(err error) Feature {
	f.OK, f.Err = err == nil, err
	return f
}

// probeFlags offers the kernel a filter without an address: it looks at the flags first, then at the address.
func probeFlags(f Flags) error {
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(f), 0)
	switch errno {
	case unix.EFAULT:
		return nil
	case 0:
		return errors.New("a filter around this process answers seccomp(2) in the kernel's place")
	}
	return errno
}

func probeFilterMode() Feature {
	f := Feature{Name: "filter mode", Detail: "seccomp(2)", Since: "3.5, seccomp(2) 3.17"}
	if mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0); err == nil && mode != 0 {
		f.Detail += "; this process is behind a filter itself"
	}
	return f.verdict(probeFlags(0))
}

func probeAction(a bpf.Action) error {
	action := uint32(a)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	if errno != 0 {
		return errno // EOPNOTSUPP; EINVAL before Linux 4.14, which can't tell
	}
	return nil
}

func probeNotifSizes() Feature {
	f := Feature{Name: "notification sizes", Since: "5.0"}
	var sizes struct{ notif, resp, data uint16 } // struct seccomp_notif_sizes
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_NOTIF_SIZES, 0, uintptr(unsafe.Pointer(&sizes)))
	if errno != 0 {
		return f.verdict(errno)
	}
	f.Detail = fmt.Sprintf("notification %d bytes, response %d, data %d", sizes.notif, sizes.resp, sizes.data)
	return f.verdict(nil)
}

var allowAll = bpf.Program{{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)}}

// onThread runs a probe on a thread that ends with it, and with it its filters and privileges.
func onThread(probe func() error) (err error) {
	if lost := ptrace.OwnThread(func() { err = probe() }); lost != nil {
		return lost
	}
	return err
}

func probeNoNewPrivs() Feature {
	f := Feature{Name: "no_new_privs", Since: "3.5"}
	if n, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err == nil {
		f.Detail = fmt.Sprintf("on this process: %d", n)
	}
	return f.verdict(onThread(NoNewPrivs))
}

func probeUnprivileged() Feature {
	f := Feature{Name: "unprivileged install", Detail: "a filter without CAP_SYS_ADMIN, after no_new_privs", Since: "3.5"}
	return f.verdict(onThread(func() error {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			return fmt.Errorf("giving up capabilities: %w", err)
		}
		if err := NoNewPrivs(); err != nil {
			return err
		}
		return Install(allowAll, 0)
	}))
}

// probeListener asks a listener that has nothing to tell about its operations.
func probeListener() []Feature {
	addfd := Feature{Name: "add descriptors", Since: "5.9",
		Detail: "SECCOMP_IOCTL_NOTIF_ADDFD: give a supervised process a file"}
	send := Feature{Name: "add and answer", Since: "5.14",
		Detail: "SECCOMP_ADDFD_FLAG_SEND: and return its number in one step"}
	wake := Feature{Name: "synchronous wake-up", Since: "6.6",
		Detail: "SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP: faster answers"}
	_ = onThread(func() error {
		fail := func(err error) error {
			addfd, send, wake = addfd.verdict(err), send.verdict(err), wake.verdict(err)
			return nil
		}
		if err := NoNewPrivs(); err != nil {
			return fail(err)
		}
		fd, err := InstallListener(allowAll, 0)
		if err != nil {
			return fail(err)
		}
		defer unix.Close(fd)
		add := func(flags uint32) error {
			arg := struct { // struct seccomp_notif_addfd
				id                               uint64
				flags, src, target, newFileFlags uint32
			}{flags: flags, src: uint32(fd)}
			_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_ADDFD, uintptr(unsafe.Pointer(&arg)))
			switch errno {
			case unix.ENOENT: // there is no notification 0
				return nil
			case 0:
				return errors.New("the kernel accepted a notification that does not exist")
			}
			return errno
		}
		addfd, send = addfd.verdict(add(0)), send.verdict(add(unix.SECCOMP_ADDFD_FLAG_SEND))
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS,
			unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
		if errno != 0 {
			wake = wake.verdict(errno)
			return nil
		}
		wake = wake.verdict(nil)
		return nil
	})
	return []Feature{addfd, send, wake}
}

func probeLandlock() Feature {
	f := Feature{Name: "Landlock", Detail: "another, file-aware layer to combine with", Since: "5.13"}
	n, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return f.verdict(errno)
	}
	f.Detail = fmt.Sprintf("ABI %d", n)
	return f.verdict(nil)
}

func probeFile(name, path, since string) Feature {
	content, err := os.ReadFile(path)
	return Feature{Name: name, Detail: string(bytes.TrimSpace(content)), Since: since}.verdict(err)
}

func yamaState() string {
	scope, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	if err != nil {
		return "no Yama"
	}
	means := map[string]string{"0": "any process of the user", "1": "descendants only", "2": "root only", "3": "none"}
	s := strings.TrimSpace(string(scope))
	return fmt.Sprintf("kernel.yama.ptrace_scope %s: %s", s, means[s])
}

// probeInVictim runs a probe on a child that stands before its first instruction and never executes it.
func probeInVictim(name, detail, since string, probe func(*ptrace.Process) error) Feature {
	f := Feature{Name: name, Detail: detail, Since: since}
	return f.verdict(onThread(func() error {
		p, err := ptrace.Start("/proc/self/exe", []string{"monban"}, &syscall.ProcAttr{})
		if err != nil {
			return err
		}
		defer p.Kill()
		return probe(p)
	}))
}

// probeControl makes sure of what package sandbox needs: not only the trace, but control of the registers.
func probeControl(p *ptrace.Process) error {
	_, err := ptrace.NewInjection(p.Image)
	return err
}

func probeStrict(p *ptrace.Process) error {
	in, err := ptrace.NewInjection(p.Image)
	if err != nil {
		return err
	}
	if err := in.Do(ptrace.Prctl, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_STRICT); err != nil {
		return err
	}
	_, err = in.Call(ptrace.Getpid)
	if ended := (*ptrace.EndedError)(nil); errors.As(err, &ended) && ended.Event.Status.Signal() == unix.SIGKILL {
		p.PID = 0 // reaped
		return nil
	}
	return fmt.Errorf("a process in strict mode could call getpid (%v)", err)
}

func probeGetFilter(p *ptrace.Process) error {
	in, err := ptrace.NewInjection(p.Image)
	if errors.Is(err, errors.ErrUnsupported) {
		// The child has no filter, which the kernel sees after it has checked whether we may ask.
		if _, err := ptrace.Filter(p.PID, 0); err != unix.EINVAL {
			return err
		}
		return nil
	}
	if err != nil {
		return err
	}
	if err := in.Do(ptrace.Prctl, unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return err
	}
	if err := in.InstallFilter(allowAll, 0); err != nil {
		return err
	}
	_, err = filters(p.PID)
	return err
}

func probeUserNamespace(p *ptrace.Process) error {
	in, err := ptrace.NewInjection(p.Image)
	if errors.Is(err, errors.ErrUnsupported) {
		// A child in a new namespace that execs the empty path: ENOENT, once there is a child.
		pid, err := syscall.ForkExec("", []string{""}, &syscall.ProcAttr{
			Sys: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, Pdeathsig: unix.SIGKILL},
		})
		switch {
		case err == unix.ENOENT:
			return nil
		case err == nil: // killed before it could say so
			_, _ = ptrace.Wait(pid, 0)
			return errors.New("a child in a user namespace does not reach its exec")
		}
		return err
	}
	if err != nil {
		return err
	}
	return in.Do(ptrace.Unshare, unix.CLONE_NEWUSER)
}
