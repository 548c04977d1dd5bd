package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/internal/plain"
	"monban/policy/decompile"
	"monban/policy/lang"
	"monban/seccomp"
)

func dumpCommand() *cobra.Command {
	var out string
	var asJSON, asPolicy, each, all bool
	cmd := &cobra.Command{
		Use:   "dump [flags] PID | --all",
		Short: "the filters of live processes",
		Long: `Dump reads the seccomp filters of a live process from the kernel, all of the stack, the oldest
first, and says what mode each of its threads is in and which other processes have the same filters.
It needs root. The process is not touched; before Linux 6.1 it is stopped for a moment, and goes on
as if it had not been. Without root, the modes are said all the same.

Without -o and --policy the filters are listed instruction by instruction. With --policy, what they
come to together is written as a policy, which is proven; --each writes each filter's own before it.
-o writes the raw programs; where there are several, .1, .2 … is added to the file's name.

--all lists the confined processes: their mode, filters and instructions, and the preset that their
filters equal, if there is one.`,
		Example: `  monban dump 1234 --policy
  monban dump 1234 -o container.bpf
  monban dump --all`,
		Args: func(cmd *cobra.Command, args []string) error {
			if all {
				return takes()(cmd, args)
			}
			return takes("PID")(cmd, args)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			w := cmd.OutOrStdout()
			if all {
				return dumpAll(w, asJSON)
			}
			pid, err := strconv.Atoi(args[0])
			if err != nil || pid <= 0 {
				return exit{exitUsage, fmt.Errorf("%q is not a process id: it is a number, as ps shows it", args[0])}
			}
			d, err := dumpProcess(pid)
			mark := ";" // a comment of listings, and of policies
			if asPolicy || each {
				mark = "#"
			}
			if err != nil {
				if d != nil && !asJSON && out == "" {
					d.printThreads(w, mark)
				}
				return exit{exitUsage, err}
			}
			switch {
			case out != "":
				return usage(d.write(w, out))
			case asJSON:
				return printJSON(w, "dump/1", d.object())
			}
			d.printThreads(w, mark)
			d.shared()
			d.printShared(w, mark)
			if asPolicy || each {
				return usage(d.policies(w, each))
			}
			return d.list(w)
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "write the raw programs to files instead of showing them")
	cmd.Flags().BoolVar(&asPolicy, "policy", false, "as a policy: what all of them come to")
	cmd.Flags().BoolVar(&each, "each", false, "as policies: each filter, and what all of them come to")
	cmd.Flags().BoolVar(&all, "all", false, "list all confined processes")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("output", "policy", "each", "all")
	return cmd
}

// A dumping is a process and its filters.
type dumping struct {
	pid     int
	threads []seccomp.Thread
	stacks  []stackOf // different ones, in order of the first thread that has them
	others  []string  // other processes with the first of them: "1234 nginx"
}

// A stackOf is the filters of some threads.
type stackOf struct {
	programs []bpf.Program
	tids     []int
}

// dumpProcess reads all of a process. With an error, the dumping has the threads if those could be read.
func dumpProcess(pid int) (*dumping, error) {
	threads, err := seccomp.Threads(pid)
	if err != nil {
		_, err = seccomp.Dump(pid) // says best what is wrong
		return nil, err
	}
	d := &dumping{pid: pid, threads: threads}
	for _, t := range threads {
		if t.Mode != seccomp.ModeFilter {
			continue
		}
		programs, err := seccomp.Dump(t.TID)
		if err != nil {
			return d, err
		}
		d.add(programs, t.TID)
	}
	if d.stacks == nil {
		_, err := seccomp.Dump(pid)
		if err == nil {
			err = seccomp.ErrNoFilter // it has changed since
		}
		return d, err
	}
	return d, nil
}

func (d *dumping) add(programs []bpf.Program, tid int) {
	for i := range d.stacks {
		if sameStack(d.stacks[i].programs, programs) {
			d.stacks[i].tids = append(d.stacks[i].tids, tid)
			return
		}
	}
	d.stacks = append(d.stacks, stackOf{programs, []int{tid}})
}

func sameStack(a, b []bpf.Program) bool {
	return slices.EqualFunc(a, b, func(p, q bpf.Program) bool { return slices.Equal(p, q) })
}

// shared looks for other processes with the same filters, by their number first.
func (d *dumping) shared() {
	all, err := seccomp.Confined()
	if err != nil {
		return
	}
	want := d.stacks[0].programs
	pids := []int{}
	for pid, threads := range all {
		if pid != d.pid && slices.ContainsFunc(threads, func(t seccomp.Thread) bool { return t.Filters < 0 || t.Filters == len(want) }) {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	for _, pid := range pids {
		if programs, err := seccomp.Dump(pid); err == nil && sameStack(programs, want) {
			d.others = append(d.others, fmt.Sprintf("%d %s", pid, all[pid][0].Name))
		}
	}
}

// printThreads says what mode the threads are in, those that are alike in one line. The lines are comments of listings and policies.
func (d *dumping) printThreads(w io.Writer, mark string) {
	type kind struct {
		mode       seccomp.Mode
		filters    int
		noNewPrivs bool
	}
	var kinds []kind
	tids := map[kind][]string{}
	for _, t := range d.threads {
		k := kind{t.Mode, t.Filters, t.NoNewPrivs}
		if tids[k] == nil {
			kinds = append(kinds, k)
		}
		tids[k] = append(tids[k], strconv.Itoa(t.TID))
	}
	for _, k := range kinds {
		text := fmt.Sprintf("process %d (%s): %s in mode %s", d.pid, d.threads[0].Name, plain.Count(len(tids[k]), "thread"), k.mode)
		if k.mode == seccomp.ModeFilter && k.filters >= 0 {
			text += ", " + plain.Count(k.filters, "filter")
		}
		if k.noNewPrivs {
			text += ", no_new_privs"
		}
		if len(kinds) > 1 {
			text += ": " + fitting(tids[k], 60)
		}
		plain.Paragraph(w, mark+"   ", "%s %s", mark, text)
	}
}

func (d *dumping) printShared(w io.Writer, mark string) {
	if len(d.stacks) > 1 {
		for i, s := range d.stacks {
			var tids []string
			for _, tid := range s.tids {
				tids = append(tids, strconv.Itoa(tid))
			}
			plain.Paragraph(w, mark+"   ", "%s stack %d of %d, of the threads %s", mark, i+1, len(d.stacks), fitting(tids, 60))
		}
	}
	if d.others != nil {
		names := d.others
		if len(names) > 8 {
			names = append(names[:8:8], fmt.Sprintf("and %d more", len(d.others)-8))
		}
		plain.Paragraph(w, mark+"   ", "%s the same filters: %s", mark, strings.Join(names, ", "))
	}
}

// gates are the stacks as gates.
func (d *dumping) gates() []*gate.Gate {
	var out []*gate.Gate
	for i, s := range d.stacks {
		name := fmt.Sprintf("pid:%d", d.pid)
		if len(d.stacks) > 1 {
			name = fmt.Sprintf("pid:%d, stack %d", d.pid, i+1)
		}
		out = append(out, gate.OfPrograms(name, abi.Native().ByteOrder(), s.programs...))
	}
	return out
}

func (d *dumping) list(w io.Writer) error {
	for i, g := range d.gates() {
		if i > 0 {
			plain.Fprintf(w, "\n")
		}
		if err := list(w, g.Name, g.Programs, g.Order); err != nil {
			return err
		}
	}
	return nil
}

// write writes the programs as they are; of several stacks, all of each.
func (d *dumping) write(w io.Writer, out string) error {
	var all []bpf.Program
	for _, s := range d.stacks {
		all = append(all, s.programs...)
	}
	for i, p := range all {
		name := out
		if len(all) > 1 {
			name = fmt.Sprintf("%s.%d", out, i+1)
		}
		if err := writeFile(name, p.Encode(abi.Native().ByteOrder())); err != nil {
			return err
		}
		plain.Fprintf(w, "%s: %s (what it means: monban explain %s)\n", name, plain.Count(len(p), "instruction"), name)
	}
	return nil
}

// policies writes what the filters come to, and where each is asked for, each one's own meaning before that.
func (d *dumping) policies(w io.Writer, each bool) error {
	for _, g := range d.gates() {
		parts := [][]bpf.Program{}
		if each && len(g.Programs) > 1 {
			for i := range g.Programs {
				parts = append(parts, g.Programs[i:i+1])
			}
		}
		for i, programs := range append(parts, g.Programs) {
			what := fmt.Sprintf("filter %d of %d of %s", i+1, len(g.Programs), g.Name)
			if i == len(parts) {
				what = g.Name
				if n := len(programs); n > 1 {
					what += ", its " + plain.Count(n, "filter") + " together"
				}
			}
			text, err := decompiled(what, programs)
			if err != nil {
				return err
			}
			plain.Fprintf(w, "\n# %s\n\n", what)
			if _, err := io.WriteString(w, text); err != nil {
				return err
			}
		}
	}
	return nil
}

func decompiled(name string, programs []bpf.Program) (string, error) {
	native := abi.Native()
	v, err := gate.OfPrograms(name, native.ByteOrder(), programs...).Verdict()
	if err != nil {
		return "", err
	}
	p, notes, err := decompile.Policy(name, v, native, nil)
	if err != nil {
		return "", fmt.Errorf("%w (without --policy it is listed instruction by instruction)", err)
	}
	head := &lang.File{}
	for _, n := range notes {
		head.Paragraph("note: %s", n)
	}
	f := lang.New(p)
	f.Lines = slices.Concat(head.Lines, f.Lines)
	return f.String(), nil
}

type threadObject struct {
	TID        int    `json:"tid"`
	Name       string `json:"name"`
	Mode       string `json:"mode"`
	Filters    *int   `json:"filters,omitempty"`
	NoNewPrivs bool   `json:"no_new_privs"`
	Stack      *int   `json:"stack,omitempty"`
}

func (d *dumping) object() any {
	type stack struct {
		Filters []listing `json:"filters"`
		Policy  string    `json:"policy,omitempty"`
	}
	d.shared()
	var stacks []stack
	of := map[int]int{}
	for i, g := range d.gates() {
		text, err := decompiled(g.Name, g.Programs)
		if err != nil {
			text = ""
		}
		stacks = append(stacks, stack{listingsOf(g.Programs, g.Order), text})
		for _, tid := range d.stacks[i].tids {
			of[tid] = i
		}
	}
	var threads []threadObject
	for _, t := range d.threads {
		o := threadObject{TID: t.TID, Name: t.Name, Mode: t.Mode.String(), NoNewPrivs: t.NoNewPrivs}
		if t.Filters >= 0 {
			o.Filters = &t.Filters
		}
		if i, ok := of[t.TID]; ok {
			o.Stack = &i
		}
		threads = append(threads, o)
	}
	return struct {
		PID     int            `json:"pid"`
		Threads []threadObject `json:"threads"`
		Stacks  []stack        `json:"stacks"`
		Filters []listing      `json:"filters"` // of the first stack
		Others  []string       `json:"same_filters,omitempty"`
	}{d.pid, threads, stacks, stacks[0].Filters, d.others}
}
