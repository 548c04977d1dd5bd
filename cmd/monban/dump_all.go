package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"monban/abi"
	"monban/bpf"
	"monban/format"
	"monban/internal/plain"
	"monban/internal/regular"
	"monban/policy/lang"
	"monban/seccomp"
	"monban/verdict"
)

// A confined process is a line of dump --all.
type confined struct {
	PID          int    `json:"pid"`
	User         string `json:"user"`
	Name         string `json:"name"`
	Mode         string `json:"mode"` // of its first thread; mixed where others are in another
	Threads      int    `json:"threads"`
	Filters      *int   `json:"filters,omitempty"`      // of its first thread
	Instructions *int   `json:"instructions,omitempty"` // of all of them; missing where they can't be read
	Equals       string `json:"equals,omitempty"`       // the preset that they equal together
}

// dumpAll lists the confined processes.
func dumpAll(w io.Writer, asJSON bool) error {
	all, err := seccomp.Confined()
	if err != nil {
		return exit{exitUsage, err}
	}
	rows := []confined{}
	names := presetNamer{}
	unread := 0
	var why error
	for _, pid := range slices.Sorted(maps.Keys(all)) {
		threads := all[pid]
		first := threads[0]
		row := confined{PID: pid, User: userName(first.UID), Name: first.Name, Mode: first.Mode.String(), Threads: len(threads)}
		if slices.ContainsFunc(threads, func(t seccomp.Thread) bool { return t.Mode != first.Mode || t.Filters != first.Filters }) {
			row.Mode = "mixed"
		}
		if first.Filters >= 0 {
			row.Filters = &first.Filters
		}
		if first.Mode == seccomp.ModeFilter {
			programs, err := seccomp.Dump(pid)
			switch {
			case err == nil:
				n := 0
				for _, p := range programs {
					n += len(p)
				}
				row.Instructions, row.Equals = &n, names.of(programs)
			case errors.Is(err, syscall.ESRCH) || errors.Is(err, seccomp.ErrNoFilter):
				continue // it ended meanwhile
			default:
				unread, why = unread+1, err
			}
		}
		rows = append(rows, row)
	}
	if asJSON {
		return printJSON(w, "dump-all/1", map[string]any{"processes": rows})
	}
	if len(rows) == 0 {
		plain.Fprintf(w, "no process here is confined by seccomp\n")
		return nil
	}
	printRows(w, rows)
	if unread > 0 {
		say("the filters of %s could not be read; the last one: %v", plain.Count(unread, "process"), why)
	}
	return nil
}

func printRows(w io.Writer, rows []confined) {
	const format = "%7s %-10s %-6s %7s %7s %7s  %-12s %s"
	plain.Fprintf(w, "%s\n", styled(w, faint, fmt.Sprintf(format, "PID", "USER", "MODE", "FILTERS", "INSTRS", "THREADS", "EQUALS", "NAME")))
	number := func(n *int) string {
		if n == nil {
			return "-"
		}
		return strconv.Itoa(*n)
	}
	for _, r := range rows {
		equals := r.Equals
		if equals == "" {
			equals = "-"
		}
		plain.Fprintf(w, format+"\n", strconv.Itoa(r.PID), r.User, r.Mode, number(r.Filters), number(r.Instructions), strconv.Itoa(r.Threads), equals,
			r.Name)
	}
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

// A presetNamer knows which preset a stack of filters equals; each different stack is looked at once.
type presetNamer struct {
	space   *verdict.Space
	presets []named
	seen    []seenStack
}

type named struct {
	name    string
	verdict verdict.Verdict
}

type seenStack struct {
	programs []bpf.Program
	name     string
}

func (n *presetNamer) of(programs []bpf.Program) string {
	for _, s := range n.seen {
		if sameStack(s.programs, programs) {
			return s.name
		}
	}
	if n.space == nil {
		n.load()
	}
	name := ""
	if v, err := n.space.OfStack(programs, abi.Native().ByteOrder()); err == nil {
		for _, p := range n.presets {
			if p.verdict == v {
				name = p.name
			}
		}
	}
	n.seen = append(n.seen, seenStack{programs, name})
	return name
}

// load reads the presets, as Monban compiles them here, and the container's as runc does.
func (n *presetNamer) load() {
	n.space = verdict.NewSpace(verdict.DefaultBudget)
	o := format.Options{}
	for _, preset := range lang.Presets() {
		g, err := format.Read(preset, o)
		if err != nil {
			continue // not for this architecture
		}
		if v, err := g.In(n.space).Verdict(); err == nil {
			n.presets = append(n.presets, named{preset, v})
		}
		if preset != wellKnown {
			continue
		}
		oci, _ := format.Find("oci")
		text, err := format.Write(g, oci, "docker", o)
		if err != nil {
			continue
		}
		runc := o
		runc.Runtime = "runc"
		if g, err = format.Parse(oci, preset, text.Bytes, runc); err != nil {
			continue
		}
		if v, err := g.In(n.space).Verdict(); err == nil {
			n.presets = append(n.presets, named{"docker", v})
		}
	}
}
