package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"monban/gate"
	"monban/inspect"
	"monban/internal/plain"
	"monban/policy/decompile"
	"monban/policy/lang"
)

// Comments of listings and of policies.
const (
	ListingComment = ";"
	PolicyComment  = "#"
)

// ThreadsText says what mode a process's threads are in, those of which the same is to say in one line. The lines are
// comments, which begin with mark.
func ThreadsText(w io.Writer, process *inspect.Process, mark string, o Options) error {
	p := o.printer(w)
	var kinds []inspect.Thread
	tids := map[inspect.Thread][]string{}
	for _, t := range process.Threads {
		kind := inspect.Thread{Mode: t.Mode, Filters: t.Filters, NoNewPrivs: t.NoNewPrivs}
		if tids[kind] == nil {
			kinds = append(kinds, kind)
		}
		tids[kind] = append(tids[kind], strconv.Itoa(t.TID))
	}
	for _, k := range kinds {
		text := fmt.Sprintf("process %d (%s): %s in mode %s", process.PID, process.Threads[0].Name, plain.Count(len(tids[k]), "thread"), k.Mode)
		if k.Mode == "filter" && k.Filters >= 0 {
			text += ", " + plain.Count(k.Filters, "filter")
		}
		if k.NoNewPrivs {
			text += ", no_new_privs"
		}
		if len(kinds) > 1 {
			text += ": " + fitting(tids[k], 60)
		}
		p.Paragraph(mark+"   ", "%s %s", mark, text)
	}
	return p.Err()
}

// SharersText says which threads have which stack of filters, and which other processes have the same.
func SharersText(w io.Writer, process *inspect.Process, mark string, o Options) error {
	p := o.printer(w)
	if len(process.Stacks) > 1 {
		for i, s := range process.Stacks {
			var tids []string
			for _, tid := range s.TIDs {
				tids = append(tids, strconv.Itoa(tid))
			}
			p.Paragraph(mark+"   ", "%s stack %d of %d, of the threads %s", mark, i+1, len(process.Stacks), fitting(tids, 60))
		}
	}
	if names := process.Others; names != nil {
		if n := len(names) - 8; n > 0 {
			names = append(names[:8:8], fmt.Sprintf("and %d more", n))
		}
		p.Paragraph(mark+"   ", "%s the same filters: %s", mark, strings.Join(names, ", "))
	}
	return p.Err()
}

// FiltersText lists a process's filters instruction by instruction.
func FiltersText(w io.Writer, process *inspect.Process) error {
	for i, g := range process.Gates() {
		if i > 0 {
			Options{}.printer(w).Printf("\n")
		}
		if err := ListingText(w, g.Name, g.Programs, g.Order); err != nil {
			return err
		}
	}
	return nil
}

// FiltersGate writes what a process's filters mean together as policies, and, with each, what each filter means before
// that. The error is decompile.ErrNotPolicy or the gate's.
func FiltersGate(w io.Writer, process *inspect.Process, each bool) error {
	p := Options{}.printer(w)
	for _, g := range process.Gates() {
		var parts []*gate.Gate
		if n := len(g.Programs); each && n > 1 {
			for i := range g.Programs {
				name := fmt.Sprintf("filter %d of %d of %s", i+1, n, g.Name)
				parts = append(parts, gate.OfPrograms(name, g.Order, g.Programs[i]))
			}
		}
		if n := len(g.Programs); n > 1 {
			g = gate.OfPrograms(g.Name+", its "+plain.Count(n, "filter")+" together", g.Order, g.Programs...)
		}
		for _, part := range append(parts, g) {
			text, err := decompiled(part)
			if err != nil {
				return err
			}
			p.Printf("\n# %s\n\n", part.Name)
			p.Text(text)
		}
	}
	return p.Err()
}

