package main

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A callTable is syscalls.csv with the direct numbers that it lacks, and the architectures.
type callTable struct {
	archs   []string // as architectures.csv has them
	calls   []string
	since   map[string]string
	numbers map[string]map[string]uint32 // by architecture, then call
	muxes   map[string]string            // call -> "socketcall 1"
}

func (g *generator) numbers() error {
	t, err := g.readCalls()
	if err != nil {
		return err
	}
	for _, a := range g.archs {
		if err := g.addUnix(t, &a); err != nil {
			return err
		}
	}
	if err := g.addOverlay(t); err != nil {
		return err
	}
	g.table = t
	for _, arch := range t.archs {
		if len(t.numbers[arch]) == 0 {
			return fmt.Errorf("%s has no calls: syscalls.csv, numbers.txt and golang.org/x/sys say nothing of it", arch)
		}
		calls := slices.SortedFunc(maps.Keys(t.numbers[arch]), func(a, b string) int {
			return cmp.Compare(t.numbers[arch][a], t.numbers[arch][b])
		})
		var b bytes.Buffer
		for i, call := range calls {
			if i > 0 && t.numbers[arch][call] == t.numbers[arch][calls[i-1]] {
				return fmt.Errorf("%s: %s and %s have one number", arch, call, calls[i-1])
			}
			fmt.Fprintf(&b, "%d %s\n", t.numbers[arch][call], call)
		}
		err := g.write("numbers/"+arch+".txt", "facts/syscalls.csv, facts/numbers.txt and golang.org/x/sys/unix", &b)
		if err != nil {
			return err
		}
	}
	var b bytes.Buffer
	members := slices.SortedFunc(maps.Keys(t.muxes), func(a, b string) int {
		return cmp.Or(strings.Compare(t.muxes[a][:3], t.muxes[b][:3]), cmp.Compare(sub(t.muxes[a]), sub(t.muxes[b])))
	})
	for _, call := range members {
		fmt.Fprintf(&b, "%s %s\n", t.muxes[call], call)
	}
	return g.write("mux.txt", "facts/syscalls.csv", &b)
}

func sub(mux string) int {
	n, _ := strconv.Atoi(strings.Fields(mux)[1])
	return n
}

