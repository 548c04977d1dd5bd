//go:build linux && (amd64 || arm64)

package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/child"
)

// limitFiles is a lock: a step like any other, before the exec, in a file of its own.
func limitFiles(n uint64) step {
	return step{
		name: "lock on open files",
		child: func(_ *run, s *child.Script) error {
			const poison = 0x5ea15ea1
			now := new([4]uint32) // two 64-bit numbers, the low half first
			for i := range now {
				now[i] = poison
			}
			limit := child.Addr(s, &unix.Rlimit{Cur: n, Max: n})
			s.Call("prlimit64", child.Equal, unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, limit)
			s.Call("prlimit64", child.Equal, unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, 0, child.Addr(s, now))
			for i := range now {
				s.Add("prlimit64", child.Step{Op: child.Compare, Word: unsafe.Pointer(&now[i]), Want: uintptr(n >> (32 * (i % 2)) & 0xffffffff)})
			}
			return nil
		},
	}
}

// kinds are the starts that differ in their steps, by the names that docs/design.md has for them.
func kinds() map[string]Command {
	gates := []bpf.Program{gate()}
	return map[string]Command{"traced": {Gates: gates}, "AllowExec": {Gates: gates, AllowExec: true},
		"Loader": {Gates: gates, Loader: gates}, "Strict": {Strict: true}}
}

// list is the list of steps for c.
func list(c *Command) []step {
	r := run{Command: c, ready: true, set: Prepared{Loader: c.Loader}}
	return r.steps()
}

// stepsOf names the steps for c that the parent has a part in, which are those that stepDone is told of.
func stepsOf(c *Command) (names []string) {
	for _, st := range list(c) {
		if st.parent != nil || st.holds != nil {
			names = append(names, st.name)
		}
	}
	return names
}

// The document lists the steps of each kind of start, in their order, and who has a part in them.
func TestStepsAsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| step |")
	if !found {
		t.Fatal("docs/design.md has no table of steps")
	}
	var rows [][]string
	for line := range strings.Lines("| step |" + table) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	if len(rows) < 3 {
		t.Fatalf("a table of %d rows", len(rows))
	}
	head, rows := rows[0], rows[2:]
	for name, c := range kinds() {
		column := slices.Index(head, name)
		if column < 0 {
			t.Errorf("no column for %s in %q", name, head)
			continue
		}
		var documented, performed []string
		for _, row := range rows {
			if row[column] == "x" {
				documented = append(documented, row[0]+": "+row[slices.Index(head, "who")])
			}
		}
		seen := map[string]bool{}
		for _, st := range list(&c) {
			who := "child"
			switch parent := st.parent != nil || st.holds != nil; {
			case parent && st.child != nil:
				who = "both"
			case parent:
				who = "parent"
			case st.child == nil:
				t.Errorf("%s: %q does nothing", name, st.name)
			}
			if seen[st.name] {
				t.Errorf("%s: two steps are called %q", name, st.name)
			}
			seen[st.name] = true
			performed = append(performed, st.name+": "+who)
		}
		if !slices.Equal(documented, performed) {
			t.Errorf("%s: documented\n%s\nperformed\n%s", name, strings.Join(documented, "\n"), strings.Join(performed, "\n"))
		}
	}
	// What a start does before it knows whether there are gates for the loader must be the same.
	with, without := behindLoader(), traced()
	for i := 0; with[i].name != loaderGates.name; i++ {
		if with[i].name != without[i].name {
			t.Errorf("step %d: %q, and %q without gates for the loader", i, with[i].name, without[i].name)
		}
	}
}

// A start does the steps of its list in their order, the parent's as they are told and the child's too: of two that a
// filter keeps from being done it is the first that ends the start.
func TestStepsInOrder(t *testing.T) {
	path := build(t, "gcc", "limit")
	refusal := bpf.Errno | bpf.Action(unix.EPERM)
	refuse := func(nr uint32, arg int, value uint32) bpf.Program {
		p := fakeIf(nr, arg, bpf.JEQ, value)
		p[4].K = uint32(refusal)
		return p
	}
	refused := map[string]bpf.Program{
		noNewPrivs.name:    refuse(unix.SYS_PRCTL, 0, unix.PR_SET_NO_NEW_PRIVS),
		dieWithParent.name: refuse(unix.SYS_PRCTL, 0, unix.PR_SET_PDEATHSIG),
		directory.name:     gate(answer{nativeArch, unix.SYS_CHDIR, refusal}),
		files.name:         refuse(unix.SYS_FCNTL, 1, unix.F_SETFD),
		limitFiles(1).name: refuse(unix.SYS_PRLIMIT64, 1, unix.RLIMIT_NOFILE),
		hold.name:          refuse(unix.SYS_PTRACE, 0, unix.PTRACE_TRACEME),
		gates.name:         refuse(unix.SYS_SECCOMP, 0, unix.SECCOMP_SET_MODE_FILTER),
		loaderGates.name:   refuse(unix.SYS_SECCOMP, 0, unix.SECCOMP_SET_MODE_FILTER),
		load.name:          gate(answer{nativeArch, unix.SYS_EXECVE, refusal}),
		strictMode.name:    gate(), // behind any filter
	}
	both := func(a, b bpf.Program) bpf.Program { return append(slices.Clone(a[:len(a)-1]), b...) } // each ends by allowing
	for name, c := range kinds() {
		t.Run(name, func(t *testing.T) {
			c.Path, c.Dir = path, "/"
			p := plan{Command: c, Files: 77}
			o, out := p.run(t)
			if o.Err != "" || o.Result.ExitCode != 0 || out != "77 77\n" || !slices.Equal(o.Done, stepsOf(&c)) {
				t.Errorf("%v, %q; want the steps %q", o, out, stepsOf(&c))
			}
			steps := slices.DeleteFunc(append(list(&c), limitFiles(1)), func(st step) bool {
				return refused[st.name] == nil || st.name == gates.name && c.Loader != nil // as the loader's are
			})
			lock := len(steps) - 1 // which comes after what each child begins with
			steps = slices.Insert(steps[:lock], 1+slices.IndexFunc(steps, func(st step) bool { return st.name == files.name }), steps[lock])
			for i, st := range steps {
				for _, later := range steps[i:] {
					p := plan{Command: c, Files: 77, Outer: []bpf.Program{both(refused[st.name], refused[later.name])}}
					o, out := p.run(t)
					if o.Status != 125 && o.Status != 126 || o.Step != st.name || out != "" && st.name != strictMode.name {
						t.Errorf("%s and %s refused: %v, %q", st.name, later.name, o, out)
					}
				}
			}
		})
	}
}

// A lock that a filter pretends to have set is found out in each kind of start, and named.
func TestFakedLock(t *testing.T) {
	for name, c := range kinds() {
		marker := filepath.Join(t.TempDir(), "ran")
		c.Path, c.Args = "touch", []string{"touch", marker}
		fake := fakeIf(unix.SYS_PRLIMIT64, 1, bpf.JEQ, unix.RLIMIT_NOFILE)
		p := plan{Command: c, Files: 77, Outer: []bpf.Program{fake}}
		o, _ := p.run(t)
		want := fmt.Sprintf("touch was not started: %s: prlimit64: %v", limitFiles(1).name, child.ErrAnswered)
		if o.Status != 125 || o.Step != limitFiles(1).name || !strings.HasSuffix(o.Err, want) {
			t.Errorf("%s: %v, want %q", name, o, want)
		}
		if _, err := os.Stat(marker); err == nil {
			t.Errorf("%s: the program ran", name)
		}
	}
}
