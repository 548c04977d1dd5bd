package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"monban/record"
)

// attachFlags say what runs already.
type attachFlags struct {
	pid               int
	cgroup, container string
	asked             bool // for one of them
}

func (f *attachFlags) register(cmd *cobra.Command) {
	cmd.Flags().IntVar(&f.pid, "pid", 0, "record a process that runs already, and what it has started, until it ends or you interrupt")
	cmd.Flags().StringVar(&f.cgroup, "cgroup", "", "record the processes of a control group, in the same way")
	cmd.Flags().StringVar(&f.container, "container", "", "record a container, by its ID, in the same way")
	cmd.MarkFlagsMutuallyExclusive("pid", "cgroup", "container")
}

// given notes whether one of the flags was given. An empty one is somebody's mistake.
func (f *attachFlags) given(flags *pflag.FlagSet) error {
	for _, name := range []string{"pid", "cgroup", "container"} {
		flag := flags.Lookup(name)
		if flag.Changed && flag.Value.String() == "" {
			return exit{exitUsage, fmt.Errorf("--%s is empty", name)}
		}
		f.asked = f.asked || flag.Changed
	}
	return nil
}

// record records it until it ends or somebody interrupts.
func (f *attachFlags) record(ctx context.Context) (*record.Recording, error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	pids := func() ([]int, error) { return record.Tree(f.pid) }
	what := fmt.Sprintf("process %d", f.pid)
	if f.container != "" {
		cgroup, err := record.Container(f.container)
		if err != nil {
			return nil, exit{exitUsage, err}
		}
		f.cgroup = cgroup
	}
	if f.cgroup != "" {
		pids = func() ([]int, error) { return record.Cgroup(f.cgroup) }
		what = "the control group " + f.cgroup
	}
	live := newLiveLine()
	if live != nil {
		say("recording %s; end with Ctrl-C", what)
	}
	rec, err := record.Attach(ctx, []string{what}, pids, record.Run{Seen: live.seen()})
	live.end()
	if err == nil {
		sayLost(rec)
	}
	var un *record.UnavailableError
	if errors.As(err, &un) {
		err = fmt.Errorf("what runs already is recorded by eBPF, which does not work here: %w", privileged(err))
	}
	return rec, usage(err)
}