// readCalls reads syscalls.csv. That a call is a multiplexer's member is a fact about the multiplexer, so it is kept
// once a call.
func (g *generator) readCalls() (*callTable, error) {
	f, err := os.Open(filepath.Join(g.facts, "syscalls.csv"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, err
	}
	t := &callTable{
		since:   map[string]string{},
		numbers: map[string]map[string]uint32{},
		muxes:   map[string]string{},
	}
	for _, a := range g.archs {
		t.archs = append(t.archs, a.name)
		t.numbers[a.name] = map[string]uint32{}
	}
	columns := rows[0][2:]
	for _, arch := range columns {
		if t.numbers[arch] == nil {
			return nil, fmt.Errorf("syscalls.csv: architectures.csv has no %s", arch)
		}
	}
	for _, row := range rows[1:] {
		call := row[0]
		t.calls = append(t.calls, call)
		t.since[call] = row[1]
		for i, cell := range row[2:] {
			mux, member, isMux := strings.Cut(cell, ":")
			switch {
			case cell == "":
			case isMux:
				if old := t.muxes[call]; old != "" && old != mux+" "+member {
					return nil, fmt.Errorf("syscalls.csv: %s is both %s and %s:%s", call, old, mux, member)
				}
				t.muxes[call] = mux + " " + member
			default:
				nr, err := strconv.ParseUint(cell, 10, 32)
				if err != nil {
					return nil, fmt.Errorf("syscalls.csv: %s: %w", call, err)
				}
				t.numbers[columns[i]][call] = uint32(nr)
			}
		}
	}
	slices.Sort(t.calls)
	return t, nil
}

// addUnix takes the numbers that syscalls.csv lacks from x/sys, and refuses a contradiction.
func (g *generator) addUnix(t *callTable, a *architecture) error {
	if a.xsys == "" {
		return nil
	}
	arch := a.name
	numbers, err := g.unixNumbers(a.xsys)
	if err != nil {
		return err
	}
	for call, nr := range numbers {
		switch have, ok := t.numbers[arch][call]; {
		case !slices.Contains(t.calls, call):
			return fmt.Errorf("x/sys has %s on %s; facts/syscalls.csv has no such call", call, arch)
		case ok && have != nr:
			return fmt.Errorf("%s on %s is %d in facts/syscalls.csv and %d in x/sys", call, arch, have, nr)
		}
		t.numbers[arch][call] = nr
	}
	return nil
}

// unixNumbers reads the SYS_ constants of one architecture, place holders aside.
func (g *generator) unixNumbers(goarch string) (map[string]uint32, error) {
	consts, err := parseConstants(filepath.Join(g.unix, "zsysnum_linux_"+goarch+".go"))
	if err != nil {
		return nil, err
	}
	out := map[string]uint32{}
	for name, v := range consts.values {
		call := strings.ToLower(strings.TrimPrefix(name, "SYS_"))
		if strings.HasPrefix(call, "unused") || strings.HasPrefix(call, "reserved") ||
			call == "syscall_mask" || call == "arch_specific_syscall" {
			continue
		}
		out[call] = uint32(v)
	}
	return out, nil
}

// addOverlay takes the numbers of facts/numbers.txt: "arch,arch: call=number …".
func (g *generator) addOverlay(t *callTable) error {
	lines, err := g.lines("numbers.txt")
	if err != nil {
		return err
	}
	for _, l := range lines {
		archs, numbers, ok := strings.Cut(l.text, ":")
		if !ok {
			return fmt.Errorf("%s: want arch: call=number", l.place)
		}
		for arch := range strings.SplitSeq(archs, ",") {
			for word := range strings.FieldsSeq(numbers) {
				call, number, _ := strings.Cut(word, "=")
				nr, err := strconv.ParseUint(number, 10, 32)
				have, known := t.numbers[arch][call]
				switch {
				case err != nil:
					return fmt.Errorf("%s: %w", l.place, err)
				case t.numbers[arch] == nil || !slices.Contains(t.calls, call):
					return fmt.Errorf("%s: unknown %s or %s", l.place, arch, call)
				case known && have != uint32(nr):
					return fmt.Errorf("%s: %s on %s is %d already", l.place, call, arch, have)
				}
				t.numbers[arch][call] = uint32(nr)
			}
		}
	}
	return nil
}

// since writes the kernels that introduced the calls; the calls of facts/since.txt differ from syscalls.csv or on an
// architecture.
func (g *generator) since() error {
	lines, err := g.lines("since.txt")
	if err != nil {
		return err
	}
	onArch := map[string][]string{}
	for _, l := range lines {
		f := strings.Fields(l.text)
		for _, call := range f[1:] {
			if !slices.Contains(g.table.calls, call) {
				return fmt.Errorf("%s: unknown call %s", l.place, call)
			}
			archs, version, ok := strings.Cut(f[0], "=")
			if !ok {
				g.table.since[call] = f[0]
				continue
			}
			for arch := range strings.SplitSeq(archs, ",") {
				if _, ok := g.table.numbers[arch][call]; !ok {
					return fmt.Errorf("%s: %s has no %s", l.place, arch, call)
				}
				onArch[call] = append(onArch[call], arch+"="+version)
			}
		}
	}
	var b bytes.Buffer
	for _, call := range g.table.calls {
		fmt.Fprintf(&b, "%s %s", call, cmp.Or(g.table.since[call], "-"))
		slices.Sort(onArch[call])
		for _, word := range onArch[call] {
			fmt.Fprintf(&b, " %s", word)
		}
		b.WriteByte('\n')
	}
	return g.write("since.txt", "facts/syscalls.csv and facts/since.txt", &b)
}
