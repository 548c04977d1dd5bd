package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"monban/internal/plain"
	"monban/record"
	"monban/sandbox"
	"monban/verdict"
)

// enoexec is ENOEXEC, which is 8 on all architectures (asm-generic/errno-base.h).
const enoexec = 8

// recorded runs the command, and notes the files that it maps if files says so. Interrupts are the program's: what was
// seen by then is kept.
func recorded(ctx context.Context, command []string, backend string, gate *verdict.Verdict, files bool) (*record.Recording, record.Result, error) {
	path, err := findCommand(command[0])
	if err != nil {
		return nil, record.Result{}, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	var pid atomic.Int64
	go func() {
		fromKeys := inForeground()
		for s := range signals {
			// The terminal sends its signals to the program as well; a signal to us alone is passed on.
			if n := int(pid.Load()); n != 0 && (s != os.Interrupt || !fromKeys) {
				if p, err := os.FindProcess(n); err == nil {
					_ = p.Signal(s)
				}
			}
			fromKeys = false // a second one is meant
			stop()           // what outlives the first process is let go
		}
	}()
	live := newLiveLine()
	run := record.Run{Path: path, Args: command, Env: os.Environ(), Started: func(n int) { pid.Store(int64(n)) }, Seen: live.seen(), Gate: gate, Files: files}
	rec, result, err := recordBy(ctx, run, backend)
	live.end()
	if err != nil {
		status := sandbox.ExitStatus(err)
		if errors.Is(err, syscall.Errno(enoexec)) {
			status = 126
			err = fmt.Errorf("%w (a script must begin with #! and its interpreter)", err)
		}
		return nil, result, exit{status, fmt.Errorf("%s: %w", command[0], err)}
	}
	sayLost(rec)
	return rec, result, nil
}

// sayLost says so if a recording is not whole.
func sayLost(rec *record.Recording) {
	if rec.Lost > 0 {
		say("%s lost: a call may be missing", plain.Count(rec.Lost, "event"))
	}
}

// recordBy runs the program with a back end; "" is eBPF, and ptrace where that does not work.
func recordBy(ctx context.Context, run record.Run, name string) (*record.Recording, record.Result, error) {
	backends := record.Backends()
	for i, backend := range backends {
		if name != "" && name != backend.Name {
			continue
		}
		rec, result, err := backend.Record(ctx, run)
		if un, unavailable := errors.AsType[*record.UnavailableError](err); !unavailable || name != "" || i+1 == len(backends) {
			return rec, result, privileged(err)
		} else if os.Geteuid() == 0 || terminal(stderr) { // a script of an ordinary user's expects nothing else
			say("recording by %s, because %s does not work here: %s", backends[i+1].Name, backend.Name,
				strings.ReplaceAll(privileged(un).Error(), "\n", "; "))
		}
	}
	return nil, record.Result{}, fmt.Errorf("no back end %s: %w", name, errors.ErrUnsupported)
}

// privileged is eBPF's error, without what the library tells its callers to do where a privilege is lacking.
func privileged(err error) error {
	if un, ok := errors.AsType[*record.UnavailableError](err); ok && errors.Is(un, syscall.EPERM) {
		return &record.UnavailableError{Err: fmt.Errorf("eBPF needs root (CAP_BPF and CAP_PERFMON): %w", syscall.EPERM)}
	}
	return err
}

func statusOf(r record.Result) int {
	if r.Signal != 0 {
		return 128 + int(r.Signal)
	}
	return r.ExitCode
}

// findCommand is the file that a command names, as a shell finds it; the error has a shell's status.
func findCommand(name string) (string, error) {
	path, err := exec.LookPath(name)
	switch {
	case errors.Is(err, exec.ErrDot):
		return "./" + name, nil
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		return "", exit{127, fmt.Errorf("%s: command not found", name)}
	case err != nil:
		if e, ok := errors.AsType[*exec.Error](err); ok {
			err = e.Err
		}
		return "", exit{126, fmt.Errorf("%s: %w", name, cause(err))}
	}
	return path, nil
}
