package seccomp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/ptrace"
	"monban/internal/sys"
)

// asking hands getpriority over.
var asking = bpf.Program{
	{Code: bpf.LD | bpf.W | bpf.ABS, K: bpf.OffsetNr},
	{Code: bpf.JMP | bpf.JEQ | bpf.K, Jf: 1, K: unix.SYS_GETPRIORITY},
	{Code: bpf.RET | bpf.K, K: uint32(bpf.Notify)},
	{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)},
}

func init() {
	// Asks for a priority for each line that it reads, and says what it got; of a descriptor also what is in the file.
	deeds["ask"] = func() {
		signal.Notify(make(chan os.Signal, 1), unix.SIGUSR1)
		ptrace.OwnThread(func() {
			check(NoNewPrivs())
			var flags Flags
			if Have(FeatureWaitKillableRecv) == nil {
				flags = WaitKillableRecv
			}
			fd, err := install(asking, NewListener|flags)
			check(err)
			fmt.Println("listener", fd, unix.Gettid())
			for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
				var who int
				if lines.Text() == "close" {
					check(unix.Close(fd))
					continue
				}
				_, err := fmt.Sscan(lines.Text(), &who)
				check(err)
				r, _, errno := unix.Syscall(unix.SYS_GETPRIORITY, 1, uintptr(who), 0)
				var text []byte
				if r > 2 && r < 100 { // not the pipe that it reads from
					text, _ = os.ReadFile(fmt.Sprintf("/proc/self/fd/%d", r))
				}
				switch {
				case errno != 0:
					fmt.Println("errno", int(errno))
				case strings.HasPrefix(string(text), "content"):
					flags, err := unix.FcntlInt(r, unix.F_GETFD, 0)
					check(err)
					fmt.Println(string(text), "close-on-exec", flags)
				default:
					fmt.Println("result", int(r))
				}
			}
		})
	}
	// On threads behind filters that answer the ioctl that receives: by success, by ENOENT, by EINTR.
	deeds["faked listener"] = func() {
		var l *Listener
		calling := make(chan struct{})
		go ptrace.OwnThread(func() {
			check(NoNewPrivs())
			var err error
			l, err = InstallListener(asking, 0)
			check(err)
			close(calling)
			unix.Syscall(unix.SYS_GETPRIORITY, 0, 0, 0) // not RawSyscall: it waits for ever
		})
		<-calling
		for _, errno := range []unix.Errno{0, unix.EINTR, unix.ENOENT} {
			ptrace.OwnThread(func() {
				check(NoNewPrivs())
				check(Install(bpf.Program{
					{Code: bpf.LD | bpf.W | bpf.ABS, K: bpf.OffsetNr},
					{Code: bpf.JMP | bpf.JEQ | bpf.K, Jf: 3, K: unix.SYS_IOCTL},
					{Code: bpf.LD | bpf.W | bpf.ABS, K: bpf.OffsetArgs + 8},
					{Code: bpf.JMP | bpf.JEQ | bpf.K, Jf: 1, K: unix.SECCOMP_IOCTL_NOTIF_RECV},
					{Code: bpf.RET | bpf.K, K: uint32(bpf.Errno) | uint32(errno)},
					{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)},
				}, 0))
				_, err := l.Receive(context.Background())
				report(fmt.Sprint(int(errno)), errors.Is(err, sys.ErrAnswered))
			})
		}
	}
}

// Who answers in the kernel's place is found out, and nobody waits for him for ever.
func TestFakedListener(t *testing.T) {
	if err := Have(FeatureNewListener); err != nil {
		t.Skipf("needs notifications: %v", err)
	}
	if got := deed(t, "faked listener"); got != "0: true\n4: true\n2: true\n" {
		t.Error(got)
	}
}

// An asker is the process of the deed "ask".
type asker struct {
	*Listener
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	tid int
}

