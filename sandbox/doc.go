// Package sandbox starts a program behind a gate: seccomp filters that bind it, and all that it starts, from its first
// instruction on. The gate need not allow execve, ptrace, prctl or seccomp: it is put into the stopped program after
// the exec. The launching process itself stays free.
//
//	c := &sandbox.Command{
//		Path:  "ls",
//		Args:  []string{"ls", "-l"},
//		Gates: []bpf.Program{program},
//		Watch: true, // name a killed call
//	}
//	result, err := c.Run(ctx)
//	if err != nil {
//		fmt.Fprintln(os.Stderr, err) // nothing has run, or (LostError) behind the gate only
//		os.Exit(sandbox.ExitStatus(err))
//	}
//	os.Exit(result.ExitStatus())
//
// A Command behaves like nice(1) or env(1): same process group and terminal, inherited files, and signals that another
// process sends to the launcher are passed on. It needs Linux on amd64 or arm64; with AllowExec any Linux.
//
// Whatever ends the launcher, SIGKILL at any step included: the program dies with it (PDEATHSIG, PTRACE_O_EXITKILL),
// and nothing of it that lives on, as a detached grandchild does, is without the gate.
//
// It takes one process, no second start of the executable: there is nothing to call from main, and importing this
// package does nothing. A seccomp filter around this process that answers calls in the kernel's place is found out, and
// nothing is started then. Every start ends: after 30 seconds at the latest, or when a signal that ends processes comes
// before the program runs. If such a filter kills the thread that follows the program, the program is killed and Run
// returns.
package sandbox
