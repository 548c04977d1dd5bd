package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/bpf"
	"monban/compile"
	"monban/format"
	"monban/gate"
	"monban/sandbox"
	"monban/verdict"
)

// defaultGate is what run uses when no gate is named.
const defaultGate = "@container"

func runCommand() *cobra.Command {
	var flags gateFlags
	var refs, loader []string
	var strict, allowExec, detach bool
	var denials denialsFile
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
			if len(args) == 0 {
				return exit{exitUsage, errors.New("no command given (try: monban run -- ls)")}
			}
			c := &sandbox.Command{Path: args[0], Args: args, AllowExec: allowExec, Detach: detach, Strict: strict}
			if strict {
				if len(refs) > 0 {
					return exit{exitUsage, errors.New("--strict and --gate exclude each other: strict mode has no filter")}
				}
				if denials.name != "" {
					return exit{exitUsage, errors.New("--strict and --denials exclude each other: strict mode has no gate to add to")}
				}
				c.Watch = true
				if len(loader) > 0 {
					var first *gate.Gate
					c.Strict, c.Prepare = false, func() (p sandbox.Prepared, err error) {
						first, p, err = flags.behindLoader(loader)
						return p, err
					}
					return start(cmd.Context(), c, func(r *sandbox.Result) *gate.Gate {
						if r.BeforeMain == "" {
							return nil // what strict mode kills, no loader gate can allow
						}
						return first
					}, &denials)
				}
				return start(cmd.Context(), c, func(*sandbox.Result) *gate.Gate { return nil }, &denials)
			}
			if denials.name != "" && (detach || allowExec) {
				return exit{exitUsage, errors.New("--denials needs run to stay attached: leave out --detach and --allow-exec")}
			}
			if len(loader) > 0 {
				return exit{exitUsage, errors.New("--loader-gate needs --strict: any other gate binds the loader, too")}
			}
			if len(refs) == 0 {
				refs = []string{defaultGate}
			}
			var st *gate.Gate
			c.Prepare = func() (p sandbox.Prepared, err error) {
				if st, err = flags.readStack(refs); err != nil {
					return p, err
				}
				if p.Gates, err = st.Compile(compile.Options{}); err != nil {
					return p, err
				}
				p.Watch, err = killers(st, abi.Native())
				if err == nil && denials.name != "" && !p.Watch {
					err = fmt.Errorf("--denials %s: no answer of this gate kills a call, and run sees no others: say kill_process in it", denials.name)
				}
				return p, err
			}
			err := start(cmd.Context(), c, func(*sandbox.Result) *gate.Gate { return st }, &denials)
			if errors.Is(err, sandbox.ErrPtraceRefused) || errors.Is(err, sandbox.ErrUnsupported) {
				err = exit{sandbox.ExitStatus(err), errors.Join(errors.Unwrap(err),
					errors.New("--allow-exec installs the gate before the exec instead, without tracing; the gate must then allow execve"))}
			}
			return err
		},
	}
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().StringArrayVar(&refs, "gate", nil, "the gate (default "+defaultGate+"); several stack, and the most restrictive answer wins")
	cmd.Flags().BoolVar(&strict, "strict", false, "the kernel's strict mode from main on: read, write, exit and sigreturn only")
	cmd.Flags().StringArrayVar(&loader, "loader-gate", nil, "with --strict: a gate for what runs before main; it stays")
	cmd.Flags().BoolVar(&allowExec, "allow-exec", false, "put the gate on before the exec, without ptrace: the gate must then allow execve")
	cmd.Flags().BoolVar(&detach, "detach", false, "let go of the program once the gate is on: a killed call is not named")
	cmd.Flags().StringVar(&denials.name, "denials", "", "write the killed calls to this new file, for record --from-denials")
	flags.register(cmd)
	for _, name := range []string{"gate", "loader-gate"} {
		if err := cmd.RegisterFlagCompletionFunc(name, completeGates); err != nil {
			panic(err) // the flag was registered above
		}
	}
	return cmd
}