func newAsker(t *testing.T) *asker {
	t.Helper()
	if err := Have(FeatureNewListener); err != nil {
		t.Skipf("needs notifications: %v", err)
	}
	a := &asker{cmd: exec.Command("/proc/self/exe")}
	a.cmd.Env = append(os.Environ(), deedEnv+"=ask")
	a.cmd.Stderr = os.Stderr
	in, err := a.cmd.StdinPipe()
	out, err2 := a.cmd.StdoutPipe()
	if err := errors.Join(err, err2, a.cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.cmd.Process.Kill(); a.cmd.Wait() })
	a.in, a.out = in, bufio.NewReader(out)
	var fd int
	if _, err := fmt.Sscanf(a.says(t), "listener %d %d", &fd, &a.tid); err != nil {
		t.Fatal(err)
	}
	pidfd, err := unix.PidfdOpen(a.cmd.Process.Pid, 0)
	if err != nil {
		t.Skipf("needs pidfd_open: %v", err)
	}
	defer unix.Close(pidfd)
	mine, err := unix.PidfdGetfd(pidfd, fd, 0)
	if err != nil {
		t.Skipf("needs pidfd_getfd: %v", err)
	}
	if a.Listener, err = OpenListener(mine); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	a.ask(t, "close") // ours is the only one
	return a
}

