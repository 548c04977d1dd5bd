package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"monban/bpf"
	"monban/learn"
	"monban/policy"
	"monban/scan"
	"monban/seccomp"
)

// tiers are what --reachable takes, as actions.
var tiers = map[string]policy.Action{"allow": {Kind: bpf.Allow}, "log": {Kind: bpf.Log}, "notify": {Kind: bpf.Notify},
	"errno": {Kind: bpf.Errno, Errno: "EPERM"}, "kill": {Kind: bpf.KillProcess}}

// A learnPlan is what learn is asked for.
type learnPlan struct {
	flags        recordFlags
	command      []string
	reachable    string
	chosen       bool // that was
	also, follow []string
	out          *cobra.Command
}

func learnCommand() *cobra.Command {
	var p learnPlan
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
			p.command, p.chosen, p.out = command, cmd.Flags().Changed("reachable"), cmd
			return p.run(cmd.Context())
		},
	}
	cmd.Flags().SetInterspersed(false)
	p.flags.register(cmd, "the action for what cannot be reached")
	cmd.Flags().StringVar(&p.reachable, "reachable", "log", "what can be reached and was not seen: allow, log, notify, errno, kill")
	cmd.Flags().StringArrayVar(&p.also, "also", nil, "a module that a program loads by dlopen (may be repeated)")
	cmd.Flags().StringArrayVar(&p.follow, "follow", nil, "a further program that may be executed (may be repeated)")
	return cmd
}

// run scans the program, records the run, scans what took part, and writes the gate.
func (p *learnPlan) run(ctx context.Context) error {
	o, err := p.flags.options()
	if err != nil {
		return err
	}
	tier, ok := tiers[p.reachable]
	if !ok {
		return exit{exitUsage, fmt.Errorf("--reachable %s: there are allow, log, notify, errno and kill", p.reachable)}
	}
	// The program is scanned first: what cannot be scanned should not have run for an hour.
	scanOptions := scan.Options{Also: p.also, Follow: p.follow}
	loadersEnvironment(&scanOptions)
	first, err := binaryOf(p.command[0])
	if err != nil {
		return err
	}
	scanned := working("scanning " + first)
	r, err := scan.Files(ctx, []string{first}, scanOptions)
	scanned()
	if err != nil {
		return exit{exitUsage, err}
	}
	if tier == tiers["log"] && !p.chosen && seccomp.Have(seccomp.ActionFeature(bpf.Log)) != nil {
		tier = tiers["errno"]
		say("this kernel cannot log calls: what is reachable and was not seen is refused (--reachable)")
	}
	rec, result, err := recorded(ctx, p.command, p.flags.backend, nil, true)
	if err != nil {
		return err
	}
	scanOptions.Follow = nil // they are scanned
	// An interrupt ends the scan, not the run's recording.
	scanning, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	scanned = working("scanning what took part")
	programs, lost := scanRest(scanning, r, rec, first, scanOptions)
	scanned()
	stop()
	f, err := learn.Tiers(rec, r, o, tier)
	if err != nil {
		return exit{exitUsage, err}
	}
	f.Lines = slices.Concat(learntNotes(rec, r, o, programs, lost, tier), f.Lines)
	if err := p.flags.keep(p.out, f, o.Native); err != nil {
		return err
	}
	if status := statusOf(result); status != 0 {
		return exit{status, nil}
	}
	return nil
}
