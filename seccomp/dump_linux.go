package seccomp

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/ptrace"
)

// stopLimit is how long Dump waits for a thread to stop. A thread in an uninterruptible sleep doesn't.
const stopLimit = 3 * time.Second

// tracerLimit is how long Dump waits for another tracer to let go. Another Dump does at once, a debugger doesn't.
const tracerLimit = time.Second

// Dump reads the seccomp filters of a live thread, oldest first, the order in which they were installed and in which the
// kernel numbers them. A process id stands for its first thread; threads may have different filters, so any thread
// id is taken too. It needs root (CAP_SYS_ADMIN and CAP_SYS_PTRACE in the first user namespace), a caller without a
// filter of its own, and a kernel with CONFIG_CHECKPOINT_RESTORE (Linux 4.4).
//
// The thread is stopped for some tens of microseconds and goes on as it was, stopped if it was stopped. As with any
// stop and continue, a few waiting calls (epoll_wait, sigwaitinfo, semop, reading inotify) return EINTR: see signal(7).
//
// Errors: [ErrNoFilter], [ErrStrict], ESRCH (no such process), EPERM or EACCES (who may), each with its explanation.
func Dump(pid int) ([]bpf.Program, error) {
	programs, err := dump(pid)
	if err != nil {
		return nil, fmt.Errorf("reading the seccomp filters of process %d: %w", pid, err)
	}
	return programs, nil
}

func dump(pid int) (programs []bpf.Program, err error) {
	if pid <= 0 {
		return nil, fmt.Errorf("not a process id: %w", unix.ESRCH)
	}
	// The mode first: reading it takes no privilege and gives the clearest answers.
	status, err := readStatus(pid)
	switch {
	case errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH):
		if _, statErr := os.Stat("/proc/self/status"); statErr == nil {
			return nil, unix.ESRCH
		}
		return nil, fmt.Errorf("/proc is not mounted: %w", err)
	case err != nil:
		return nil, err
	}
	switch status["Seccomp"] {
	case "0":
		return nil, ErrNoFilter
	case "1":
		return nil, ErrStrict
	}
	ptrace.OwnThread(func() { programs, err = dumpOnThread(pid) })
	return programs, err
}

func dumpOnThread(pid int) ([]bpf.Program, error) {
	begin := time.Now()
	for {
		err := ptrace.Seize(pid, 0)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EPERM) || tracer(pid) == "" || time.Since(begin) > tracerLimit {
			return nil, explainSeize(pid, err)
		}
		time.Sleep(tracerLimit / 100)
	}
	// From here on a failure leaves the thread to the kernel, which detaches it when this one ends.
	if err := ptrace.Interrupt(pid); err != nil {
		return nil, fmt.Errorf("stopping it: %w", err)
	}
	ev, err := ptrace.WaitFor(pid, stopLimit)
	if err != nil {
		if errors.Is(err, unix.ETIMEDOUT) {
			return nil, fmt.Errorf("it did not stop within %v (an uninterruptible sleep?): %w", stopLimit, err)
		}
		return nil, fmt.Errorf("waiting for it to stop: %w", err)
	}
	if ev.Dead() {
		return nil, fmt.Errorf("it ended meanwhile: %w", unix.ESRCH)
	}
	programs, err := filters(pid)
	// A signal that arrived just now is delivered; a job control stop goes on.
	if derr := ptrace.Detach(pid, ev.Signal()); derr != nil && err == nil && !errors.Is(derr, unix.ESRCH) {
		err = fmt.Errorf("letting it go: %w", derr)
	}
	return programs, err
}

func filters(pid int) ([]bpf.Program, error) {
	var programs []bpf.Program
	for i := 0; ; i++ {
		p, err := ptrace.Filter(pid, i)
		switch {
		case err == nil:
			programs = append(programs, p)
		case errors.Is(err, unix.ENOENT):
			return programs, nil
		case errors.Is(err, unix.EACCES):
			if mode, _ := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0); mode != 0 {
				return nil, fmt.Errorf("%w (a process that is itself behind a seccomp filter may not)", err)
			}
			return nil, fmt.Errorf("%w (it takes root: CAP_SYS_ADMIN in the first user namespace)", err)
		case errors.Is(err, unix.EMEDIUMTYPE):
			return nil, fmt.Errorf("filter %d is not classic BPF: %w", i, err)
		case errors.Is(err, unix.EINVAL) && i == 0:
			return nil, ErrNoFilter // it has changed since we looked
		case errors.Is(err, unix.EIO), errors.Is(err, unix.EINVAL):
			return nil, fmt.Errorf("this kernel can't: it needs Linux 4.4 with CONFIG_CHECKPOINT_RESTORE: %w", err)
		default:
			return nil, fmt.Errorf("filter %d: %w", i, err)
		}
	}
}

func explainSeize(pid int, err error) error {
	if errors.Is(err, unix.ESRCH) {
		return err
	}
	if !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("attaching to it: %w", err)
	}
	if by := tracer(pid); by != "" {
		return fmt.Errorf("process %s traces it already (a debugger?): %w", by, err)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w (it takes root)", err)
	}
	return fmt.Errorf("%w (a kernel thread, or ptrace is denied by Yama, an LSM, a container or an outer sandbox)", err)
}

// tracer is the number of the process that traces a thread, "" if none does.
func tracer(pid int) string {
	status, err := readStatus(pid)
	if err != nil || status["TracerPid"] == "0" {
		return ""
	}
	return status["TracerPid"]
}

// readStatus reads the fields of /proc/PID/status, without their colons.
func readStatus(pid int) (map[string]string, error) {
	return readFields("/proc/" + strconv.Itoa(pid) + "/status")
}

func readFields(file string) (map[string]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fields := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if k, v, ok := strings.Cut(lines.Text(), ":"); ok {
			fields[k] = strings.TrimSpace(v)
		}
	}
	return fields, lines.Err()
}
