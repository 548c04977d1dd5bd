package seccomp

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/ptrace"
	"monban/internal/sys"
)

// A probe tries a feature for real.
type probe struct {
	feature Feature
	detail  string // what it is for
	since   string // the Linux release
	needs   string // what else
	try     func() (seen string, err error)
}

// run tries the feature.
func (p *probe) run() Support {
	seen, err := p.try()
	if seen == "" {
		seen = p.detail
	}
	return Support{Feature: p.feature, Detail: seen, Since: p.since, Err: err}
}

// probes are all there are, in the order of Features. Needs is said only where a recent kernel may lack the feature all
// the same.
var probes = sync.OnceValue(func() []probe {
	const root = "CAP_SYS_ADMIN in the first user namespace"
	all := []probe{
		{FeatureFilterMode, "seccomp(2)", "3.5, seccomp(2) 3.17", "CONFIG_SECCOMP_FILTER", tryFilterMode},
		{FeatureStrictMode, "the kernel's own: read, write, exit, sigreturn", "2.6.12", "that ptrace is allowed", inVictim(tryStrict)},
		{FeatureNoNewPrivs, "", "3.5", "", tryNoNewPrivs},
		{FeatureUnprivileged, "a filter without CAP_SYS_ADMIN, after no_new_privs", "3.5", "", onThread(tryUnprivileged)},
		{FeatureTSYNC, "bind all threads at once", "3.17", "", withFlags(TSYNC)},
		{FeatureLOG, "log what is not allowed", "4.14", "", withFlags(LOG)},
		{FeatureSpecAllow, "leave speculation mitigations off", "4.17", "", withFlags(SpecAllow)},
		{FeatureNewListener, "answer calls from another process (notify)", "5.0", "", withFlags(NewListener)},
		{FeatureTSYNCErrno, "TSYNC together with a listener", "5.7", "", withFlags(TSYNCErrno)},
		{FeatureWaitKillableRecv, "don't interrupt a received notification", "5.19", "", withFlags(WaitKillableRecv | NewListener)},
	}
	for _, a := range bpf.Actions() {
		all = append(all, probe{ActionFeature(a), "", a.Since(), "", func() (string, error) { return "", tryAction(a) }})
	}
	all = append(all,
		probe{FeatureNotificationSizes, "", "5.0", "", tryNotificationSizes},
		probe{FeatureAddFD, "SECCOMP_IOCTL_NOTIF_ADDFD: give a supervised process a file", "5.9", "", onListener(tryAddFD(0))},
		probe{FeatureReturnFD, "SECCOMP_ADDFD_FLAG_SEND: and return its number in one step", "5.14", "",
			onListener(tryAddFD(unix.SECCOMP_ADDFD_FLAG_SEND))},
		probe{FeatureSyncWakeUp, "SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP: faster answers", "6.6", "", onListener(func(fd int) error {
			return sys.SetListenerFlags(fd, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
		})},
		probe{FeaturePtrace, "", "", "that Yama (kernel.yama.ptrace_scope), a container or an outer sandbox allows it", tryPtrace},
		probe{FeatureDump, "PTRACE_SECCOMP_GET_FILTER", "4.4", "CONFIG_CHECKPOINT_RESTORE, " + root + ", and no filter of one's own", inVictim(tryGetFilter)})
	all = append(all, foreignCalls...)
	return append(all,
		probe{FeatureUserNamespaces, "", "3.8", "that user.max_user_namespaces and security modules allow it", inVictim(tryUserNamespace)},
		probe{FeatureLandlock, "another, file-aware layer to combine with", "5.13", "landlock among the security modules (lsm=)", tryLandlock},
		probe{FeatureLoggedActions, "", "4.14", "", setting("kernel.seccomp.actions_logged")},
		probe{FeatureBPFCompiler, "", "3.0", "CONFIG_BPF_JIT", setting("net.core.bpf_jit_enable")})
})

// Features probes what this kernel, as seen from this process, offers. Each is tried, none concluded from a version:
// with arguments that the kernel refuses for a telling reason, on a thread that ends with the probe, or in a child that
// is killed before its first instruction. Nothing of it stays on the caller. It takes some milliseconds.
func Features() []Support {
	var out []Support
	for _, p := range probes() {
		out = append(out, p.run())
	}
	return out
}

// known are the answers of Have, by feature; nil: it is there.
var known sync.Map

// Have returns nil for a feature that is there, as [Features] tries it, and else a *[MissingError], which says what it
// takes. It is tried once in the life of a process: what privileges or a filter change later the answer does not tell.
// (What only memory, processes or descriptors were lacking for is tried again the next time.)
func Have(f Feature) error {
	if answer, ok := known.Load(f); ok {
		err, _ := answer.(error)
		return err
	}
	for _, p := range probes() {
		if p.feature != f {
			continue
		}
		s := p.run()
		var err error
		if s.Err != nil {
			err = &MissingError{f, p.since, p.needs, s.Err}
		}
		if !passing(s.Err) {
			known.Store(f, err)
		}
		return err
	}
	return &MissingError{Feature: f, Err: errors.New("no probe on this architecture has that name")}
}

// passing says of an error that it tells of a moment, not of the kernel.
func passing(err error) bool {
	for _, errno := range []unix.Errno{unix.EAGAIN, unix.ENOMEM, unix.EMFILE, unix.ENFILE, unix.EINTR, unix.ETIMEDOUT} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// withFlags offers the kernel a filter without an address: it looks at the flags first, then at the address.
func withFlags(f Flags) func() (string, error) {
	return func() (string, error) {
		_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(f), 0)
		switch errno {
		case unix.EFAULT:
			return "", nil
		case 0:
			return "", errors.New("a filter around this process answers seccomp(2) in the kernel's place")
		}
		return "", errno
	}
}

func tryFilterMode() (seen string, err error) {
	if mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0); err == nil && mode != 0 {
		seen = "seccomp(2); this process is behind a filter itself"
	}
	_, err = withFlags(0)()
	return seen, err
}

