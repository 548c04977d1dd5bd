package main

import (
	"fmt"
	"slices"

	"monban/inspect"
	"monban/seccomp"
)

// dumpProcess reads all of a process. With an error, the process has its threads if those could be read.
func dumpProcess(pid int) (*inspect.Process, error) {
	threads, err := seccomp.Threads(pid)
	if err != nil {
		_, err = seccomp.Dump(pid) // says best what is wrong
		return nil, err
	}
	p := &inspect.Process{PID: pid}
	for _, t := range threads {
		p.Threads = append(p.Threads, inspect.Thread{TID: t.TID, Name: t.Name, Mode: t.Mode.String(), Filters: t.Filters, NoNewPrivs: t.NoNewPrivs})
	}
	for _, t := range threads {
		if t.Mode != seccomp.ModeFilter {
			continue
		}
		programs, err := seccomp.Dump(t.TID)
		if err != nil {
			return p, err
		}
		p.Add(t.TID, programs)
	}
	if p.Stacks == nil {
		_, err := seccomp.Dump(pid)
		if err == nil {
			err = seccomp.ErrNoFilter // it has changed since
		}
		return p, err
	}
	return p, nil
}

// findSharers looks for other processes with the same filters, by their number first.
func findSharers(p *inspect.Process) {
	all, err := seccomp.Confined()
	if err != nil {
		return
	}
	want := p.Stacks[0].Programs
	pids := []int{}
	for pid, threads := range all {
		if pid != p.PID && slices.ContainsFunc(threads, func(t seccomp.Thread) bool { return t.Filters < 0 || t.Filters == len(want) }) {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	for _, pid := range pids {
		if programs, err := seccomp.Dump(pid); err == nil && inspect.SameStack(programs, want) {
			p.Others = append(p.Others, fmt.Sprintf("%d %s", pid, all[pid][0].Name))
		}
	}
}