// behindLoader makes gates for the loader and, from main on, what strict mode means as a filter. first are the
// loader's.
func (f *gateFlags) behindLoader(loader []string) (first *gate.Gate, p sandbox.Prepared, err error) {
	p.Watch = true
	if first, err = f.readStack(loader); err != nil {
		return nil, p, err
	}
	strict, err := f.readStack([]string{"@strict"})
	if err != nil {
		return nil, p, err
	}
	p.Loader, err = gate.Exact(first, func(v verdict.Verdict) ([]bpf.Program, error) {
		return compile.Programs(lettingInstall(v), first.Order, compile.Options{})
	})
	if err != nil {
		return nil, p, fmt.Errorf("%s: %w", first.Name, err)
	}
	p.Gates, err = strict.Compile(compile.Options{})
	return first, p, err
}

// lettingInstall is v with seccomp(SECCOMP_SET_MODE_FILTER) allowed, through which the next filter comes. That one can
// only take away.
func lettingInstall(v verdict.Verdict) verdict.Verdict {
	s := v.Space()
	is := func(w verdict.Word, value uint32) verdict.Node {
		return s.Compare(verdict.Single(w), verdict.EQ, false, uint64(value))
	}
	const setModeFilter = 1 // SECCOMP_SET_MODE_FILTER
	cond := verdict.False
	for _, a := range abi.Archs() {
		if nr, ok := a.Number("seccomp"); ok {
			cond = s.Or(cond, s.And(is(verdict.Arch, a.Token()), s.And(is(verdict.Nr, nr), is(verdict.ArgLo(0), setModeFilter))))
		}
	}
	return s.Verdict(s.If(cond, s.Action(bpf.Allow), v.Node()))
}

// readStack reads the gates that bind a program together on this machine, the oldest first.
func (f *gateFlags) readStack(refs []string) (*gate.Gate, error) {
	o, err := f.options()
	if err != nil {
		return nil, err
	}
	var gates []*gate.Gate
	for _, ref := range refs {
		g, err := format.Read(ref, o) // no notes: standard error is the program's
		if err != nil {
			return nil, err
		}
		if g, err = g.For(abi.Native()); err != nil {
			return nil, err
		}
		if _, err := gate.Exact(g, func(v verdict.Verdict) (bool, error) { return true, answered(g, v) }); err != nil {
			return nil, err
		}
		gates = append(gates, g)
	}
	return gate.Stack(refs[0], gates...)
}

// answered says that nobody need answer a gate's calls.
func answered(g *gate.Gate, v verdict.Verdict) error {
	for a := range v.Actions() {
		if a.Asks() {
			return fmt.Errorf("%s says %s for some calls, and run has nobody to answer them: allow or deny those calls", g.Name, a)
		}
	}
	return nil
}

// start runs the program and turns its end into ours. st gives the gates that can have killed a call, nil for strict
// mode.
func start(ctx context.Context, c *sandbox.Command, st func(*sandbox.Result) *gate.Gate, denials *denialsFile) error {
	if err := denials.create(); err != nil {
		return exit{exitUsage, err}
	}
	// A program that runs for long need not keep what its gate was made with.
	defer time.AfterFunc(2*time.Second, debug.FreeOSMemory).Stop()
	r, err := c.Run(ctx)
	if err != nil {
		denials.discard()
		return exit{sandbox.ExitStatus(err), err}
	}
	if r.BeforeMain != "" {
		say("%s %s before main: strict mode never began", c.Path, r.BeforeMain)
	}
	explainKills(r, c, st(r))
	if err := denials.write(c.Args, r, st(r)); err != nil {
		say("%v", err) // the status is the program's
	}
	if status := r.ExitStatus(); status != 0 {
		return exit{status, nil}
	}
	return nil
}
