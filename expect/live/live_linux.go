package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"monban/abi"
	"monban/bpf"
	"monban/expect"
	"monban/internal/sys"
	"monban/policy"
	"monban/seccomp"
)

// harmless are calls that do nothing but answer, whatever their arguments: those may be made where a gate lets them
// pass.
var harmless = map[string]bool{"getpid": true, "getppid": true, "gettid": true, "getuid": true, "geteuid": true, "getgid": true,
	"getegid": true, "getpgrp": true, "sched_yield": true}

// Safe says that a result's witness may be put to the kernel: the gate refuses it, which is proven, or it is harmless.
// It must be one that the running architecture can ask for. trap, trace and notify are left out: somebody else would
// answer.
func Safe(r *expect.Result) bool {
	if r.Arch.Token() != abi.Native().Token() {
		return false
	}
	if r.Got.Passes() {
		return r.Arch == abi.Native() && harmless[r.Asked.Name] // x32 is in few kernels
	}
	return r.Got.Kills() || r.Got.Kind() == bpf.Errno
}

// request is what the child reads.
type request struct {
	Programs []bpf.Program
	Call     bpf.Data
}

// Env, in the environment of a process that runs Child, makes it one.
const Env = "MONBAN_EXPECT_CHILD"

// Try has the kernel decide a result's witness: a child process, the command started again, puts the filters on one of
// its threads and makes the call there. command is how to start it.
func Try(ctx context.Context, r *expect.Result, programs []bpf.Program, command string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	in, err := json.Marshal(request{programs, r.Witness})
	if err != nil {
		return err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "child"), os.NewFile(uintptr(pair[1]), "parent")
	defer ours.Close()
	child := exec.CommandContext(ctx, command)
	child.Env = append(os.Environ(), Env+"=1")
	child.ExtraFiles = []*os.File{theirs}
	err = child.Start()
	theirs.Close()
	if err != nil {
		return err
	}
	_, werr := ours.Write(in)
	werr = errors.Join(werr, unix.Shutdown(pair[0], unix.SHUT_WR))
	said, rerr := io.ReadAll(ours)
	err = child.Wait()
	if err := errors.Join(werr, rerr); err != nil {
		return fmt.Errorf("the child that tries %s: %w", r.Asked.Name, err)
	}
	ended := (*exec.ExitError)(nil)
	switch {
	case errors.As(err, &ended) && ended.Sys().(syscall.WaitStatus).Signal() == syscall.SIGSYS:
		r.Live = &expect.LiveOutcome{Text: "kill_process", Agrees: r.Got.Kind() == bpf.KillProcess}
		return nil
	case err != nil:
		return fmt.Errorf("the child that tries %s: %w", r.Asked.Name, err)
	}
	var got struct {
		Result int64
		Gone   bool
		Error  string
	}
	if err := json.Unmarshal(said, &got); err != nil {
		return fmt.Errorf("the child that tries %s said %q", r.Asked.Name, said)
	}
	switch {
	case got.Error != "":
		return fmt.Errorf("the child that tries %s: %s", r.Asked.Name, got.Error)
	case got.Gone:
		r.Live = &expect.LiveOutcome{Text: "kill_thread", Agrees: r.Got.Kind() == bpf.KillThread}
	case got.Result < 0 && got.Result > -4096:
		do := bpf.Errno | bpf.Action(-got.Result)
		r.Live = &expect.LiveOutcome{Text: policy.ActionOn(r.Arch, do).String(), Agrees: do == r.Got}
	default:
		r.Live = &expect.LiveOutcome{Text: fmt.Sprintf("it returned %d", got.Result),
			Agrees: r.Got.Passes() || r.Got == bpf.Errno && got.Result == 0}
	}
	return nil
}

// Child is the process that Try starts: it reads the filters and the call from the socket that Try hands over, makes it
// on a thread of its own, and writes what came of it there. The thread's fate is seen from outside, since behind the
// filters it may do nothing any more.
//
// Only the process's own parent is obeyed, which the kernel names as the maker of the socket, and not where the
// executable has given this process privileges that its caller has not (set-user-ID, file capabilities).
func Child() error {
	switch secure, err := atSecure(); {
	case err != nil:
		return fmt.Errorf("making calls for %s: %w", Env, err)
	case secure:
		return fmt.Errorf("making calls for %s: not with privileges that the caller does not have", Env)
	}
	const handed = 3
	maker, err := unix.GetsockoptUcred(handed, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil || int(maker.Pid) != os.Getppid() || int(maker.Uid) != os.Getuid() {
		return fmt.Errorf("%s is in the environment, and no parent hands over what to do: unset it", Env)
	}
	parent := os.NewFile(handed, "parent")
	var q request
	if err := json.NewDecoder(parent).Decode(&q); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return err
	}
	var state atomic.Int32 // 1 ready, 2 called, 3 failed
	var result atomic.Int64
	var failed error
	tid := make(chan int, 1)
	var bound func()
	bound = func() {
		runtime.LockOSThread() // never unlocked
		if syscall.Gettid() == os.Getpid() {
			go bound() // the first thread stays as a zombie when it dies: another one must do it
			select {}
		}
		tid <- syscall.Gettid()
		// No signal of the runtime's (SIGURG preempts) may come in behind the filters: they need not let its handler
		// return.
		var all unix.Sigset_t
		for i := range all.Val {
			all.Val[i] = ^all.Val[i]
		}
		err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, nil)
		if err == nil {
			err = seccomp.NoNewPrivs()
		}
		for _, p := range q.Programs {
			if err == nil {
				err = seccomp.Install(p, 0)
			}
		}
		if err != nil {
			failed = err
			state.Store(3)
			return
		}
		a := q.Call.Args
		r, _, errno := syscall.RawSyscall6(uintptr(q.Call.Nr), uintptr(a[0]), uintptr(a[1]), uintptr(a[2]), uintptr(a[3]), uintptr(a[4]), uintptr(a[5]))
		if errno != 0 {
			result.Store(-int64(errno))
		} else {
			result.Store(int64(r))
		}
		state.Store(2)
		for state.Load() == 2 { // whatever else it did would be a system call
		}
	}
	go bound()
	thread := <-tid
	answer := map[string]any{}
	for {
		if s := state.Load(); s == 2 {
			answer["Result"] = result.Load()
			break
		} else if s == 3 {
			answer["Error"] = failed.Error()
			break
		}
		if _, err := sys.ReadStat(thread); err != nil && state.Load() == 0 {
			answer["Gone"] = true
			break
		}
		time.Sleep(time.Millisecond)
	}
	return json.NewEncoder(parent).Encode(answer)
}

// atSecure reads AT_SECURE, by which the kernel tells a program that it was given privileges by its executable.
func atSecure() (bool, error) {
	if os.Getuid() != os.Geteuid() || os.Getgid() != os.Getegid() {
		return true, nil
	}
	auxv, err := sys.OwnAuxv()
	if err != nil {
		return false, err
	}
	secure, told := auxv[sys.AtSecure]
	if !told {
		return false, errors.New("AT_SECURE is not told")
	}
	return secure != 0, nil
}