// decompiled is what filters mean as a policy's text, with notes on what that can't say.
func decompiled(g *gate.Gate) (string, error) {
	v, err := g.Verdict()
	if err != nil {
		return "", err
	}
	policy, notes, err := decompile.Policy(g.Name, v, g.Native(), nil)
	if err != nil {
		return "", err
	}
	head := &lang.File{}
	for _, n := range notes {
		head.Paragraph("note: %s", n)
	}
	f := lang.New(policy)
	f.Lines = slices.Concat(head.Lines, f.Lines)
	return f.String(), nil
}

// FiltersJSON writes monban/dump/1.
func FiltersJSON(w io.Writer, process *inspect.Process) error {
	type thread struct {
		TID        int    `json:"tid"`
		Name       string `json:"name"`
		Mode       string `json:"mode"`
		Filters    *int   `json:"filters,omitempty"`
		NoNewPrivs bool   `json:"no_new_privs"`
		Stack      *int   `json:"stack,omitempty"`
	}
	type stack struct {
		Filters []listing `json:"filters"`
		Policy  string    `json:"policy,omitempty"`
	}
	out := struct {
		PID     int       `json:"pid"`
		Threads []thread  `json:"threads"`
		Stacks  []stack   `json:"stacks"`
		Filters []listing `json:"filters"` // of the first stack
		Others  []string  `json:"same_filters,omitempty"`
	}{PID: process.PID, Others: process.Others}
	of := map[int]int{}
	for i, g := range process.Gates() {
		text, err := decompiled(g)
		if err != nil {
			text = "" // it has none
		}
		out.Stacks = append(out.Stacks, stack{listings(g.Programs, g.Order), text})
		for _, tid := range process.Stacks[i].TIDs {
			of[tid] = i
		}
	}
	if out.Stacks != nil {
		out.Filters = out.Stacks[0].Filters
	}
	for _, t := range process.Threads {
		o := thread{TID: t.TID, Name: t.Name, Mode: t.Mode, Filters: known(t.Filters), NoNewPrivs: t.NoNewPrivs}
		if i, ok := of[t.TID]; ok {
			o.Stack = &i
		}
		out.Threads = append(out.Threads, o)
	}
	return JSON(w, "dump/1", out)
}

// known is a number, nil where it is negative, and so not known.
func known(n int) *int {
	if n < 0 {
		return nil
	}
	return &n
}

// ConfinedText lists processes, a line each.
func ConfinedText(w io.Writer, processes []inspect.ConfinedProcess, o Options) error {
	p := o.printer(w)
	if len(processes) == 0 {
		p.Printf("no process here is confined by seccomp\n")
		return p.Err()
	}
	const format = "%7s %-10s %-6s %7s %7s %7s  %-12s %s"
	p.Printf("%s\n", p.Styled(faint, fmt.Sprintf(format, "PID", "USER", "MODE", "FILTERS", "INSTRS", "THREADS", "EQUALS", "NAME")))
	number := func(n int) string {
		if n < 0 {
			return "-"
		}
		return strconv.Itoa(n)
	}
	for _, c := range processes {
		equals := c.Equals
		if equals == "" {
			equals = "-"
		}
		p.Printf(format+"\n", strconv.Itoa(c.PID), c.User, c.Mode, number(c.Filters), number(c.Instructions), strconv.Itoa(c.Threads), equals, c.Name)
	}
	return p.Err()
}

// ConfinedJSON writes monban/dump-all/1.
func ConfinedJSON(w io.Writer, processes []inspect.ConfinedProcess) error {
	type process struct {
		PID          int    `json:"pid"`
		User         string `json:"user"`
		Name         string `json:"name"`
		Mode         string `json:"mode"`
		Threads      int    `json:"threads"`
		Filters      *int   `json:"filters,omitempty"`
		Instructions *int   `json:"instructions,omitempty"`
		Equals       string `json:"equals,omitempty"`
	}
	rows := []process{}
	for _, c := range processes {
		rows = append(rows, process{c.PID, c.User, c.Name, c.Mode, c.Threads, known(c.Filters), known(c.Instructions), c.Equals})
	}
	return JSON(w, "dump-all/1", map[string]any{"processes": rows})
}