func (a *asker) ask(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(a.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

func (a *asker) says(t *testing.T) string {
	t.Helper()
	line, err := a.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(line, "\n")
}

// receive receives the call that asks for who.
func (a *asker) receive(t *testing.T, who int) *Notification {
	t.Helper()
	a.ask(t, fmt.Sprint(who))
	n, err := a.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n.TID != a.tid || n.Call.Nr != unix.SYS_GETPRIORITY || n.Call.Args[0] != 1 || n.Call.Args[1] != uint64(who) || n.Call.Arch == 0 || n.Call.IP == 0 {
		t.Fatalf("%+v", n)
	}
	return n
}

func TestListener(t *testing.T) {
	a := newAsker(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	io.WriteString(w, "content of a pipe")
	w.Close()
	var at int
	for i, c := range []struct {
		answer func(n *Notification) error
		want   string
	}{
		{func(n *Notification) error { return n.Return(177) }, "result 177"},
		{func(n *Notification) error { return n.Return(-5000) }, "result -5000"},
		{func(n *Notification) error { return n.Fail(unix.EXDEV) }, fmt.Sprint("errno ", int(unix.EXDEV))},
		{func(n *Notification) error { return n.Fail(4094) }, "errno 4094"},
		{func(n *Notification) error { return n.Continue() }, "errno 3"}, // there is no such process group
		{func(n *Notification) error { return errors.Join(n.Valid(), n.Return(0)) }, "result 0"},
		{func(n *Notification) (err error) {
			if at, err = n.AddFD(int(r.Fd()), Placement{CloseOnExec: true}); err != nil {
				return err
			}
			return n.Return(int64(at))
		}, "content of a pipe close-on-exec 1"},
		{func(n *Notification) error {
			null, err := os.Open(os.DevNull)
			if err != nil {
				return err
			}
			defer null.Close()
			got, err := n.AddFD(int(null.Fd()), Placement{Replace: true, Number: at})
			if err != nil || got != at {
				return fmt.Errorf("replaced %d: %d, %w", at, got, err)
			}
			return n.Return(int64(at))
		}, "at"},
		{func(n *Notification) error {
			file, err := os.CreateTemp(t.TempDir(), "")
			if err != nil {
				return err
			}
			defer file.Close()
			io.WriteString(file, "content of a file")
			file.Seek(0, io.SeekStart)
			switch _, err = n.ReturnFD(int(file.Fd()), Placement{}); {
			case Have(FeatureReturnFD) == nil:
				return err
			case !errors.Is(err, errors.ErrUnsupported):
				return fmt.Errorf("without SECCOMP_ADDFD_FLAG_SEND: %w", err)
			}
			number, err := n.AddFD(int(file.Fd()), Placement{})
			return errors.Join(err, n.Return(int64(number)))
		}, "content of a file close-on-exec 0"},
		// What would be taken for something else is not sent, and the call waits on.
		{func(n *Notification) error {
			for _, err := range []error{n.Fail(0), n.Fail(4096), n.Fail(1 << 20), n.Return(-1), n.Return(-4095)} {
				if !errors.Is(err, unix.EINVAL) {
					return fmt.Errorf("it was sent: %w", err)
				}
			}
			return n.Return(105)
		}, "result 105"},
		{func(n *Notification) error {
			if _, err := n.AddFD(1<<20, Placement{}); !errors.Is(err, unix.EBADF) {
				return fmt.Errorf("a descriptor that is not there: %w", err)
			}
			return n.Return(106)
		}, "result 106"},
		// A second answer is none.
		{func(n *Notification) error {
			err := n.Return(107)
			for _, again := range []error{n.Return(8), n.Fail(unix.EPERM), n.Continue()} {
				if !errors.Is(again, ErrGone) {
					return fmt.Errorf("answered again: %w", again)
				}
			}
			return err
		}, "result 107"},
	} {
		n := a.receive(t, 1<<30+i)
		if err := c.answer(n); err != nil {
			t.Errorf("%d: %v", i, err)
		}
		want := c.want
		if want == "at" {
			want = fmt.Sprint("result ", at)
		}
		if got := a.says(t); got != want {
			t.Errorf("%d: it got %s, not %s", i, got, want)
		}
		if err := n.Valid(); !errors.Is(err, ErrGone) {
			t.Errorf("%d: answered, and it is valid: %v", i, err)
		}
	}
}

// A signal does not take back a call that was received, where the kernel can do that.
func TestListenerSignal(t *testing.T) {
	a := newAsker(t)
	if err := Have(FeatureWaitKillableRecv); err != nil {
		t.Skipf("needs Linux 5.19: %v", err)
	}
	n := a.receive(t, 1)
	if err := unix.Tgkill(a.cmd.Process.Pid, a.tid, unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond) // in which it would be taken back
	if s, err := sys.ReadStatus(a.tid); err != nil || s.PendingSignals&(1<<(unix.SIGUSR1-1)) == 0 {
		t.Errorf("the signal is not pending: %+v, %v", s, err)
	}
	if err := errors.Join(n.Valid(), n.Return(109)); err != nil {
		t.Error(err)
	}
	if got := a.says(t); got != "result 109" {
		t.Error(got)
	}
}

// The target dies while it waits: nothing is left to answer, and then nobody is left.
func TestListenerDeath(t *testing.T) {
	a := newAsker(t)
	n := a.receive(t, 1)
	a.cmd.Process.Kill()
	a.cmd.Wait()
	_, added := n.AddFD(0, Placement{})
	_, returned := n.ReturnFD(0, Placement{})
	for what, err := range map[string]error{"valid": n.Valid(), "return": n.Return(1), "fail": n.Fail(unix.EPERM),
		"continue": n.Continue(), "add": added, "return a descriptor": returned} {
		if !errors.Is(err, ErrGone) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n, err := a.Receive(t.Context()); err != io.EOF {
		t.Errorf("%+v, %v", n, err)
	}
}

// A wait ends with its context or the listener; the next goes on.
func TestListenerEnds(t *testing.T) {
	a := newAsker(t)
	why := errors.New("enough")
	for range 3 {
		ctx, cancel := context.WithCancelCause(t.Context())
		go cancel(why)
		if _, err := a.Receive(ctx); !errors.Is(err, why) {
			t.Errorf("cancelled: %v", err)
		}
		if _, err := a.Receive(ctx); !errors.Is(err, why) {
			t.Errorf("cancelled before: %v", err)
		}
		if err := a.receive(t, 1).Return(103); err != nil {
			t.Error(err)
		}
		if got := a.says(t); got != "result 103" {
			t.Error(got)
		}
	}
	// Two wait: neither's end is the other's.
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if _, err := a.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("too late: %v", err)
			}
		})
	}
	both.Wait()
	waits := a.receive(t, 1)
	for range 2 {
		both.Go(func() {
			if _, err := a.Receive(context.Background()); !errors.Is(err, os.ErrClosed) {
				t.Errorf("closed: %v", err)
			}
		})
	}
	time.Sleep(time.Millisecond)
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	both.Wait()
	if _, err := a.Receive(t.Context()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed before: %v", err)
	}
	if err := a.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
	if err := waits.Return(1); !errors.Is(err, os.ErrClosed) {
		t.Errorf("answered by what is closed: %v", err)
	}
	if got := a.says(t); got != fmt.Sprint("errno ", int(unix.ENOSYS)) {
		t.Errorf("the call that waited: %s", got)
	}
}

// What is not a listener stays as it was.
func TestOpenListener(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, fd := range []int{int(null.Fd()), -1, 1 << 20} {
		if l, err := OpenListener(fd); !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
			t.Errorf("%d: %v, %v", fd, l, err)
		}
	}
	if _, err := null.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("it is closed: %v", err)
	}
}
