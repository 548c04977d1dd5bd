package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"monban/expect"
	"monban/expect/live"
	"monban/format"
	"monban/report"
)

// A testPlan is what test is asked for.
type testPlan struct {
	flags                        gateFlags
	files                        []string
	live, asTAP, asJUnit, asJSON bool
}

func testCommand() *cobra.Command {
	var p testPlan
	cmd := &cobra.Command{
		Use:   "test [flags] FILE…",
		Short: "prove what test files say of gates",
		Long: `Test reads test files and proves or refutes each line. A file NAME.expect speaks of the gate beside
it (NAME.gate, NAME.json, …), or of the one that it names (gate "other.gate"), and says what must
become of calls:

    allow        openat(AT_FDCWD, ?, O_RDONLY)
    deny         ptrace mount
    errno(EPERM) socket({AF_VSOCK, AF_ALG})
    on x86:      deny socketcall

deny is any refusal, pass is allow or log. What a call leaves open is proven for all values. The
status is 1 if a line does not hold. --live also puts the gate on a child process and makes each
call there that is refused or harmless, so that the kernel has its say.`,
		Example: `  monban test web.expect
  monban test --tap gates/*.expect
  monban test --live web.expect`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("FILE is missing (usage: %s)", cmd.UseLine())
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"expect"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			p.files = args
			return p.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&p.live, "live", false, "also have the kernel decide, where that is safe")
	cmd.Flags().BoolVar(&p.asTAP, "tap", false, "print TAP 14, a test a line")
	cmd.Flags().BoolVar(&p.asJUnit, "junit", false, "print JUnit's XML")
	cmd.Flags().BoolVar(&p.asJSON, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("tap", "junit", "json")
	p.flags.register(cmd)
	return cmd
}

func (p *testPlan) run(ctx context.Context, w io.Writer) error {
	var runs []*expect.Run
	for _, file := range p.files {
		run, err := p.prove(file)
		if err == nil && p.live {
			err = try(ctx, run)
		}
		if err != nil {
			return usage(err)
		}
		runs = append(runs, run)
	}
	var err error
	switch {
	case p.asTAP:
		err = report.RunsTAP(w, runs)
	case p.asJUnit:
		err = report.RunsJUnit(w, runs)
	case p.asJSON:
		err = report.RunsJSON(w, runs)
	default:
		err = report.RunsText(w, runs, style(w))
	}
	if err == nil && slices.ContainsFunc(runs, func(r *expect.Run) bool { return r.Failed() > 0 }) {
		return exit{exitFindings, nil}
	}
	return err
}

// prove proves a file's lines of the gate that it speaks of.
func (p *testPlan) prove(file string) (*expect.Run, error) {
	o, err := p.flags.options()
	if err != nil {
		return nil, err
	}
	src, err := format.ReadFile(file, o)
	if err != nil {
		return nil, err
	}
	f, err := expect.Parse(nameOf(file), src)
	if err != nil {
		return nil, err
	}
	beside, _ := format.Beside(file, o)
	ref, err := f.Ref(file, beside)
	if err != nil {
		return nil, err
	}
	o.Stdin, o.Dump = nil, nil // the file names it, not the user
	g, err := format.Read(ref, o)
	if err != nil {
		return nil, err
	}
	printNotes(g.Notes)
	return f.Run(g)
}

// try has the kernel decide what is safe.
func try(ctx context.Context, r *expect.Run) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	filters, err := r.Gate.Filters()
	if err != nil {
		return err
	}
	r.Live = true
	for i := range r.Results {
		if !live.Safe(&r.Results[i]) {
			continue
		}
		if err := live.Try(ctx, &r.Results[i], filters, self); err != nil {
			return err
		}
	}
	return nil
}
