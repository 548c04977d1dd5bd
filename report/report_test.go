package report_test

import (
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"monban/abi"
	"monban/bpf"
	"monban/compile"
	"monban/expect"
	"monban/gate"
	"monban/inspect"
	"monban/internal/hostile"
	"monban/lint"
	"monban/policy"
	"monban/policy/lang"
	"monban/report"
)

var update = flag.Bool("update", false, "write the golden files")

const web = `arch x86_64 x86 aarch64
default errno(EPERM)
allow read write exit_group # monban:ignore MB005 no sign
allow socket(family == AF_UNIX || family == AF_INET && type & 0xf == SOCK_STREAM)
errno(EAFNOSUPPORT) socket
allow clone
log openat(flags & O_WRONLY == 0)
notify connect
kill_process mount umount2
kill_thread ptrace
trap(7) swapon
`

func load(t testing.TB, name, text string) *gate.Gate {
	t.Helper()
	p, err := lang.Load(name, []byte(text), lang.Options{Native: abi.X86_64})
	if err != nil {
		t.Fatal(err)
	}
	g := gate.OfPolicy(name, p)
	g.Source = []byte(text)
	return g
}

func assemble(t testing.TB, name, listing string) *gate.Gate {
	t.Helper()
	p, err := bpf.Assemble(name, strings.NewReader(listing))
	if err != nil {
		t.Fatal(err)
	}
	return gate.OfPrograms(name, binary.LittleEndian, p)
}

// facts are what the reports of the tests are about.
type facts struct {
	web, program  *inspect.Explanation
	wordless      *inspect.Explanation
	stories       []inspect.Story
	different     *inspect.Difference
	excess, equal *inspect.Difference
	subset        *inspect.Difference
	answers       []*inspect.Answer
	findings      []report.Findings
	runs          []*expect.Run
	merged        *gate.Gate
	origins       []inspect.Origin
	made          *inspect.Compilation
	stats         compile.Stats
	process       *inspect.Process
	culprits      []inspect.Culprit
}

