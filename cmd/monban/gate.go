package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/compile"
	"monban/format"
	"monban/format/oci"
	"monban/internal/plain"
	"monban/policy/decompile"
	"monban/policy/lang"
	"monban/seccomp"
	"monban/verdict"
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
		"arch":    func() []string { return strings.Split(archNames(abi.Archs()), ", ") },
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
	var o format.Options
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

// read reads a gate, pid:N included, and prints its notes to standard error.
func (f *gateFlags) read(ref string) (*format.Gate, error) {
	o, err := f.options()
	if err != nil {
		return nil, exit{exitUsage, err}
	}
	g, err := readWith(ref, o)
	if err == nil {
		printNotes(g.Notes)
	}
	return g, err
}

// readWith is read without the notes, for what is behind the flags.
func readWith(ref string, o format.Options) (*format.Gate, error) {
	if pid, ok := strings.CutPrefix(ref, "pid:"); ok {
		return dumped(pid)
	}
	if list, ok := strings.CutPrefix(ref, "stack:"); ok {
		return stacked(ref, strings.Split(list, ","), o)
	}
	g, err := format.Read(ref, os.Stdin, o)
	if err != nil {
		return nil, exit{exitUsage, err}
	}
	return g, nil
}

// dumped is the gate of a live process.
func dumped(pid string) (*format.Gate, error) {
	n, err := strconv.Atoi(pid)
	if err != nil || n <= 0 {
		return nil, exit{exitUsage, fmt.Errorf("%q is no process id: it is a number, as ps shows it", pid)}
	}
	programs, err := seccomp.Dump(n)
	if err != nil {
		return nil, exit{exitUsage, err}
	}
	bpf, _ := format.Find("bpf")
	return &format.Gate{Name: "pid:" + pid, Format: bpf, Programs: programs, Order: abi.Native().ByteOrder()}, nil
}

// stacked is several gates on one task, as the kernel runs them; the first is the oldest.
func stacked(name string, refs []string, o format.Options) (*format.Gate, error) {
	program, _ := format.Find("bpf")
	all := &format.Gate{Name: name, Format: program}
	for _, ref := range refs {
		if ref == "" {
			return nil, exit{exitUsage, fmt.Errorf("%s: a gate's name is missing (stack:OLDEST,…,NEWEST)", name)}
		}
		g, err := readWith(ref, o)
		if err != nil {
			return nil, err
		}
		order, err := g.ByteOrder()
		if err == nil && all.Order != nil && order != all.Order {
			err = fmt.Errorf("%s: its byte order is not that of the gates before it: no kernel runs both", ref)
		}
		programs := g.Programs
		if err == nil && g.Policy != nil {
			var v verdict.Verdict
			if v, err = meaning(g, verdict.NewSpace(verdict.DefaultBudget)); err == nil {
				programs, err = compile.Programs(v, order)
			}
		}
		if err != nil {
			return nil, exit{exitUsage, err}
		}
		all.Order = order
		all.Programs = append(all.Programs, programs...)
		all.Notes = append(all.Notes, g.Notes...)
	}
	return all, nil
}

// meaning is a gate's verdict in a space.
func meaning(g *format.Gate, s *verdict.Space) (verdict.Verdict, error) {
	v, err := g.Verdict(s)
	return v, tooComplex(g, err)
}

// tooComplex says which gate's meaning an error is about, and what there is to see of it all the same.
func tooComplex(g *format.Gate, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, verdict.ErrTooComplex) && g.Policy == nil:
		err = fmt.Errorf("%s: the meaning of this filter is %w (monban disasm still shows it instruction by instruction)", g.Name, err)
	case errors.Is(err, verdict.ErrTooComplex):
		err = fmt.Errorf("%s: what this gate means is %w", g.Name, err)
	}
	return exit{exitUsage, err}
}

// archsOf are the architectures to speak of: the policy's, or those that a filter tells apart.
func archsOf(g *format.Gate, v verdict.Verdict) ([]abi.Arch, error) {
	if g.Policy != nil {
		return g.Policy.Archs, nil
	}
	archs, err := decompile.Archs(v, format.NativeFor(g.Order))
	if err == nil && len(archs) == 0 {
		archs = []abi.Arch{format.NativeFor(g.Order)}
	}
	return archs, tooComplex(g, err)
}

func archNames(archs []abi.Arch) string {
	var names []string
	for _, a := range archs {
		names = append(names, a.String())
	}
	return strings.Join(names, ", ")
}
