// A run lasts milliseconds: GOMAXPROCS need not follow a cgroup's quota.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command monban is the gatekeeper for Linux system calls: it starts programs behind a gate, and says what gates mean.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"monban/expect/live"
	"monban/internal/nearest"
	"monban/verdict"
)

// Exit codes, as documented in the README; run passes on the status of the program instead.
const (
	exitFindings = 1   // findings or differences
	exitUsage    = 2   // usage or bad input
	exitFailed   = 125 // of run: whatever went wrong before the program started
)

// An exit ends the command with a status and, if it has one, a message.
type exit struct {
	code int
	err  error
}

func (e exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("status %d", e.code)
	}
	return e.err.Error()
}

func (e exit) Unwrap() error { return e.err }

// collectAbove is how much memory a run may use before the garbage collector starts, in bytes. Most runs last
// milliseconds and end far below it; collecting would take a fifth of their time.
const collectAbove = 144 << 20

func main() {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(collectAbove)
	spareProcessor()
	end(Main())
}

// Main runs the command and returns its exit status.
func Main() int {
	if os.Getenv(live.Env) != "" {
		if err := live.Child(); err != nil {
			complain(err)
			return exitUsage
		}
		return 0
	}
	if err := checkMemory(); err != nil {
		complain(err)
		if len(os.Args) > 1 && os.Args[1] == "run" {
			return exitFailed
		}
		return exitUsage
	}
	out := newStdout()
	root := newRoot()
	root.SetOut(out)
	root.SetErr(stderr)
	cmd, err := execute(root)
	_ = stderr.Flush() // nobody could be told
	err = out.end(cmd, err)
	if err == nil {
		return 0
	}
	var e exit
	if !errors.As(err, &e) {
		e = exit{exitUsage, err}
	}
	if e.err != nil {
		complain(e.err)
	}
	if cmd.Name() == "run" && e.code == exitUsage && e.err != nil {
		return exitFailed // 2 is the program's own
	}
	return e.code
}

// execute runs the verb. What a gate's budget does not suffice for is an error, also where a verb looks at a verdict
// outside of a door.
func execute(root *cobra.Command) (cmd *cobra.Command, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case error:
			if !errors.Is(r, verdict.ErrTooComplex) {
				panic(r)
			}
			cmd, err = root, exit{exitUsage, r}
		default:
			panic(r)
		}
	}()
	return root.ExecuteC()
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "monban",
		Short: "the gatekeeper for Linux system calls",
		Long: `Monban decides which system calls a program may make, and shows and proves what a gate means.

A gate is any of: a .gate file; a Docker, Podman, OCI or Kubernetes seccomp profile; a policy of
minijail, Firecracker, Kafel or systemd; a raw BPF program; a preset such as @container; pid:N, the
filters of a live process; stack:A,B, several on one task; or - for standard input. What it is is
recognised by its content; gate:, oci:, bpf: and so on before the name force it.`,
		Version:       "see the template",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	cobra.AddTemplateFunc("built", func() string { return builtAs().line() }) // which takes a millisecond: when asked
	root.SetVersionTemplate("{{built}}\n")
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "Flags.FlagUsages ", "Flags.FlagUsagesWrapped 100 "))
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return exit{exitUsage, fmt.Errorf("%w (try: %s --help)", err, cmd.CommandPath())}
	})
	root.SetHelpCommand(&cobra.Command{
		Use:   "help [COMMAND]",
		Short: "what a command is for and how to use it",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, _, err := root.Find(args)
			if err != nil || about == root && len(args) > 0 {
				return exit{exitUsage, knownCommand(root, args)}
			}
			return about.Help()
		},
	})
	cobra.EnableCommandSorting = false
	for _, v := range verbs {
		root.AddGroup(&cobra.Group{ID: v.id, Title: v.title})
		for _, command := range v.commands {
			c := command()
			c.GroupID = v.id
			root.AddCommand(c)
		}
	}
	inherited := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if cmd == root {
			printVerbs(cmd.OutOrStdout(), root)
			return
		}
		inherited(cmd, args)
	})
	return root
}

// knownCommand is the error for a first word that is not a command.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	hint := " (monban --help lists them; to start a program: monban run -- " + args[0] + ")"
	return fmt.Errorf("unknown command %s%s", args[0], cmp.Or(nearest.Hint(args[0], names), hint))
}

// takes demands exactly the arguments named.
func takes(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return fmt.Errorf("%s is missing (usage: %s)", names[len(args)], cmd.UseLine())
		case len(args) > len(names):
			return fmt.Errorf("%q is one argument too many (usage: %s)", args[len(names)], cmd.UseLine())
		}
		return nil
	}
}
