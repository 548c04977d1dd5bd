package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/bpf"
	"monban/format"
	"monban/format/codec"
	"monban/gate"
	"monban/learn"
	"monban/policy"
	"monban/policy/lang"
	"monban/record"
)

// learnFlags are what record, learn and scan take: they make gates.
type learnFlags struct {
	out, to, target, other string
	action                 policy.Action // other, once it is checked
}

func (l *learnFlags) register(cmd *cobra.Command, other string) {
	cmd.Flags().StringVarP(&l.out, "output", "o", "", "write the gate to this file")
	cmd.Flags().StringVar(&l.to, "to", "gate", "format of the gate: as convert's --to")
	cmd.Flags().StringVar(&l.target, "for", "", "the runtime that will load it; its own calls are allowed, too")
	cmd.Flags().StringVar(&l.other, "default", "errno(EPERM)", other)
}

// check says what is wrong with them before anything runs.
func (l *learnFlags) check() error {
	action, err := lang.ParseAction(l.other)
	if err != nil {
		return exit{exitUsage, fmt.Errorf("--default: %w", err)}
	}
	l.action = action
	f, err := writable(l.to)
	if err != nil {
		return exit{exitUsage, err}
	}
	if targets := append(slices.Clone(f.For), containerTargets...); l.target != "" && !slices.Contains(targets, l.target) {
		return exit{exitUsage, fmt.Errorf("--for %s: there are %s", l.target, strings.Join(slices.Compact(slices.Sorted(slices.Values(targets))), ", "))}
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

// options say how the recording becomes a gate.
func (r *recordFlags) options() (learn.Options, error) {
	i := slices.Index([]string{"none", "safe", "all"}, r.args)
	if i < 0 {
		return learn.Options{}, exit{exitUsage, fmt.Errorf("--args %s: there are none, safe and all", r.args)}
	}
	if err := r.check(); err != nil {
		return learn.Options{}, err
	}
	if r.to == "systemd" && r.args != "none" {
		return learn.Options{}, exit{exitUsage, errors.New("--to systemd: units name calls only, without arguments: add --args none")}
	}
	if r.backend != "" && !slices.ContainsFunc(record.Backends(), func(b record.Backend) bool { return b.Name == r.backend }) {
		return learn.Options{}, exit{exitUsage, fmt.Errorf("--backend %s: there are ebpf, notify and ptrace", r.backend)}
	}
	return learn.Options{Default: &r.action, Native: abi.Native(), Args: record.Args(i), Extra: loadersCalls(r.target)}, nil
}

// containerTargets are what start containers with runc.
var containerTargets = []string{"docker", "podman", "containerd", "kubernetes"}

// loadersCalls are the calls that the runtime which will load a gate makes behind it.
func loadersCalls(target string) []learn.Extra {
	if slices.Contains(containerTargets, target) {
		return []learn.Extra{learn.Runc()}
	}
	return nil
}

// name is the gate's in messages, and what its includes start from.
func (l *learnFlags) name() string {
	if l.out == "" || l.out == "-" {
		return "the recording"
	}
	return l.out
}

// keep writes a gate that was learnt, in the format that is wanted. Where that format cannot say it, the gate itself is
// kept.
func (l *learnFlags) keep(cmd *cobra.Command, file *lang.File, native abi.Arch) error {
	f, err := writable(l.to)
	if err != nil {
		return exit{exitUsage, err}
	}
	file.Name = l.name()
	text := []byte(file.String())
	// Nobody gets a text that is not a policy.
	p, err := file.Resolve(lang.Options{Native: native, ReadFile: lang.ReadIncluded})
	if err != nil {
		return inSpare(cmd, cmp.Or(l.out, "monban")+".gate", text, exit{exitFailed, fmt.Errorf("%w; please report this", err)})
	}
	if f.Name == "gate" {
		return keepText(cmd, l.out, text, false)
	}
	src, err := l.converted(p, f)
	if err != nil {
		return inSpare(cmd, cmp.Or(l.out, "monban")+".gate", text, exit{exitUsage, err})
	}
	return keepText(cmd, l.out, src, f.Binary)
}

func (l *learnFlags) converted(p *policy.Policy, f codec.Format) ([]byte, error) {
	target := l.target
	if !slices.Contains(f.For, target) {
		target = ""
	}
	// What numbers that nobody has get was nobody's wish: a format that cannot say errno(ENOSYS) says what it can.
	unknown := []policy.Action{p.Unknown}
	if (p.Unknown == policy.Action{Kind: bpf.Errno, Errno: "ENOSYS"}) {
		unknown = append(unknown, p.Default, policy.Action{Kind: bpf.KillProcess})
	}
	var first error
	for _, p.Unknown = range unknown {
		t, err := format.Write(gate.OfPolicy(p.Name, p), f, target, format.Options{})
		if err == nil {
			return t.Bytes, nil
		}
		first = cmp.Or(first, err)
	}
	return nil, first
}

// keepText writes the gate; where that is impossible, to another place, which is named: a run may have taken hours.
func keepText(cmd *cobra.Command, out string, text []byte, binary bool) error {
	if out != "" && out != "-" {
		if err := writeFile(out, text); err != nil {
			return inSpare(cmd, out, text, exit{exitFailed, err})
		}
		return nil
	}
	w, _ := cmd.OutOrStdout().(*output)
	if w == nil {
		_, err := cmd.OutOrStdout().Write(text)
		return err
	}
	if binary && terminal(w) {
		return inSpare(cmd, "monban.bpf", text, exit{exitUsage, errors.New("a BPF program is not text: write it to a file with -o")})
	}
	write := w.Write
	if binary {
		write = w.Raw
	}
	_, err := write(text)
	if err = cmp.Or(err, w.Flush()); err != nil {
		return inSpare(cmd, "monban.gate", text, exit{exitFailed, fmt.Errorf("cannot write standard output: %w", cause(err))})
	}
	return nil
}

// inSpare writes what could not go where it was wanted to the directory for temporary files, or else to standard
// output.
func inSpare(cmd *cobra.Command, out string, text []byte, why exit) error {
	spare, err := os.CreateTemp("", filepath.Base(out)+".*")
	if err == nil {
		_, werr := spare.Write(text)
		if err = errors.Join(werr, spare.Close()); err == nil {
			return exit{why.code, fmt.Errorf("%w; the gate is in %s", why.err, spare.Name())}
		}
		os.Remove(spare.Name())
	}
	if _, ok := cmd.OutOrStdout().(*output); ok {
		w := newStdout() // after an error the old one takes nothing
		if _, err := w.Write(text); err != nil || w.Flush() != nil {
			return exit{why.code, fmt.Errorf("%w; it is lost: %s cannot be written either", why.err, os.TempDir())}
		}
	}
	return exit{why.code, fmt.Errorf("%w; the gate is on standard output", why.err)}
}
