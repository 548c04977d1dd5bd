package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

	"monban/gate"
	"monban/internal/plain"
	"monban/learn"
	"monban/record"
	"monban/sandbox"
	"monban/verdict"
)

func recordCommand() *cobra.Command {
	var flags gateFlags
	var check, known string
	var denied deniedFlags
	var learning recordFlags
	var attach attachFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "record [flags] [--] COMMAND [ARG…]",
		Short: "learn a gate from a run",
		Long: `Record runs a program, follows all of its threads, children and what they execute, and writes a gate
that allows the calls that were made: each with how often, by which programs, and with the values of
the arguments that choose what the kernel does. The program runs unconfined meanwhile.

--args safe (the default) holds sockets to their families and types, ioctl, prctl and the like to
their requests, clone, mmap and mprotect to their flags; --args all also what depends on a run's
surroundings (open's flags, signals); --args none allows calls whole. --known takes an
earlier gate and adds what it lacks. --check FILE writes nothing: the status is 1 if the run needed
a call that the gate in FILE refuses, and its calls that the run never made are listed.

Root records by eBPF, others by ptrace; --backend notify lets hot calls pass uncounted, and with
--known all that the earlier gate allows. docs/learning.md compares them.

The status is the program's own; 128+n if signal n ended it. The gate is written even if the program
fails or is interrupted. Without -o it goes to standard output after the program has ended.`,
		Example: `  monban record -o app.gate -- ./app --once
  monban record --known app.gate -o app.gate -- ./app --other-mode
  monban record --to oci --for docker -o app.json -- ./app
  monban record --check app.gate -- ./app
  monban record --pid 1234 -o app.gate
  monban record --known app.gate --from-denials app.denials -o app.gate`,
		Args: cobra.ArbitraryArgs,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, command []string) error {
			for _, name := range []string{"pid", "cgroup", "container"} {
				if flag := cmd.Flags().Lookup(name); flag.Changed && flag.Value.String() == "" {
					return exit{exitUsage, fmt.Errorf("--%s is empty", name)}
				} else if flag.Changed {
					attach.given = true
				}
			}
			if len(command) == 0 && !attach.given && len(denied.sources) == 0 {
				return exit{exitUsage, errors.New("no command given (try: monban record -o ls.gate -- ls)")}
			}
			o, err := learning.options()
			if err != nil {
				return err
			}
			var earlier, held *gate.Gate
			if known != "" {
				if earlier, err = flags.read(known); err != nil {
					return err
				}
			}
			if check != "" {
				if held, err = flags.read(check); err != nil {
					return err
				}
			}
			var old *learn.Earlier
			if earlier != nil {
				if old, err = earlierGate(earlier, learning.name(), o.Native); err != nil {
					return exit{exitUsage, err}
				}
			}
			var against *verdict.Verdict // what the run is held against
			if g := cmp.Or(earlier, held); g != nil {
				v, err := g.Verdict()
				if err != nil {
					return err
				}
				against = &v
				archs, err := g.Archs()
				if err != nil {
					return err
				}
				elsewhere, err := gate.Exact(g, func(v verdict.Verdict) (bool, error) { return record.LooksElsewhere(v, archs) })
				if err != nil {
					return err
				}
				if elsewhere && learning.backend == "" && !attach.given {
					learning.backend = "ptrace" // it sees each call with all of its arguments
				}
			}
			if check != "" && cmd.Flags().Changed("output") {
				return exit{exitUsage, errors.New("--check writes nothing: leave out -o, or add to the gate with --known")}
			}
			if asJSON && check == "" {
				return exit{exitUsage, errors.New("--json is for --check: a gate has formats (--to)")}
			}
			if learning.backend == "notify" && held != nil {
				return exit{exitUsage, errors.New("--check needs a back end that sees all calls: ebpf or ptrace")}
			}
			var rec *record.Recording
			var result record.Result
			switch {
			case len(denied.sources) > 0:
				if len(command) > 0 || attach.given {
					return exit{exitUsage, errors.New("--from-denials reads a log: it takes no command")}
				}
				rec, err = denied.read()
			case attach.given:
				if len(command) > 0 || learning.backend == "ptrace" || learning.backend == "notify" {
					return exit{exitUsage, errors.New("what runs already is recorded by eBPF, and without a command")}
				}
				rec, err = attach.record(cmd.Context())
			default:
				rec, result, err = recorded(cmd.Context(), command, learning.backend, against, false)
			}
			if err != nil {
				return err
			}
			if held != nil {
				if err := checked(cmd, rec, held, asJSON); err != nil || result == (record.Result{}) {
					return err
				}
				return exit{statusOf(result), errors.New("the program failed: what it did not come to is not checked")}
			}
			f := learn.Recording(rec, o)
			if old != nil {
				both, more, err := old.Add(rec, o)
				if err != nil {
					return inSpare(cmd, cmp.Or(learning.out, "monban")+".gate", []byte(f.String()), exit{exitUsage, err})
				}
				if len(more) > 0 {
					archs, _ := earlier.Archs()
					say("%s spoke for %s only; the new gate speaks for %s, too", earlier.Name, archNames(archs), archNames(more))
				}
				f = both
			}
			if err := learning.keep(cmd, f, o.Native); err != nil {
				return err
			}
			if status := statusOf(result); status != 0 {
				return exit{status, nil}
			}
			return nil
		},
	}
	cmd.Flags().SetInterspersed(false)
	learning.register(cmd, "the action for all other calls")
	cmd.Flags().StringVar(&known, "known", "", "an earlier gate, to which this run only adds")
	cmd.Flags().StringVar(&check, "check", "", "write nothing: hold the run against this gate")
	cmd.Flags().BoolVar(&asJSON, "json", false, "with --check: print JSON, behind what the program prints (docs/json.md)")
	denied.register(cmd.Flags())
	cmd.Flags().IntVar(&attach.pid, "pid", 0, "record a process that runs already, and what it has started, until it ends or you interrupt")
	cmd.Flags().StringVar(&attach.cgroup, "cgroup", "", "record the processes of a control group, in the same way")
	cmd.Flags().StringVar(&attach.container, "container", "", "record a container, by its ID, in the same way")
	cmd.MarkFlagsMutuallyExclusive("pid", "cgroup", "container")
	cmd.MarkFlagsMutuallyExclusive("known", "check")
	flags.register(cmd)
	return cmd
}

// enoexec is ENOEXEC, which is 8 on all architectures (asm-generic/errno-base.h).
const enoexec = 8

// recorded runs the command, and notes the files that it maps if files says so. Interrupts are the program's: what was seen by then is kept.
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
