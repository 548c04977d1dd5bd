package main

import (
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"monban/inspect"
	"monban/internal/plain"
	"monban/internal/regular"
	"monban/report"
	"monban/seccomp"
)

// dumpAll lists the confined processes.
func dumpAll(w io.Writer, asJSON bool) error {
	all, err := seccomp.Confined()
	if err != nil {
		return exit{exitUsage, err}
	}
	var rows []inspect.ConfinedProcess
	var presets inspect.Presets
	unread := 0
	var why error
	for _, pid := range slices.Sorted(maps.Keys(all)) {
		threads := all[pid]
		first := threads[0]
		row := inspect.ConfinedProcess{PID: pid, User: userName(first.UID), Name: first.Name, Mode: first.Mode.String(), Threads: len(threads),
			Filters: first.Filters, Instructions: -1}
		if slices.ContainsFunc(threads, func(t seccomp.Thread) bool { return t.Mode != first.Mode || t.Filters != first.Filters }) {
			row.Mode = "mixed"
		}
		if first.Mode == seccomp.ModeFilter {
			programs, err := seccomp.Dump(pid)
			switch {
			case err == nil:
				row.Instructions, row.Equals = inspect.Instructions(programs), presets.Name(programs)
			case errors.Is(err, syscall.ESRCH) || errors.Is(err, seccomp.ErrNoFilter):
				continue // it ended meanwhile
			default:
				unread, why = unread+1, err
			}
		}
		rows = append(rows, row)
	}
	if asJSON {
		return report.ConfinedJSON(w, rows)
	}
	if err := report.ConfinedText(w, rows, style(w)); err != nil {
		return err
	}
	if unread > 0 {
		say("the filters of %s could not be read; the last one: %v", plain.Count(unread, "process"), why)
	}
	return nil
}

func userName(uid int) string {
	if uid < 0 {
		return "?"
	}
	if name := userNames()[uid]; name != "" && len(name) <= 10 {
		return name
	}
	return strconv.Itoa(uid)
}

// userNames are the users of /etc/passwd. Package os/user would ask libc, and so link it, where there is cgo.
var userNames = sync.OnceValue(func() map[int]string {
	names := map[int]string{}
	users, _ := regular.Read("/etc/passwd", 16<<20)
	for line := range strings.Lines(string(users)) {
		fields := strings.Split(line, ":")
		if len(fields) < 3 {
			continue
		}
		if uid, err := strconv.Atoi(fields[2]); err == nil && names[uid] == "" {
			names[uid] = fields[0]
		}
	}
	return names
})