// tryAction asks for an action that no kernel knows first: the same call, but for what is in memory. Who says yes to
// that has not looked there.
func tryAction(a bpf.Action) error {
	const unknown = 0x7ffe0000
	action := new(uint32)
	ask := func(a uint32) unix.Errno {
		*action = a
		_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(action)))
		return errno
	}
	if ask(unknown) == 0 {
		return errors.New("a filter around this process answers seccomp(2) in the kernel's place")
	}
	if errno := ask(uint32(a)); errno != 0 {
		return errno // EOPNOTSUPP; EINVAL before Linux 4.14, which can't tell
	}
	return nil
}

func tryNotificationSizes() (seen string, err error) {
	sizes, err := sys.NotificationSizes()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("notification %d bytes, response %d, data %d", sizes.Notification, sizes.Response, sizes.Data), nil
}

var allowAll = bpf.Program{{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)}}

// onThread runs a probe on a thread that ends with it, and with it its filters and privileges.
func onThread(try func() error) func() (string, error) {
	return func() (_ string, err error) {
		if lost := ptrace.OwnThread(func() { err = try() }); lost != nil {
			return "", lost
		}
		return "", err
	}
}

func tryNoNewPrivs() (seen string, err error) {
	if n, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err == nil {
		seen = fmt.Sprintf("on this process: %d", n)
	}
	_, err = onThread(NoNewPrivs)()
	return seen, err
}

func tryUnprivileged() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("giving up capabilities: %w", err)
	}
	if err := NoNewPrivs(); err != nil {
		return err
	}
	return Install(allowAll, 0)
}

// onListener asks a listener that has nothing to tell about one of its operations.
func onListener(try func(fd int) error) func() (string, error) {
	return onThread(func() error {
		if err := NoNewPrivs(); err != nil {
			return err
		}
		fd, err := install(allowAll, NewListener)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return try(fd)
	})
}

func tryAddFD(flags uint32) func(fd int) error {
	return func(fd int) error {
		_, err := sys.AddFD{Flags: flags, Source: uint32(fd)}.Add(fd)
		switch err {
		case unix.ENOENT: // there is no notification 0
			return nil
		case nil:
			return errors.New("the kernel accepted a notification that does not exist")
		}
		return err
	}
}

func tryLandlock() (seen string, err error) {
	n, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return "", errno
	}
	return fmt.Sprintf("ABI %d", n), nil
}

// setting is there if it can be read.
func setting(name string) func() (string, error) {
	return func() (string, error) { return sys.Setting(name) }
}

func yamaState() string {
	scope, err := sys.Setting("kernel.yama.ptrace_scope")
	if err != nil {
		return "no Yama"
	}
	means := map[string]string{"0": "any process of the user", "1": "descendants only", "2": "root only", "3": "none"}
	return fmt.Sprintf("kernel.yama.ptrace_scope %s: %s", scope, means[scope])
}

// inVictim runs a probe on a child that stands before its first instruction and never executes it.
func inVictim(try func(*ptrace.Process) error) func() (string, error) {
	return onThread(func() error {
		p, err := ptrace.Start("/proc/self/exe", []string{"monban"}, &syscall.ProcAttr{})
		if err != nil {
			return err
		}
		defer p.Kill()
		return try(p)
	})
}

func tryPtrace() (seen string, err error) {
	_, err = inVictim(tryControl)()
	return yamaState(), err
}

// tryControl makes sure of what package sandbox needs: not only the trace, but control of the registers.
func tryControl(p *ptrace.Process) error {
	_, err := ptrace.NewInjection(p.Image)
	return err
}

func tryStrict(p *ptrace.Process) error {
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

func tryGetFilter(p *ptrace.Process) error {
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

func tryUserNamespace(p *ptrace.Process) error {
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
