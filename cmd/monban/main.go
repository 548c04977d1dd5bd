// Command monban is the gatekeeper for Linux system calls: it starts programs behind a gate, and says what gates mean.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// Exit codes, as documented in the README; run passes on the status of the program instead.
const (
	exitFindings = 1 // findings or differences
	exitUsage    = 2 // usage or bad input
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

func main() { os.Exit(Main()) }

// Main runs the command and returns its exit status.
func Main() int {
	root := newRoot()
	err := root.Execute()
	var e exit
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &e):
		e = exit{exitUsage, err}
	}
	if e.err != nil {
		report(e.err)
	}
	return e.code
}

// report writes an error, one line each where several are joined.
func report(err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(os.Stderr, styled(os.Stderr, bold, "monban:"), line)
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "monban",
		Short: "the gatekeeper for Linux system calls",
		Long: `Monban decides which system calls a program may make, and shows and proves what a gate means.

A gate is any of: a .gate file, a Docker, Podman or OCI seccomp profile, a raw BPF program, a preset such as
@container, pid:N for the filters of a live process, or - for standard input. What it is is recognised by its
content; gate:, oci:, bpf: and bpf-be: before the name force it.`,
		Example: `  monban run -- ls -l                      run a program behind Docker's default profile
  monban run --gate web.gate -- ./server   run it behind your own
  monban ask docker.json 'mount'           what happens to a call
  monban explain @container                what a gate means
  monban diff old.gate new.gate            what two gates disagree on, exactly`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return exit{exitUsage, fmt.Errorf("%w (try: monban %s --help)", err, cmd.Name())}
	})
	root.AddCommand(runCommand(), compileCommand(), askCommand(), explainCommand(), diffCommand(), dumpCommand(),
		disasmCommand(), asmCommand(), fmtCommand(), syscallsCommand(), doctorCommand())
	return root
}
