package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/inspect"
	"monban/internal/plain"
	"monban/lint"
	"monban/policy"
	"monban/policy/decompile"
	"monban/policy/lang"
	"monban/verdict"
)

func explainCommand() *cobra.Command {
	var flags gateFlags
	var full, asJSON bool
	var call, html string
	cmd := &cobra.Command{
		Use:   "explain [flags] GATE",
		Short: "what a gate means, in one screen",
		Long: `Explain says what a gate lets through: what is dangerous in it, which calls depend on their
arguments and how, and all others by what they are for. --full writes the whole gate down in the
policy language; that text is a gate itself, and is proven to mean the same. BPF is decompiled.`,
		Example: `  monban explain docker.json
  monban explain pid:1234 --full
  monban explain @container --syscall clone
  monban explain docker.json --html docker.html`,
		Args: takes("GATE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := flags.read(args[0])
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			if call != "" {
				return story(w, g, call, asJSON)
			}
			e, err := explain(g)
			if err != nil {
				return err
			}
			if err := e.survey(); err != nil {
				return err
			}
			switch {
			case html != "":
				return e.page(w, html)
			case asJSON:
				return printJSON(w, "explain/2", e.object())
			case full:
				return e.full(w)
			}
			e.screen(w)
			return nil
		},
	}
	cmd.Flags().BoolVar(&full, "full", false, "everything, in the policy language")
	cmd.Flags().StringVar(&call, "syscall", "", "only this call, on every architecture")
	cmd.Flags().StringVar(&html, "html", "", "write a page to look at, search and print to this file")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("full", "syscall", "html")
	cmd.MarkFlagsMutuallyExclusive("html", "json")
	flags.register(cmd)
	if err := cmd.RegisterFlagCompletionFunc("syscall", cobra.FixedCompletions(abi.Calls(), cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag was registered above
	}
	return cmd
}

// An explained gate is its meaning and what is said about it.
type explained struct {
	gate     *gate.Gate
	verdict  verdict.Verdict
	archs    []abi.Arch
	policy   *policy.Policy // in plain words; nil where there are none
	wordless error          // why there are none
	notes    []string       // what the policy cannot say and the gate does
	findings []lint.Finding

	// What survey finds, of each architecture.
	summaries map[abi.Arch]*inspect.Summary
	container map[abi.Arch]*inspect.Against // nil where there is no default of Docker's
	elsewhere string                        // the answer to other architectures' calls, "" where they are not told apart
	other     bpf.Action                    // the same as a number
}

func explain(g *gate.Gate) (*explained, error) {
	archs, err := g.Archs()
	if err != nil {
		return nil, err
	}
	e, err := gate.Exact(g, func(v verdict.Verdict) (*explained, error) {
		e := &explained{gate: g, verdict: v, archs: archs}
		return e, e.words()
	})
	if err != nil {
		return nil, err
	}
	found, err := lint.Find(g)
	e.findings = worthSaying(found)
	return e, err
}

// words writes the gate down in the policy language.
func (e *explained) words() error {
	g := e.gate
	err := e.verdict.Space().Attempt(func() (err error) {
		e.policy, e.notes, err = decompile.Policy(g.Name, e.verdict, e.archs[0], g.Policy)
		return err
	})
	if errors.Is(err, verdict.ErrTooComplex) {
		err = fmt.Errorf("%s: %w: writing it down is %w", g.Name, decompile.ErrNotPolicy, err)
	}
	switch {
	case errors.Is(err, decompile.ErrNotPolicy) && g.Policy != nil:
		e.policy, e.notes = g.Policy, nil // its own words say what a decompiler cannot
	case errors.Is(err, decompile.ErrNotPolicy):
		e.policy, e.wordless = nil, err
	case err != nil:
		return err
	}
	if e.policy != nil {
		e.archs = e.policy.Archs
	}
	return nil
}

// survey finds what the calls get, before anything is printed.
func (e *explained) survey() error {
	e.summaries, e.container = map[abi.Arch]*inspect.Summary{}, map[abi.Arch]*inspect.Against{}
	_, err := gate.Exact(e.gate, func(verdict.Verdict) (struct{}, error) {
		for _, a := range e.archs {
			var err error
			if e.summaries[a], err = inspect.Summarise(e.verdict, a); err != nil {
				return struct{}{}, err
			}
			if e.container[a], err = e.compare(a); err != nil {
				return struct{}{}, err
			}
		}
		do, ok, err := inspect.Elsewhere(e.verdict)
		if ok {
			e.other, e.elsewhere = do, policy.ActionOn(e.archs[0], do).String()
		}
		return struct{}{}, err
	})
	return err
}

// compare compares with Docker's default, the gate that most people know; nil where there is none for the architecture.
func (e *explained) compare(a abi.Arch) (*inspect.Against, error) {
	p, err := lang.LoadPreset(wellKnown, lang.Options{Archs: []abi.Arch{a}, Native: a})
	if err != nil {
		return nil, nil
	}
	theirs, err := p.Verdict(e.verdict.Space())
	if err != nil {
		return nil, err
	}
	c, err := inspect.Compare(e.verdict, theirs, a)
	return &c, err
}

const wellKnown = "@container"

// title is the first line: what was read.
func (e *explained) title() string {
	what := e.gate.Kind
	if g := e.gate; g.Members != nil && g.Programs == nil {
		var names []string
		for _, m := range g.Members {
			names = append(names, m.Kind+" "+m.Name)
		}
		return fmt.Sprintf("%s: %s, stacked (the oldest first): %s", g.Name, plain.Count(len(names), "gate"), strings.Join(names, ", "))
	}
	if n := len(e.gate.Programs); n > 0 {
		var sizes []string
		for _, q := range e.gate.Programs {
			sizes = append(sizes, fmt.Sprint(len(q)))
		}
		what = fmt.Sprintf("%s of %s instructions", plain.Count(n, "BPF program"), strings.Join(sizes, " and "))
		if n > 1 {
			what += ", stacked (the oldest first)"
		}
	}
	return e.gate.Name + ": " + what
}

// full writes the gate in the policy language, with the summary as comments.
func (e *explained) full(w io.Writer) error {
	if e.policy == nil {
		return exit{exitUsage, fmt.Errorf("%w (monban disasm still shows it instruction by instruction)", e.wordless)}
	}
	const next = "#   "
	line := func(text string) { plain.Paragraph(w, next, "# %s", text) }
	line(e.title())
	for _, a := range e.archs {
		line(a.String() + ": " + counted(e.summaries[a]))
	}
	for _, n := range e.notes {
		line("note: " + n)
	}
	for _, f := range e.findings {
		plain.Fprintf(w, "#\n")
		line("! " + f.ID + " " + f.Title + ": " + f.Why)
		line("  witness: " + witness(&f))
	}
	_, err := io.WriteString(w, "\n"+lang.Print(e.policy))
	return err
}

// counted says how much of an architecture's calls passes.
func counted(s *inspect.Summary) string {
	always, sometimes := s.Passing()
	text := fmt.Sprintf("%d of %s pass", always, plain.Count(len(s.Calls), "call"))
	if sometimes > 0 {
		text += fmt.Sprintf(", %d for some arguments", sometimes)
	}
	return text
}
