package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/format"
	"monban/format/oci"
	"monban/gate"
	"monban/internal/plain"
	"monban/policy/lang"
	"monban/seccomp"
)

// gateFlags are the flags of every command that reads gates.
type gateFlags struct {
	archs, caps     []string
	kernel, runtime string
	constants       string
}

func (f *gateFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.archs, "arch", nil, "architectures to speak for, instead of the gate's own: x86_64,x86,x32,aarch64,…")
	cmd.Flags().StringSliceVar(&f.caps, "cap", nil, "capabilities that an OCI profile is read for: names, docker, none or all (default docker)")
	cmd.Flags().StringVar(&f.kernel, "kernel", "", "kernel version that an OCI profile is read for, such as 6.12 (default the newest)")
	cmd.Flags().StringVar(&f.constants, "constants", "", "file of constants for a minijail policy: the constants.json of its build")
	cmd.Flags().StringVar(&f.runtime, "runtime", "", "read an OCI profile as a container runtime does: "+strings.Join(oci.Runtimes, ", "))
	complete := func(words func() []string) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return words(), cobra.ShellCompDirectiveNoFileComp
		}
	}
	for name, words := range map[string]func() []string{
		"arch":    func() []string { return strings.Fields(abi.Join(abi.Archs(), " ")) },
		"cap":     func() []string { return append(oci.AllCaps(), "docker", "none", "all") },
		"kernel":  func() []string { return nil },
		"runtime": func() []string { return oci.Runtimes },
	} {
		if err := cmd.RegisterFlagCompletionFunc(name, complete(words)); err != nil {
			panic(err) // the flag was registered above
		}
	}
	if cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = completeGates
	}
}

// completeGates offers the presets and the files here; with a first letter, the shell completes file names itself.
func completeGates(_ *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	switch {
	case strings.HasPrefix(prefix, "@"):
		return lang.Presets(), cobra.ShellCompDirectiveNoFileComp
	case prefix != "":
		return nil, cobra.ShellCompDirectiveDefault
	}
	words := lang.Presets()
	files, _ := os.ReadDir(".")
	for _, f := range files {
		switch name := f.Name(); {
		case strings.HasPrefix(name, ".") || plain.Text(name) != name:
		case f.IsDir():
			words = append(words, name+"/")
		default:
			words = append(words, name)
		}
	}
	return words, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// options turns the flags' words into values.
func (f *gateFlags) options() (format.Options, error) {
	o := format.Options{Stdin: os.Stdin, Dump: seccomp.Dump}
	for _, name := range f.archs {
		a, err := abi.ParseArch(name)
		if err != nil {
			return o, fmt.Errorf("--arch: %w", err)
		}
		if !slices.Contains(o.Archs, a) {
			o.Archs = append(o.Archs, a)
		}
	}
	if f.kernel != "" {
		v, err := abi.ParseVersion(f.kernel)
		if err != nil {
			return o, fmt.Errorf("--kernel: %w", err)
		}
		o.Kernel = v
	}
	if f.caps != nil {
		caps, err := oci.ParseCaps(f.caps)
		if err != nil {
			return o, fmt.Errorf("--cap: %w", err)
		}
		o.Caps = append([]string{}, caps...)
	}
	if f.runtime != "" && !slices.Contains(oci.Runtimes, f.runtime) {
		return o, fmt.Errorf("--runtime %s: known are %s", f.runtime, strings.Join(oci.Runtimes, ", "))
	}
	o.Runtime, o.Constants = f.runtime, f.constants
	return o, nil
}

// read reads a gate for a user, and prints its notes to standard error.
func (f *gateFlags) read(ref string) (*gate.Gate, error) {
	o, err := f.options()
	if err != nil {
		return nil, exit{exitUsage, err}
	}
	g, err := format.Read(ref, o)
	if err != nil {
		return nil, exit{exitUsage, err}
	}
	printNotes(g.Notes)
	return g, nil
}

// spares refuses an output that is the very file which the gate was read from: what is written is something else, and
// the gate would be lost.
func spares(out string, g *gate.Gate) error {
	if info, err := os.Stat(out); g.Source != nil && err == nil && info.Mode().IsRegular() && sameFile(out, g.Name) {
		return exit{exitUsage, fmt.Errorf("%s is the gate that is read: write to another file", out)}
	}
	return nil
}
