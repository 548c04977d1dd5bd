package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/bpf"
	"monban/compile"
	"monban/policy"
	"monban/sandbox"
	"monban/verdict"
)

// defaultGate is what run uses when no gate is named.
const defaultGate = "@container"

// exitFailed is the status of run when Monban itself failed before the program started.
const exitFailed = 125

func runCommand() *cobra.Command {
	var gate gateFlags
	var gates []string
	var strict, allowExec, detach bool
	cmd := &cobra.Command{
		Use:   "run [flags] [--] COMMAND [ARG…]",
		Short: "start a program behind a gate",
		Long: `Run starts a program with its system calls confined, from its first instruction on, together with
everything that it starts. The gate need not allow execve: it is put on after the program has been loaded.

The status is the program's own; 128+n if signal n ended it; 125 if Monban failed before the program started;
126 or 127 if the command cannot be executed or found. Where a call is killed, run says which one.`,
		Example: `  monban run -- sh -c 'id; mount -t tmpfs x /mnt'
  monban run --gate web.gate --gate @container -- ./server
  monban run --strict -- ./sum`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exit{exitUsage, fmt.Errorf("no command given (try: monban run -- ls)")}
			}
			c := &sandbox.Command{Path: args[0], Args: args, AllowExec: allowExec, Detach: detach, Strict: strict}
			if strict {
				if len(gates) > 0 {
					return exit{exitUsage, fmt.Errorf("--strict and --gate exclude each other: strict mode has no filter")}
				}
				c.Watch = true
				return start(cmd.Context(), c, abi.Native(), "")
			}
			if len(gates) == 0 {
				gates = []string{defaultGate}
			}
			program, v, err := gate.compose(gates)
			if err != nil {
				return failed(err)
			}
			c.Gates = []bpf.Program{program}
			c.Watch = killers(v, abi.Native())
			return start(cmd.Context(), c, abi.Native(), gates[0])
		},
	}
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().StringArrayVar(&gates, "gate", nil, "the gate (default "+defaultGate+"); several stack, and the most restrictive answer wins")
	cmd.Flags().BoolVar(&strict, "strict", false, "the kernel's strict mode from main on: read, write, exit and sigreturn only")
	cmd.Flags().BoolVar(&allowExec, "allow-exec", false, "put the gate on before the exec, without ptrace: the gate must then allow execve")
	cmd.Flags().BoolVar(&detach, "detach", false, "let go of the program once the gate is on: a killed call is not named")
	gate.register(cmd)
	if err := cmd.RegisterFlagCompletionFunc("gate", completeGates); err != nil {
		panic(err) // the flag was registered above
	}
	return cmd
}

// compose makes one proven filter of several gates, for this machine.
func (f *gateFlags) compose(refs []string) (bpf.Program, verdict.Verdict, error) {
	native := abi.Native()
	s := verdict.NewSpace(verdict.DefaultBudget)
	var all verdict.Verdict
	for i, ref := range refs {
		g, err := f.read(ref)
		if err != nil {
			return nil, all, err
		}
		if g.Policy != nil {
			if g.Policy, err = g.Policy.For(native); err != nil {
				return nil, all, err
			}
		} else if g.Order != native.ByteOrder() {
			return nil, all, fmt.Errorf("%s is of the other byte order than this machine", g.Name)
		}
		v, err := meaning(g, s)
		if err != nil {
			return nil, all, tooComplex(err)
		}
		if all = v; i > 0 {
			all = verdict.Stack(all, v)
		}
	}
	for a := range all.Actions() {
		if k := a.Kind(); k == bpf.Notify || k == bpf.Trace {
			return nil, all, fmt.Errorf("%s says %s for some calls, and run has nobody to answer them: allow or deny those calls", refs[0], a)
		}
	}
	p, err := compile.Program(all, native.ByteOrder())
	return p, all, err
}

// failed is an error from before the program started.
func failed(err error) error { return exit{exitFailed, err} }

// start runs the program and turns its end into ours.
func start(ctx context.Context, c *sandbox.Command, native abi.Arch, gate string) error {
	r, err := c.Run(ctx)
	if err != nil {
		return exit{sandbox.ExitStatus(err), err}
	}
	for _, k := range r.Killed {
		explainKill(k, native, gate)
	}
	if status := r.ExitStatus(); status != 0 {
		return exit{status, nil}
	}
	return nil
}

// explainKill says on standard error which call was killed and how to allow it.
func explainKill(k sandbox.Killed, native abi.Arch, gate string) {
	arch := archOfCall(&k.Data, native)
	call := policy.FormatCall(arch, &k.Data)
	what := "killed"
	switch {
	case k.Thread:
		what = "thread killed"
	case k.Trap:
		what = "ended by SIGSYS"
	}
	fmt.Fprintf(os.Stderr, "%s %s: %s by %s (process %d)\n", styled(os.Stderr, bold, "monban:"), styled(os.Stderr, red, what), call, k.Comm, k.PID)
	name, named := arch.Name(k.Data.Nr)
	switch {
	case k.Strict:
		fmt.Fprintln(os.Stderr, "monban: strict mode allows read, write, exit and sigreturn only; returning from main calls exit_group")
	case arch != native:
		fmt.Fprintf(os.Stderr, "monban: it is a call of %s, which the gate %s does not speak for; to allow it, add to its arch header: %s\n", arch, gate, arch)
	case named && strings.HasPrefix(gate, "@"):
		fmt.Fprintf(os.Stderr, "monban: to allow it, write a gate of your own with the lines:  include %s  and before it  allow %s\n", gate, name)
	case named:
		fmt.Fprintf(os.Stderr, "monban: to allow it, add to %s the line:  allow %s\n", gate, name)
	default:
		fmt.Fprintf(os.Stderr, "monban: to allow it, add to %s the line:  allow any(nr == %d)\n", gate, k.Data.Nr)
	}
}

// archOfCall is the architecture that a call seen by the kernel belongs to.
func archOfCall(d *bpf.Data, native abi.Arch) abi.Arch {
	for _, a := range native.Family() {
		if a.Token() == d.Arch && (a == abi.X32) == (d.Arch == abi.X32.Token() && d.Nr >= abi.X32Bit) {
			return a
		}
	}
	return native
}
