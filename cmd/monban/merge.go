package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/gate"
	"monban/inspect"
	"monban/policy/decompile"
	"monban/policy/lang"
	"monban/verdict"
)

func mergeCommand() *cobra.Command {
	var flags gateFlags
	var how [3]bool
	var out string
	var asJSON bool
	ways := [...]inspect.How{inspect.Union, inspect.Intersect, inspect.Stack}
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
			i := 0
			for i < len(how) && !how[i] {
				i++
			}
			if i == len(how) {
				return exit{exitUsage, errors.New("say how: --union, --intersect or --stack (monban merge --help)")}
			}
			var gates []*gate.Gate
			for _, ref := range args {
				g, err := flags.read(ref)
				if err != nil {
					return err
				}
				gates = append(gates, g)
			}
			gates, err := gate.Share(gates...)
			if err != nil {
				return exit{exitUsage, err}
			}
			meanings, err := verdicts(gates)
			if err != nil {
				return exit{exitUsage, err}
			}
			archs, err := gates[0].Archs()
			if err != nil {
				return err
			}
			v, err := inspect.Merge(ways[i], meanings[0], meanings[1:]...)
			if err != nil {
				return exit{exitUsage, together(args, err)}
			}
			name := map[inspect.How]string{inspect.Union: "union", inspect.Intersect: "intersection", inspect.Stack: "stack"}[ways[i]] + " of " + strings.Join(args, ", ")
			p, notes, err := decompile.Policy(name, v, archs[0], nil)
			if err == nil && len(notes) > 0 {
				err = fmt.Errorf("%s: %s: no policy says that; name the architectures with --arch", name, notes[0])
			}
			if err != nil {
				return exit{exitUsage, together(args, err)}
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), "merge/1", map[string]any{"how": ways[i], "gates": args, "policy": lang.Print(p)})
			}
			head := &lang.File{}
			head.Paragraph("the %s", name)
			if err := origins(head, args, meanings, p.Archs); err != nil {
				return exit{exitUsage, together(args, err)}
			}
			f := lang.New(p)
			f.Prepend(head.Lines...)
			return usage(writeText(cmd.OutOrStdout(), out, []byte(f.String())))
		},
	}
	for i, flag := range []string{"what any of the gates allows", "what all of the gates allow", "what the kernel makes of filters in this order"} {
		cmd.Flags().BoolVar(&how[i], string(ways[i]), false, flag)
	}
	cmd.MarkFlagsMutuallyExclusive("union", "intersect", "stack")
	cmd.Flags().StringVarP(&out, "output", "o", "", "write the policy to this file")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	flags.register(cmd)
	return cmd
}

// together gives verdict.ErrTooComplex the names of the gates that were worked with.
func together(names []string, err error) error {
	if _, named := errors.AsType[*gate.TogetherError](err); named || !errors.Is(err, verdict.ErrTooComplex) {
		return err
	}
	return &gate.TogetherError{Gates: strings.Join(names, " and "), Err: err}
}

// origins says which calls only some of the gates let pass, and which ones they let pass differently: of recordings, which run a call
// came from.
func origins(f *lang.File, names []string, meanings []verdict.Verdict, archs []abi.Arch) error {
	return meanings[0].Space().Do(func() error { return originsOf(f, names, meanings, archs) })
}

func originsOf(f *lang.File, names []string, meanings []verdict.Verdict, archs []abi.Arch) error {
	for _, a := range archs {
		on := ""
		if len(archs) > 1 {
			on = "on " + a.String() + ", "
		}
		passing := map[string][]string{} // by call, the gates
		for i, v := range meanings {
			s, err := inspect.Summarise(v, a)
			if err != nil {
				return err
			}
			for _, c := range s.Calls {
				if c.Passes() != inspect.Never {
					passing[c.Name] = append(passing[c.Name], names[i])
				}
			}
		}
		calls := map[string][]string{} // by gates
		var differ []string
		for call, at := range passing {
			nr, _ := a.Number(call)
			first := meanings[0].Call(a, nr)
			switch {
			case len(at) < len(names):
				key := strings.Join(at, ", ")
				calls[key] = append(calls[key], call)
			case slices.ContainsFunc(meanings, func(v verdict.Verdict) bool {
				return v.Call(a, nr).Node() != first.Node()
			}):
				differ = append(differ, call)
			}
		}
		for _, at := range slices.Sorted(maps.Keys(calls)) {
			f.Paragraph("%spasses at %s only: %s", on, at, strings.Join(slices.Sorted(slices.Values(calls[at])), " "))
		}
		if differ != nil {
			slices.Sort(differ)
			f.Paragraph("%spasses at all of them, but not alike: %s", on, strings.Join(differ, " "))
		}
	}
	return nil
}

// usage gives an error the status of bad input.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return exit{exitUsage, err}
}
