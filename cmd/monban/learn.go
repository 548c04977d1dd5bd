package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"monban/bpf"
	"monban/internal/plain"
	"monban/internal/regular"
	"monban/learn"
	"monban/policy"
	"monban/policy/lang"
	"monban/record"
	"monban/scan"
	"monban/seccomp"
)

// tiers are what --reachable takes, as actions.
var tiers = map[string]policy.Action{"allow": {Kind: bpf.Allow}, "log": {Kind: bpf.Log}, "notify": {Kind: bpf.Notify},
	"errno": {Kind: bpf.Errno, Errno: "EPERM"}, "kill": {Kind: bpf.KillProcess}}

func learnCommand() *cobra.Command {
	var reachable string
	var flags recordFlags
	var also, follow []string
	cmd := &cobra.Command{
		Use:   "learn [flags] [--] COMMAND [ARG…]",
		Short: "learn a gate from a run and its binaries",
		Long: `Learn records a run, as record does, scans the programs that took part in it, as scan does, and
writes one gate with three tiers: what was observed is allowed; what the programs can reach but did
not do is for --reachable to say; what they cannot reach is refused.

--reachable is log (the default: it passes, and the kernel's log tells, so that a later record
--from-denials kmsg:/dev/kmsg or a look at the log can move it to the first tier), allow, notify,
errno or kill.`,
		Example: `  monban learn -o app.gate -- ./app --once
  monban learn --reachable errno -o app.gate -- ./app`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("no command given (try: monban learn -o ls.gate -- ls)")
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, command []string) error {
			o, err := flags.options()
			if err != nil {
				return err
			}
			tier, ok := tiers[reachable]
			if !ok {
				return exit{exitUsage, fmt.Errorf("--reachable %s: there are allow, log, notify, errno and kill", reachable)}
			}
			// The program is scanned first: what cannot be scanned should not have run for an hour.
			scanOptions := scan.Options{Also: also, Follow: follow}
			loadersEnvironment(&scanOptions)
			first, err := binaryOf(command[0])
			if err != nil {
				return err
			}
			scanned := working("scanning " + first)
			r, err := scan.Files(cmd.Context(), []string{first}, scanOptions)
			scanned()
			if err != nil {
				return exit{exitUsage, err}
			}
			if tier == tiers["log"] && !cmd.Flags().Changed("reachable") && seccomp.Have(seccomp.ActionFeature(bpf.Log)) != nil {
				tier = tiers["errno"]
				say("this kernel cannot log calls: what is reachable and was not seen is refused (--reachable)")
			}
			rec, result, err := recorded(cmd.Context(), command, flags.backend, nil, true)
			if err != nil {
				return err
			}
			scanOptions.Follow = nil // they are scanned
			// An interrupt ends the scan, not the run's recording.
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			scanned = working("scanning what took part")
			programs, lost := scanRest(ctx, r, rec, first, scanOptions)
			scanned()
			stop()
			f, err := learn.Tiers(rec, r, o, tier)
			if err != nil {
				return exit{exitUsage, err}
			}
			f.Lines = slices.Concat(learntNotes(rec, r, o, programs, lost, tier), f.Lines)
			if err := flags.keep(cmd, f, o.Native); err != nil {
				return err
			}
			if status := statusOf(result); status != 0 {
				return exit{status, nil}
			}
			return nil
		},
	}
	cmd.Flags().SetInterspersed(false)
	flags.register(cmd, "the action for what cannot be reached")
	cmd.Flags().StringVar(&reachable, "reachable", "log", "what can be reached and was not seen: allow, log, notify, errno, kill")
	cmd.Flags().StringArrayVar(&also, "also", nil, "a module that a program loads by dlopen (may be repeated)")
	cmd.Flags().StringArrayVar(&follow, "follow", nil, "a further program that may be executed (may be repeated)")
	return cmd
}

// binaryOf is the ELF file that a command runs: of a script, its interpreter.
func binaryOf(command string) (string, error) {
	path, err := findCommand(command)
	if err != nil {
		return "", err
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", err
	}
	for range 4 { // as many as the kernel follows
		f, err := regular.Open(path)
		if err != nil {
			return "", exit{126, fmt.Errorf("%s: %w", command, cause(err))}
		}
		head := make([]byte, 256)
		n, _ := f.Read(head)
		f.Close()
		line, script := bytes.CutPrefix(head[:n], []byte("#!"))
		if !script {
			return path, nil
		}
		line, _, _ = bytes.Cut(line, []byte("\n"))
		words := strings.Fields(string(line))
		if len(words) == 0 {
			break
		}
		path = words[0]
		if filepath.Base(path) == "env" && len(words) > 1 && !strings.HasPrefix(words[1], "-") {
			if found, err := exec.LookPath(words[1]); err == nil {
				path = found
			}
		}
	}
	return path, nil
}

// scanRest scans the programs that took part in a run, with what they loaded, adds what they reach, and says which ones are scanned now
// and which could not be. What took part is known by its file: a program chooses its own name.
func scanRest(ctx context.Context, r *scan.Result, rec *record.Recording, first string, o scan.Options) (files, lost []string) {
	files = []string{first}
	for _, program := range slices.Sorted(maps.Keys(rec.Files)) {
		if !rec.Is(program) {
			lost = append(lost, program)
			continue
		}
		path := program
		k := slices.IndexFunc(files, func(f string) bool { return sameFile(f, path) })
		again := k >= 0
		if again {
			path = files[k]
		}
		o.Mapped = nil
		for _, file := range slices.Sorted(maps.Keys(rec.Files[program])) {
			if rec.Is(file) {
				o.Mapped = append(o.Mapped, file)
			} else {
				lost = append(lost, file)
			}
		}
		if again && !slices.ContainsFunc(o.Mapped, func(f string) bool { return !slices.Contains(r.Files, f) }) {
			continue
		}
		one, err := scan.Files(ctx, []string{path}, o)
		if err == nil {
			err = r.Add(one)
		}
		switch {
		case err != nil:
			lost = append(lost, program)
		case !again:
			files = append(files, path)
		}
	}
	lost = append(lost, r.Missed...)
	slices.Sort(lost)
	return files, slices.Compact(lost)
}

// sameFile says whether two paths lead to one file.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	y, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(x, y)
}

// learntNotes are what a reader has to know about the gate.
func learntNotes(rec *record.Recording, r *scan.Result, o learn.Options, programs, lost []string, tier policy.Action) []lang.Line {
	f := &lang.File{}
	f.Note("Learnt by monban learn, in three tiers: observed (allowed), reachable but never seen (%s), unreachable (%s).", tier, o.Default)
	f.Note("Scanned: %s, and what they load; they reach %s.", strings.Join(programs, " "), plain.Count(len(r.Calls), "call"))
	if len(lost) > 0 {
		f.Note("Not scanned, because they are not there (any more) or cannot be: %s (name their files with --follow).", strings.Join(lost, " "))
	}
	if len(rec.Files) == 0 || rec.FilesLost {
		f.Note("Which programs took part, and which modules they loaded, is not known here, or not of all: name them with --follow and --also.")
	}
	scanNotes(f, r)
	f.Note("")
	return f.Lines
}
