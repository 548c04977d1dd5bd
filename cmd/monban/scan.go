package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/internal/nearest"
	"monban/internal/plain"
	"monban/learn"
	"monban/policy/lang"
	"monban/report"
	"monban/scan"
)

// loadersEnvironment is what the dynamic loader takes from the environment.
func loadersEnvironment(o *scan.Options) {
	o.LibraryPath = filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))
	o.Preload = strings.FieldsFunc(os.Getenv("LD_PRELOAD"), func(r rune) bool { return r == ' ' || r == ':' })
}

// A scanPlan is what scan is asked for.
type scanPlan struct {
	flags        learnFlags
	names        []string
	why, root    string
	also, follow []string
	asJSON       bool
	out          *cobra.Command
}

func scanCommand() *cobra.Command {
	var p scanPlan
	cmd := &cobra.Command{
		Use:   "scan [flags] BINARY…",
		Short: "learn a gate from a binary",
		Long: `Scan reads ELF programs, without running them, and writes a gate that allows every system call
that they can reach: it loads their libraries as the dynamic loader would, follows calls and
function pointers from the entry point, and traces the number of each system call back to where it
is set. It knows x86_64 and aarch64, C, C++, Rust and Go, stripped or not, static or not.

What a run does is a part of that. What a program loads by dlopen (plug-ins, Python's extension
modules) is named by --also, what it executes by --follow: which ones these are does not stand in a
binary, but what can be seen of them is said in the gate's comments. So is every instruction whose
call could not be traced: there, any call is possible.

--why CALL shows a way from the start to a call. --root DIR looks for everything in another file
system, such as that of a container image.`,
		Example: `  monban scan -o ls.gate /bin/ls
  monban scan --follow /bin/sh -o app.gate ./app
  monban scan --why socket /bin/ls
  monban scan --root image/ --to oci -o app.json /usr/bin/app`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("BINARY is missing (try: monban scan -o ls.gate /bin/ls)")
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, names []string) error {
			p.names, p.out = names, cmd
			return p.run(cmd.Context())
		},
	}
	p.flags.register(cmd, "the action for all other calls")
	cmd.Flags().StringArrayVar(&p.also, "also", nil, "a module that the program loads by dlopen (may be repeated)")
	cmd.Flags().StringArrayVar(&p.follow, "follow", nil, "a program that it executes (may be repeated)")
	cmd.Flags().StringVar(&p.root, "root", "", "the file system in which programs and libraries are looked for")
	cmd.Flags().StringVar(&p.why, "why", "", "show a way from the start to this call instead")
	cmd.Flags().BoolVar(&p.asJSON, "json", false, "print what was found as JSON (docs/json.md)")
	cmd.MarkFlagsMutuallyExclusive("why", "json")
	return cmd
}

// run scans, and writes the gate or what was asked for instead.
func (p *scanPlan) run(ctx context.Context) error {
	if err := p.flags.check(); err != nil {
		return err
	}
	if p.why != "" && !abi.Known(p.why) {
		return exit{exitUsage, fmt.Errorf("--why %s: no such system call%s", p.why, nearest.Hint(p.why, abi.Calls()))}
	}
	o := scan.Options{Also: p.also, Follow: p.follow}
	if o.Root = p.root; p.root == "" {
		loadersEnvironment(&o)
	}
	stop := working("scanning " + strings.Join(p.names, " "))
	r, err := scan.Files(ctx, p.names, o)
	stop()
	if err != nil {
		return exit{exitUsage, err}
	}
	switch {
	case p.why != "":
		return reason(p.out, r, p.why)
	case p.asJSON:
		return report.JSON(p.out.OutOrStdout(), "scan/1", scanned(r))
	}
	f := learn.Scan(r, learn.Options{Default: &p.flags.action, Extra: loadersCalls(p.flags.target)})
	notes := &lang.File{}
	notes.Note("What %s can reach, by monban scan: %s of %s.", strings.Join(p.names, " "), plain.Count(len(r.Calls), "call"), plain.Count(len(r.Files), "file"))
	scanNotes(notes, r)
	f.Prepend(notes.Lines...)
	return p.flags.keep(p.out, f, r.Arch)
}
