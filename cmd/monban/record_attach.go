package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"monban/record"
)

// attachFlags say what runs already.
type attachFlags struct {
	pid               int
	cgroup, container string
	given             bool // one of them
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
