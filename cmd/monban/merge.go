package main

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"monban/gate"
	"monban/inspect"
	"monban/report"
)

// A mergePlan is what merge is asked for.
type mergePlan struct {
	flags  gateFlags
	refs   []string
	how    [len(operations)]bool // by operation
	out    string
	asJSON bool
}

// operations have a flag each.
var operations = [...]struct {
	op    inspect.Operation
	about string
}{
	{inspect.Union, "what any of the gates allows"},
	{inspect.Intersect, "what all of the gates allow"},
	{inspect.Stack, "what the kernel makes of filters in this order"},
}

func mergeCommand() *cobra.Command {
	var p mergePlan
	cmd := &cobra.Command{
		Use:   "merge [flags] A B…",
		Short: "make one gate of several",
		Long: `Merge joins the meanings of gates, whatever form they have, and prints the result as a policy that
is proven to mean exactly that.

--union      a call gets the loosest of the gates' answers: what any of them lets pass, passes
--intersect  the strictest: only what all of them let pass, passes; of equals the first gate's
--stack      what the kernel does with filters that are installed in this order: the strictest, and
             of equals the last one's

From the strictest to the loosest: kill_process kill_thread trap errno notify trace log allow.
Numbers that no call has and other architectures are merged in the same way.`,
		Example: `  monban merge --union web.gate plugin.gate -o both.gate
  monban merge --intersect docker.json web.gate
  monban merge --stack outer.bpf inner.bpf`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return errors.New("it takes two gates or more (usage: monban merge --union|--intersect|--stack A B…)")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			p.refs = args
			return p.run(cmd.OutOrStdout())
		},
	}
	for i, o := range operations {
		cmd.Flags().BoolVar(&p.how[i], string(o.op), false, o.about)
	}
	cmd.MarkFlagsMutuallyExclusive("union", "intersect", "stack")
	cmd.Flags().StringVarP(&p.out, "output", "o", "", "write the policy to this file")
	cmd.Flags().BoolVar(&p.asJSON, "json", false, "print JSON")
	p.flags.register(cmd)
	return cmd
}

func (p *mergePlan) run(w io.Writer) error {
	i := slices.Index(p.how[:], true)
	if i < 0 {
		return exit{exitUsage, errors.New("say how: --union, --intersect or --stack (monban merge --help)")}
	}
	var gates []*gate.Gate
	for _, ref := range p.refs {
		g, err := p.flags.read(ref)
		if err != nil {
			return err
		}
		named := *g
		named.Name = ref // as it was asked for
		gates = append(gates, &named)
	}
	gates, err := gate.Share(gates...)
	if err != nil {
		return exit{exitUsage, err}
	}
	merged, err := inspect.Merge(operations[i].op, gates...)
	if err != nil {
		return exit{exitUsage, err}
	}
	if p.asJSON {
		return report.MergedJSON(w, operations[i].op, p.refs, merged)
	}
	origins, err := inspect.Origins(merged.Policy.Archs, gates...)
	if err != nil {
		return exit{exitUsage, err}
	}
	var text bytes.Buffer
	if err := report.MergedGate(&text, merged, origins); err != nil {
		return err
	}
	return usage(writeText(w, p.out, text.Bytes()))
}

// usage gives an error the status of bad input.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return exit{exitUsage, err}
}
