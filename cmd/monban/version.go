package main

import (
	"runtime/debug"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/internal/plain"
	"monban/report"
)

// A build says which Monban this is.
type build struct {
	Version  string `json:"version"`            // of the module; (devel) where it was built from a checkout without a tag
	Commit   string `json:"commit,omitempty"`   // "" where Go had no repository to look at
	Modified bool   `json:"modified,omitempty"` // the checkout had changes that are not in the commit
	Go       string `json:"go"`
	Kernel   string `json:"kernel"` // the newest whose calls are known
}

func builtAs() build {
	b := build{Version: "(unknown)", Kernel: abi.Newest().String()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version, b.Go = info.Main.Version, info.GoVersion
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// line is all of it in a line.
func (b build) line() string {
	text := "monban " + b.Version
	if b.Commit != "" {
		text += ", commit " + b.Commit[:min(12, len(b.Commit))]
		if b.Modified {
			text += " with changes"
		}
	}
	return text + ", system calls up to Linux " + b.Kernel + ", " + b.Go
}

func versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "which Monban this is",
		Long: `Version prints the module's version, the commit that it was built from, and the newest kernel whose
system calls it knows. monban --version prints the same.`,
		Example: `  monban version
  monban version --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := builtAs()
			if asJSON {
				return report.JSON(cmd.OutOrStdout(), "version/1", b)
			}
			plain.Fprintf(cmd.OutOrStdout(), "%s\n", b.line())
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
