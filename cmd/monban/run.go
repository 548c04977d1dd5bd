package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"monban/gate"
	"monban/sandbox"
)

// defaultGate is what run uses when no gate is named.
const defaultGate = "@container"

// A runPlan is what run is asked for.
type runPlan struct {
	flags             gateFlags
	command           []string
	refs, loader      []string
	strict            bool
	allowExec, detach bool
	denials           denialsFile
}

func runCommand() *cobra.Command {
	var p runPlan
	cmd := &cobra.Command{
		Use:   "run [flags] [--] COMMAND [ARG…]",
		Short: "start a program behind a gate",
		Long: `Run starts a program with its system calls confined, from its first instruction on, together with
everything that it starts. The gate need not allow execve: it is put on after the program has been
loaded.

The status is the program's own; 128+n if signal n ended it; 125 if Monban failed before the program
started, or was interrupted; 126 or 127 if the command cannot be executed or found; 137 if a sandbox
around Monban kept it from following the program, which was then killed. Where a call is killed,
run says which one, and what would allow it. --denials FILE writes them to a new file, which record
--from-denials makes rules of: what the program itself prints is none of it.

Strict mode begins at main: the dynamic loader, and constructors of the program and its libraries,
run before it without a gate, and a program may do all it has to do there. --loader-gate gives them
one. The kernel lets nobody enter strict mode behind a filter, so that @strict, which means the
same, is put on at main instead. For the loader of a C program @libc is enough.`,
		Example: `  monban run -- sh -c 'id; mount -t tmpfs x /mnt'
  monban run --gate web.gate --gate @container -- ./server
  monban run --gate web.gate --denials web.denials -- ./server
  monban run --strict -- ./sum
  monban run --strict --loader-gate @libc -- ./sum`,
		Args: cobra.ArbitraryArgs,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			p.command = args
			if cmd.Flags().Changed("denials") && p.denials.name == "" {
				return exit{exitUsage, errors.New("--denials is empty: it takes a file")}
			}
			return p.run(cmd.Context())
		},
	}
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().StringArrayVar(&p.refs, "gate", nil, "the gate (default "+defaultGate+"); several stack, and the most restrictive answer wins")
	cmd.Flags().BoolVar(&p.strict, "strict", false, "the kernel's strict mode from main on: read, write, exit and sigreturn only")
	cmd.Flags().StringArrayVar(&p.loader, "loader-gate", nil, "with --strict: a gate for what runs before main; it stays")
	cmd.Flags().BoolVar(&p.allowExec, "allow-exec", false, "put the gate on before the exec, without ptrace: the gate must then allow execve")
	cmd.Flags().BoolVar(&p.detach, "detach", false, "let go of the program once the gate is on: a killed call is not named")
	cmd.Flags().StringVar(&p.denials.name, "denials", "", "write the killed calls to this new file, for record --from-denials")
	p.flags.register(cmd)
	for _, name := range []string{"gate", "loader-gate"} {
		if err := cmd.RegisterFlagCompletionFunc(name, completeGates); err != nil {
			panic(err) // the flag was registered above
		}
	}
	return cmd
}

// run starts the program behind its gates, or in strict mode.
func (p *runPlan) run(ctx context.Context) error {
	if err := p.fits(); err != nil {
		return exit{exitUsage, err}
	}
	c := &sandbox.Command{Path: p.command[0], Args: p.command, AllowExec: p.allowExec, Detach: p.detach, Strict: p.strict}
	var gates *gate.Gate // that can have killed a call; nil for strict mode
	switch {
	case p.strict && len(p.loader) > 0:
		c.Strict, c.Prepare = false, func() (set sandbox.Prepared, err error) {
			gates, set, err = p.flags.behindLoader(p.loader)
			return set, err
		}
	case p.strict:
		c.Watch = true
	default:
		c.Prepare = func() (set sandbox.Prepared, err error) {
			gates, set, err = p.prepare()
			return set, err
		}
	}
	err := start(ctx, c, func(r *sandbox.Result) *gate.Gate {
		if p.strict && r.BeforeMain == "" {
			return nil // what strict mode kills, no loader gate can allow
		}
		return gates
	}, &p.denials)
	if !p.strict && (errors.Is(err, sandbox.ErrPtraceRefused) || errors.Is(err, sandbox.ErrUnsupported)) {
		err = exit{sandbox.ExitStatus(err), errors.Join(errors.Unwrap(err),
			errors.New("--allow-exec installs the gate before the exec instead, without tracing; the gate must then allow execve"))}
	}
	return err
}

// fits says what does not go together.
func (p *runPlan) fits() error {
	denials := p.denials.name != ""
	switch {
	case len(p.command) == 0:
		return errors.New("no command given (try: monban run -- ls)")
	case p.strict && len(p.refs) > 0:
		return errors.New("--strict and --gate exclude each other: strict mode has no filter")
	case p.strict && denials:
		return errors.New("--strict and --denials exclude each other: strict mode has no gate to add to")
	case denials && (p.detach || p.allowExec):
		return errors.New("--denials needs run to stay attached: leave out --detach and --allow-exec")
	case !p.strict && len(p.loader) > 0:
		return errors.New("--loader-gate needs --strict: any other gate binds the loader, too")
	}
	return nil
}
