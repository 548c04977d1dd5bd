package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"monban/abi"
	"monban/format"
	"monban/policy"
	"monban/record"
)

// learnFlags are what record, learn and scan take: they make gates.
type learnFlags struct{ out, to, target, other string }

func (l *learnFlags) register(cmd *cobra.Command, other string) {
	cmd.Flags().StringVarP(&l.out, "output", "o", "", "write the gate to this file")
	cmd.Flags().StringVar(&l.to, "to", "gate", "format of the gate: as convert's --to")
	cmd.Flags().StringVar(&l.target, "for", "", "the runtime that will load it; its own calls are allowed, too")
	cmd.Flags().StringVar(&l.other, "default", "errno(EPERM)", other)
}

// check says what is wrong with them before anything runs.
func (l *learnFlags) check() error {
	if _, err := policy.ParseAction(l.other); err != nil {
		return exit{exitUsage, fmt.Errorf("--default: %w", err)}
	}
	if _, err := writable(l.to); err != nil {
		return exit{exitUsage, err}
	}
	return nil
}

// recordFlags are what record and learn take beside: they watch a run.
type recordFlags struct {
	learnFlags
	args, backend string
}

func (r *recordFlags) register(cmd *cobra.Command, other string) {
	r.learnFlags.register(cmd, other)
	cmd.Flags().StringVar(&r.args, "args", "safe", "which arguments to hold to what was seen: none, safe, all")
	cmd.Flags().StringVar(&r.backend, "backend", "", "how to watch: ebpf (root), ptrace or notify (default: ebpf, else ptrace)")
}

// options are those of the recording's text.
func (r *recordFlags) options() (record.Options, error) {
	i := slices.Index([]string{"none", "safe", "all"}, r.args)
	if i < 0 {
		return record.Options{}, exit{exitUsage, fmt.Errorf("--args %s: there are none, safe and all", r.args)}
	}
	if err := r.check(); err != nil {
		return record.Options{}, err
	}
	if !slices.Contains([]string{"", "ebpf", "notify", "ptrace"}, r.backend) {
		return record.Options{}, exit{exitUsage, fmt.Errorf("--backend %s: there are ebpf, notify and ptrace", r.backend)}
	}
	return record.Options{Default: r.other, Native: abi.Native(), Args: record.Args(i), Extra: loadersCalls(r.target)}, nil
}

// loadersCalls are the calls that the runtime which will load a gate makes behind it.
func loadersCalls(target string) []record.Extra {
	if slices.Contains([]string{"docker", "podman", "containerd", "kubernetes"}, target) {
		return []record.Extra{record.Runc}
	}
	return nil
}

// loadable is a policy's text as fmt would write it. It is loaded once, so that nobody gets a text that does not.
func loadable(name, text string, native abi.Arch) (string, error) {
	if _, err := policy.Load(name, []byte(text), policy.Options{Native: &native, ReadFile: policy.ReadIncluded}); err != nil {
		return "", err
	}
	parsed, err := policy.Parse(name, []byte(text))
	if err != nil {
		return "", err
	}
	return string(parsed.Format()), nil
}

// keep writes a gate that was learnt, in the format that is wanted.
func (l *learnFlags) keep(cmd *cobra.Command, name, text string, native abi.Arch) error {
	f, err := writable(l.to)
	if err != nil {
		return exit{exitUsage, err}
	}
	src := []byte(text)
	if f.Name != "gate" {
		p, err := policy.Load(name, src, policy.Options{Native: &native})
		if err != nil {
			return exit{exitUsage, err}
		}
		gateFormat, _ := format.Find("gate")
		t, err := format.Write(&format.Gate{Name: name, Format: gateFormat, Policy: p}, f, l.target, format.DefaultOptions())
		if err != nil {
			return exit{exitUsage, err}
		}
		src = t.Bytes
	}
	return keepText(cmd, l.out, src, f.Binary)
}

// keepText writes the gate; where that is impossible, to another place, which is named: a run may have taken hours.
func keepText(cmd *cobra.Command, out string, text []byte, binary bool) error {
	if out == "" || out == "-" {
		if binary && term.IsTerminal(int(os.Stdout.Fd())) {
			return exit{exitUsage, errors.New("a BPF program is no text: write it to a file with -o")}
		}
		_, err := cmd.OutOrStdout().Write(text)
		return err
	}
	err := writeFile(out, text)
	if err == nil {
		return nil
	}
	spare, terr := os.CreateTemp("", filepath.Base(out)+".*")
	if terr != nil {
		fmt.Fprintf(cmd.OutOrStdout(), "%s", text)
		return exit{exitFailed, fmt.Errorf("%w; the recording is on standard output", err)}
	}
	_, werr := spare.Write(text)
	if err2 := errors.Join(werr, spare.Close()); err2 != nil {
		fmt.Fprintf(cmd.OutOrStdout(), "%s", text)
		return exit{exitFailed, fmt.Errorf("%w; the recording is on standard output", err)}
	}
	return exit{exitFailed, fmt.Errorf("%w; the recording is in %s", err, spare.Name())}
}