func must[T any](t testing.TB) func(x T, err error) T {
	return func(x T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
}

func find(t testing.TB) *facts {
	t.Helper()
	a, b := load(t, "a.gate", web), load(t, "b.gate", strings.NewReplacer("allow read write", "allow read getpid", "badarch", "", "log openat(flags & O_WRONLY == 0)", "").Replace(web)+"badarch errno(ENOSYS)\nallow any(nr == 5000)\n")
	programs := must[[]bpf.Program](t)(load(t, "p.gate", "arch x86_64\nallow read\nallow ioctl(request == 5)\n").Filters())
	stack := must[*gate.Gate](t)(gate.Stack("pid:7", gate.OfPrograms("pid:7", binary.LittleEndian, programs...), assemble(t, "x", "ld [nr]\njeq #101, 2, 3\nret errno(1)\nret allow\n")))
	explain, diff := must[*inspect.Explanation](t), must[*inspect.Difference](t)
	f := &facts{
		web:     explain(inspect.Explain(a)),
		program: explain(inspect.Explain(stack)),
		wordless: explain(inspect.Explain(assemble(t, "c.bpf",
			"ld [arch]\njeq #0xc000003e, 2, 6\nld [nr]\njset #1, 4, 5\nret errno(1)\nret allow\nret kill_process\n"))),
		stories:   must[[]inspect.Story](t)(inspect.Tell(a, "socket", a.Policy.Archs)),
		different: diff(inspect.Diff(a, b)),
		excess:    diff(inspect.Excess(a, b)),
		equal:     diff(inspect.Diff(a, a)),
		subset:    diff(inspect.Excess(a, a)),
		merged:    must[*gate.Gate](t)(inspect.Merge(inspect.Union, a, b)),
		made:      must[*inspect.Compilation](t)(inspect.Compile(a.Parts()[0], compile.Options{})),
	}
	f.origins = must[[]inspect.Origin](t)(inspect.Origins(a.Policy.Archs, a, b))
	f.stats = must[compile.Stats](t)(f.made.Measure())
	f.made.Understood, f.made.Generate, f.made.Prove = time.Millisecond, 2*time.Millisecond, 1234*time.Microsecond
	stacked := []bpf.Program{programs[0], {{Code: bpf.RET, K: uint32(bpf.Allow)}}}
	for _, g := range []*gate.Gate{a, gate.OfPrograms("s.bpf", binary.LittleEndian, stacked...)} {
		desk := inspect.Desk{Archs: []abi.Arch{abi.X86_64, abi.X86}, Native: abi.X86_64, Read: func(abi.Arch) (*gate.Gate, error) { return g, nil }}
		for _, question := range []string{"read", "socket", "ptrace", "100000", "0x40000000", "mmap2", "ioctl(1, 5)"} {
			if answers, err := desk.Ask(question, g.Policy == nil); err == nil {
				f.answers = append(f.answers, answers...)
			}
		}
	}
	for _, least := range []lint.Severity{lint.Medium, lint.High} {
		r := must[*lint.Result](t)(lint.Run(a, lint.Options{Ignore: []lint.Ignore{{ID: "MB008", Reason: "it is not there", Whole: true}}}))
		f.findings = append(f.findings, report.Findings{Result: r, Least: least})
	}
	file := must[*expect.File](t)(expect.Parse("a.expect", []byte("allow read\ndeny ptrace\nallow socket(AF_INET)\nerrno(EIO) mount\nallow getpid\n")))
	f.runs = []*expect.Run{must[*expect.Run](t)(file.Run(a)), must[*expect.Run](t)(file.Run(gate.OfPrograms("a.bpf", binary.LittleEndian, stacked...)))}
	f.runs[0].Live = true
	f.runs[0].Results[0].Live = &expect.LiveOutcome{Text: "it returned 0", Agrees: true}
	f.runs[0].Results[1].Live = &expect.LiveOutcome{Text: "errno(EIO)"}
	f.process = &inspect.Process{PID: 7, Others: strings.Fields("8_a 9_b 10_c 11_d 12_e 13_f 14_g 15_h 16_i")}
	for tid := 7; tid < 11; tid++ {
		th := inspect.Thread{TID: tid, Name: "main", Mode: "filter", Filters: tid % 2, NoNewPrivs: tid < 10}
		if f.process.Threads = append(f.process.Threads, th); tid < 9 {
			f.process.Add(tid, stacked[:1+tid%2])
		}
	}
	f.process.Threads = append(f.process.Threads, inspect.Thread{TID: 11, Name: "late", Mode: "off", Filters: -1})
	oci, preset := load(t, "c.json", web), load(t, "@own", web)
	oci.Format, preset.Preset = "oci", true
	for i := range oci.Policy.Rules {
		oci.Policy.Rules[i].Pos.File = "c.json"
	}
	for _, g := range []*gate.Gate{a, oci, preset, f.program.Gate} {
		for _, nr := range []uint32{165, 41, 100000} {
			found := must[[]inspect.Culprit](t)(inspect.Culprits(gate.OfPolicy("", load(t, "k.gate", "arch x86_64\ndefault kill_process\nunknown kill_process\n").Policy), &bpf.Data{Arch: abi.X86_64.Token(), Nr: nr}))
			c := found[0]
			c.Gate = g
			c.Decision = must[*gate.Decision](t)(g.Decide(&c.Call))
			f.culprits = append(f.culprits, c)
		}
		foreign := inspect.Culprit{Gate: g, Arch: abi.X32, Call: bpf.Data{Arch: abi.X86_64.Token(), Nr: 0x40000000}}
		foreign.Decision = must[*gate.Decision](t)(g.Decide(&foreign.Call))
		f.culprits = append(f.culprits, foreign)
	}
	return f
}

// few is an explanation of a few calls, which is enough to look at.
func few(e *inspect.Explanation) *inspect.Explanation {
	out := *e
	out.Views = slices.Clone(e.Views)
	for i, v := range out.Views {
		s, known := *v.Summary, *v.Known
		s.Calls, known.More, known.Fewer = s.Calls[:min(18, len(s.Calls))], known.More[:min(3, len(known.More))], known.Fewer[:min(3, len(known.Fewer))]
		out.Views[i] = inspect.View{Summary: &s, Known: &known}
	}
	return &out
}

var hinted = report.Options{Hint: func(h report.Hint, about string) string { return strings.TrimSpace("HINT " + about) }}

// reports are all, by the golden file.
func reports(f *facts) map[string]func(w io.Writer) error {
	plain, painted := report.Options{}, report.Options{Colour: true, Width: 60}
	x86 := []abi.Arch{abi.X86_64, abi.X86}
	var entries []inspect.Entry
	for _, call := range []string{"openat2", "accept", "ipc", "read"} {
		entries = append(entries, inspect.Describe(call, []abi.Arch{abi.X86_64, abi.X32, abi.X86}))
	}
	lines := func(w io.Writer, lines []string) error {
		for _, line := range lines {
			if _, err := io.WriteString(w, line); err != nil {
				return err
			}
		}
		return nil
	}
	confined := []inspect.ConfinedProcess{{PID: 7, User: "root", Name: "init", Mode: "filter", Threads: 2, Filters: 1, Instructions: 73, Equals: "docker"},
		{PID: 8, User: "?", Name: "x", Mode: "mixed", Threads: 1, Filters: -1, Instructions: -1}}
	return map[string]func(w io.Writer) error{
		"explain.txt":          func(w io.Writer) error { return report.ExplanationText(w, f.web, plain) },
		"explain-narrow.txt":   func(w io.Writer) error { return report.ExplanationText(w, f.web, painted) },
		"explain-hints.txt":    func(w io.Writer) error { return report.ExplanationText(w, f.web, hinted) },
		"explain-bpf.txt":      func(w io.Writer) error { return report.ExplanationText(w, f.program, plain) },
		"explain-wordless.txt": func(w io.Writer) error { return report.ExplanationText(w, f.wordless, plain) },
		"explain.gate":         func(w io.Writer) error { return report.ExplanationGate(w, f.web) },
		"explain.json":         func(w io.Writer) error { return report.ExplanationJSON(w, few(f.program)) },
		"story.txt":            func(w io.Writer) error { return report.StoriesText(w, "socket", f.web.Archs, f.stories, plain) },
		"story-none.txt":       func(w io.Writer) error { return report.StoriesText(w, "mmap2", f.web.Archs[:1], nil, plain) },
		"story.json":           func(w io.Writer) error { return report.StoriesJSON(w, "socket", f.stories) },
		"diff.txt":             func(w io.Writer) error { return report.DifferenceText(w, f.different, plain) },
		"diff-narrow.txt":      func(w io.Writer) error { return report.DifferenceText(w, f.different, painted) },
		"diff-equal.txt":       func(w io.Writer) error { return report.DifferenceText(w, f.equal, plain) },
		"diff-subset.txt":      func(w io.Writer) error { return report.DifferenceText(w, f.subset, plain) },
		"diff-excess.txt":      func(w io.Writer) error { return report.DifferenceText(w, f.excess, hinted) },
		"diff-excess.json":     func(w io.Writer) error { return report.DifferenceJSON(w, f.excess) },
		"diff-equal.json":      func(w io.Writer) error { return report.DifferenceJSON(w, f.equal) },
		"ask.txt":              func(w io.Writer) error { return report.AnswersText(w, f.answers, true, plain) },
		"ask-painted.txt":      func(w io.Writer) error { return report.AnswersText(w, f.answers, false, painted) },
		"ask.json":             func(w io.Writer) error { return report.AnswersJSON(w, f.answers) },
		"ask-lines.txt": func(w io.Writer) error {
			var all []string
			for _, l := range report.AnswerLines(f.answers, true) {
				all = append(all, l.Of("the call"))
			}
			return lines(w, all)
		},
		"ask-lines.json": func(w io.Writer) error {
			text, err := report.AnswerLinesJSON(f.answers)
			if err != nil {
				return err
			}
			return lines(w, []string{text})
		},
		"lint.txt":         func(w io.Writer) error { return report.FindingsText(w, f.findings, plain) },
		"lint-painted.txt": func(w io.Writer) error { return report.FindingsText(w, f.findings, painted) },
		"lint.json":        func(w io.Writer) error { return report.FindingsJSON(w, f.findings) },
		"lint.sarif":       func(w io.Writer) error { return report.FindingsSARIF(w, f.findings) },
		"test.txt":         func(w io.Writer) error { return report.RunsText(w, f.runs, plain) },
		"test.tap":         func(w io.Writer) error { return report.RunsTAP(w, f.runs) },
		"test.xml":         func(w io.Writer) error { return report.RunsJUnit(w, f.runs) },
		"test.json":        func(w io.Writer) error { return report.RunsJSON(w, f.runs) },
		"merge.gate":       func(w io.Writer) error { return report.MergedGate(w, f.merged, f.origins) },
		"merge.json": func(w io.Writer) error {
			return report.MergedJSON(w, inspect.Union, []string{"a.gate", "b.gate"}, f.merged)
		},
		"compile.txt":        func(w io.Writer) error { return report.CompilationText(w, f.made, f.stats, plain) },
		"compile.json":       func(w io.Writer) error { return report.CompilationJSON(w, f.made, f.stats) },
		"syscalls.txt":       func(w io.Writer) error { return report.EntriesText(w, entries, x86, plain) },
		"syscalls-table.txt": func(w io.Writer) error { return report.EntriesTable(w, entries, abi.X86, plain) },
		"syscalls.json":      func(w io.Writer) error { return report.EntriesJSON(w, entries) },
		"disasm.txt": func(w io.Writer) error {
			return report.ListingText(w, f.program.Gate.Name, f.program.Gate.Programs, binary.LittleEndian)
		},
		"disasm-big.txt": func(w io.Writer) error {
			return report.ListingText(w, "one", f.program.Gate.Programs[1:], binary.BigEndian)
		},
		"disasm.json": func(w io.Writer) error { return report.ListingJSON(w, f.program.Gate.Programs[1:], binary.BigEndian) },
		"dump.txt": func(w io.Writer) error {
			return errors.Join(report.ThreadsText(w, f.process, report.ListingComment, plain), report.SharersText(w, f.process, report.ListingComment, plain),
				report.FiltersText(w, f.process))
		},
		"dump.gate":     func(w io.Writer) error { return report.FiltersGate(w, f.process, true) },
		"dump.json":     func(w io.Writer) error { return report.FiltersJSON(w, f.process) },
		"dump-all.txt":  func(w io.Writer) error { return report.ConfinedText(w, confined, plain) },
		"dump-none.txt": func(w io.Writer) error { return report.ConfinedText(w, nil, plain) },
		"dump-all.json": func(w io.Writer) error { return report.ConfinedJSON(w, confined) },
		"remedy.txt": func(w io.Writer) error {
			var all []string
			for i := range f.culprits {
				for _, o := range []report.Options{plain, hinted} {
					for _, line := range report.RemedyLines(&f.culprits[i], o) {
						all = append(all, line+"\n")
					}
				}
			}
			return lines(w, all)
		},
	}
}

// Each report is what its golden file says; what is meant for machines can be read by them.
func TestGolden(t *testing.T) {
	all := reports(find(t))
	for name, write := range all {
		var b strings.Builder
		if err := write(&b); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, file := b.String(), filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if !strings.HasSuffix(got, "\n") || strings.Contains(got, " \n") && filepath.Ext(name) == ".txt" {
			t.Errorf("%s: it does not end with a line, or a line ends with a blank", name)
		}
		switch filepath.Ext(name) {
		case ".json", ".sarif":
			for d := json.NewDecoder(strings.NewReader(got)); d.More(); {
				var object map[string]any
				if err := d.Decode(&object); err != nil || object["schema"] == nil && object["$schema"] == nil {
					t.Errorf("%s: %v, schema %v", name, err, object["schema"])
					break
				}
			}
		case ".xml":
			if err := xml.Unmarshal([]byte(got), new(struct{})); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case ".gate":
			if _, err := lang.Load(name, []byte(got), lang.Options{Native: abi.X86_64}); err != nil && name != "dump.gate" {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if all[f.Name()] == nil {
			t.Errorf("testdata/%s is not a report's", f.Name())
		}
	}
}

// The catalogue has each pitfall once, in both forms.
func TestCatalogue(t *testing.T) {
	for form, write := range map[string]func(w io.Writer) error{
		"text": func(w io.Writer) error { return report.CatalogueText(w, report.Options{}) },
		"JSON": func(w io.Writer) error { return report.CatalogueJSON(w) },
	} {
		var b strings.Builder
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= 10; n++ {
			if id := fmt.Sprintf("MB%03d", n); strings.Count(b.String(), id) != 1 {
				t.Errorf("%s: %s is there %d times", form, id, strings.Count(b.String(), id))
			}
		}
		if err := write(full{}); !errors.Is(err, errFull) {
			t.Errorf("%s: %v", form, err)
		}
	}
}

// full is a writer that has no room.
type full struct{}

var errFull = errors.New("it is full")

func (full) Write([]byte) (int, error) { return 0, errFull }

// A writer's error is the report's.
func TestWriterErrors(t *testing.T) {
	for name, write := range reports(find(t)) {
		if err := write(full{}); !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whoever chooses the names of gates, files, programs and threads has no way to what a terminal or a CI system obeys.
func TestHostileNames(t *testing.T) {
	f := find(t)
	f.web, f.program, f.different.Classes = few(f.web), few(f.program), f.different.Classes[:2]
	for _, s := range hostile.Names() {
		pos := policy.Pos{File: s, Line: 1, Col: 1}
		for _, e := range []*inspect.Explanation{f.web, f.program} {
			e.Gate.Name, e.Gate.Kind, e.Notes = s, s, []string{s}
			e.Wordless = errors.New(s)
			for i := range e.Findings {
				e.Findings[i].Title, e.Findings[i].Pos = s, pos
			}
		}
		for i := range f.stories {
			rules := slices.Clone(f.stories[i].Rules)
			for j, r := range rules {
				named := *r
				named.Pos, rules[j] = pos, &named
			}
			f.stories[i].Rules = rules
		}
		for _, d := range []*inspect.Difference{f.different, f.excess, f.equal, f.subset} {
			d.A, d.B = s, s
		}
		for _, a := range f.answers {
			if a.Decision != nil && a.Decision.Rule != nil {
				rule := *a.Decision.Rule
				rule.Pos = pos
				a.Decision = &gate.Decision{Action: a.Decision.Action, Rule: &rule, Text: s}
			}
		}
		for i := range f.findings {
			r := f.findings[i].Result
			for j := range r.Findings {
				r.Findings[j].Title, r.Findings[j].Pos = s, pos
			}
			for j := range r.Ignored {
				r.Ignored[j].Reason = s
			}
		}
		for _, run := range f.runs {
			run.File, run.Gate.Name = s, s
			for i := range run.Results {
				c := *run.Results[i].Case
				c.Pos, c.Call, c.Want.Text = pos, s, s
				run.Results[i].Case = &c
			}
		}
		f.merged.Name = s
		for i := range f.origins {
			if f.origins[i].Gates != nil {
				f.origins[i].Gates = []string{s}
			}
		}
		f.process.Others = []string{s}
		for i := range f.process.Threads {
			f.process.Threads[i].Name = s
		}
		for name, write := range reports(f) {
			if about, _, _ := strings.Cut(name, "."); slices.Contains([]string{"remedy", "syscalls", "syscalls-table", "compile", "explain-wordless"}, about) {
				continue // lines for whoever prints them, or nobody's names
			}
			var b strings.Builder
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			out := strings.NewReplacer("\x1b[1m", "~", "\x1b[2m", "~", "\x1b[31m", "~", "\x1b[32m", "~", "\x1b[33m", "~", "\x1b[0m", "~").Replace(b.String())
			if err := hostile.Check(out); err != nil {
				t.Fatalf("%s of %q: %v", name, s, err)
			}
		}
	}
}
