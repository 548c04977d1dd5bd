package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"monban/expect"
	"monban/format"
	"monban/gate"
	"monban/internal/plain"
	"monban/policy"
)

func testCommand() *cobra.Command {
	var flags gateFlags
	var live, asTAP, asJUnit, asJSON bool
	cmd := &cobra.Command{
		Use:   "test [flags] FILE…",
		Short: "prove what test files say of gates",
		Long: `Test reads test files and proves or refutes each line. A file NAME.expect speaks of the gate beside
it (NAME.gate, NAME.json, …), or of the one that it names (gate "other.gate"), and says what must
become of calls:

    allow        openat(AT_FDCWD, ?, O_RDONLY)
    deny         ptrace mount
    errno(EPERM) socket({AF_VSOCK, AF_ALG})
    on x86:      deny socketcall

deny is any refusal, pass is allow or log. What a call leaves open is proven for all values. The
status is 1 if a line does not hold. --live also puts the gate on a child process and makes each
call there that is refused or harmless, so that the kernel has its say.`,
		Example: `  monban test web.expect
  monban test --tap gates/*.expect
  monban test --live web.expect`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("FILE is missing (usage: %s)", cmd.UseLine())
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"expect"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var runs []testRun
			for _, file := range args {
				run, err := proveFile(&flags, file)
				if err != nil {
					return usage(err)
				}
				if live {
					if err := run.try(cmd); err != nil {
						return usage(err)
					}
				}
				runs = append(runs, run)
			}
			w := cmd.OutOrStdout()
			var err error
			switch {
			case asTAP:
				printTAP(w, runs)
			case asJUnit:
				err = printJUnit(w, runs)
			case asJSON:
				err = printJSON(w, "test/1", testObject(runs))
			default:
				for _, r := range runs {
					r.print(w, live)
				}
			}
			for _, r := range runs {
				if err == nil && r.failed() > 0 {
					return exit{exitFindings, nil}
				}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&live, "live", false, "also have the kernel decide, where that is safe")
	cmd.Flags().BoolVar(&asTAP, "tap", false, "print TAP 14, a test a line")
	cmd.Flags().BoolVar(&asJUnit, "junit", false, "print JUnit's XML")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("tap", "junit", "json")
	flags.register(cmd)
	return cmd
}

// A testRun is a file and what became of its cases.
type testRun struct {
	file    string
	gate    *gate.Gate
	results []expect.Result
	tried   int
}

func proveFile(flags *gateFlags, file string) (testRun, error) {
	o, err := flags.options()
	if err != nil {
		return testRun{}, err
	}
	src, err := format.ReadFile(file, o)
	if err != nil {
		return testRun{}, err
	}
	name := file
	if file == "-" {
		name = "standard input"
	}
	f, err := expect.Parse(name, src)
	if err != nil {
		return testRun{}, err
	}
	ref, err := gateOf(f, file, o)
	if err != nil {
		return testRun{}, err
	}
	o.Stdin, o.Dump = nil, nil // the file names it, not the user
	g, err := format.Read(ref, o)
	if err != nil {
		return testRun{}, err
	}
	printNotes(g.Notes)
	run := testRun{file: name, gate: g}
	run.results, err = f.Prove(g)
	return run, err
}

// gateOf is the gate that a file speaks of: what it says, or what lies beside it.
func gateOf(f *expect.File, file string, o format.Options) (string, error) {
	switch {
	case strings.HasPrefix(f.Gate, "@") || filepath.IsAbs(f.Gate):
		return f.Gate, nil
	case f.Gate != "":
		return filepath.Join(filepath.Dir(file), f.Gate), nil
	case file == "-":
		return "", errors.New(`standard input: it must name its gate: gate "web.gate"`)
	}
	found, _ := format.Beside(file, o)
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", fmt.Errorf(`%s: no gate is beside it: name one with a line  gate "web.gate", or call it %s.gate`, file, strings.TrimSuffix(file, filepath.Ext(file)))
	}
	return "", fmt.Errorf(`%s: which gate is meant? there are %s: say it with a line  gate %q`, file, strings.Join(found, " and "), filepath.Base(found[0]))
}

// try has the kernel decide what is safe.
func (r *testRun) try(cmd *cobra.Command) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	filters, err := r.gate.Filters()
	if err != nil {
		return err
	}
	for i := range r.results {
		if !r.results[i].Safe() {
			continue
		}
		if err := r.results[i].Try(cmd.Context(), filters, self); err != nil {
			return err
		}
		r.tried++
	}
	return nil
}

// ok says that a result holds, and that the kernel agreed where it was asked.
func ok(r *expect.Result) bool { return r.Holds && (r.Live == nil || r.Live.Agrees) }

func (r *testRun) failed() (n int) {
	for i := range r.results {
		if !ok(&r.results[i]) {
			n++
		}
	}
	return n
}

// title is a case in a line.
func title(r *expect.Result) string {
	return fmt.Sprintf("%s %s on %s", r.Want.Text, r.Call, r.Arch)
}

// refutation says what stands against a case.
func refutation(r *expect.Result) (lines []string) {
	call := policy.FormatCall(r.Arch, &r.Witness)
	if !r.Holds {
		lines = append(lines, fmt.Sprintf("but %s gets %s", call, policy.ActionOn(r.Arch, r.Got)))
		if d := r.Decision; d != nil && d.Pos().Line > 0 {
			lines = append(lines, fmt.Sprintf("by %s: %s", d.Pos(), d.Text))
		} else if d != nil {
			lines = append(lines, "by the header "+d.Header)
		}
	}
	if r.Live != nil && !r.Live.Agrees {
		lines = append(lines, fmt.Sprintf("the kernel disagrees: %s should get %s, and %s; please report this", call, policy.ActionOn(r.Arch, r.Got), r.Live.Text))
	}
	return lines
}

func (r *testRun) print(w io.Writer, live bool) {
	proven := 0
	for i := range r.results {
		one := &r.results[i]
		if one.Open && one.Holds {
			proven++
		}
		if ok(one) {
			continue
		}
		plain.Paragraph(w, "  ", "%s %s: %s", styled(w, red, "not ok"), one.Pos, title(one))
		for _, line := range refutation(one) {
			plain.Paragraph(w, "    ", "  %s", line)
		}
	}
	text := fmt.Sprintf("%s: %d of %d hold at %s, %d of them for all values of what they leave open", r.file, len(r.results)-r.failed(), len(r.results), r.gate.Name, proven)
	if live {
		text += fmt.Sprintf("; the kernel was asked about %d (the others could do something, or are of other architectures)", r.tried)
	}
	plain.Paragraph(w, "  ", "%s", text)
}

// forTAP keeps a description from being a directive.
var forTAP = strings.NewReplacer(`\`, `\\`, `#`, `\#`)

func printTAP(w io.Writer, runs []testRun) {
	n := 0
	for _, r := range runs {
		n += len(r.results)
	}
	plain.Fprintf(w, "TAP version 14\n1..%d\n", n)
	n = 0
	for _, r := range runs {
		for i := range r.results {
			one := &r.results[i]
			n++
			word := "ok"
			if !ok(one) {
				word = "not ok"
			}
			plain.Fprintf(w, "%s %d - %s\n", word, n, forTAP.Replace(plain.Sprintf("%s: %s", one.Pos, title(one))))
			if !ok(one) {
				plain.Fprintf(w, "  ---\n  message: %q\n  at:\n    file: %q\n    line: %d\n  ...\n", strings.Join(refutation(one), "; "), one.Pos.File, one.Pos.Line)
			}
		}
	}
}

func printJUnit(w io.Writer, runs []testRun) error {
	type failure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	type testcase struct {
		Class   string   `xml:"classname,attr"`
		Name    string   `xml:"name,attr"`
		File    string   `xml:"file,attr"`
		Line    int      `xml:"line,attr"`
		Failure *failure `xml:"failure,omitempty"`
	}
	type suite struct {
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Cases    []testcase `xml:"testcase"`
	}
	var all struct {
		XMLName xml.Name `xml:"testsuites"`
		Suites  []suite  `xml:"testsuite"`
	}
	for _, r := range runs {
		s := suite{Name: plain.Text(r.file), Tests: len(r.results), Failures: r.failed()}
		for i := range r.results {
			one := &r.results[i]
			c := testcase{plain.Text(r.gate.Name), plain.Text(title(one)), plain.Text(one.Pos.File), one.Pos.Line, nil}
			if !ok(one) {
				lines := refutation(one) // XML has no word for most control characters
				for i := range lines {
					lines[i] = plain.Text(lines[i])
				}
				c.Failure = &failure{lines[0], strings.Join(lines, "\n")}
			}
			s.Cases = append(s.Cases, c)
		}
		all.Suites = append(all.Suites, s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func testObject(runs []testRun) any {
	type result struct {
		Where   string `json:"where"`
		Want    string `json:"want"`
		Call    string `json:"call"`
		Arch    string `json:"arch"`
		OK      bool   `json:"ok"`
		Proven  bool   `json:"proven"` // something was left open, and it holds for all values
		Witness string `json:"witness,omitempty"`
		Got     string `json:"got,omitempty"`
		Rule    string `json:"rule,omitempty"`
		Live    string `json:"live,omitempty"` // what the kernel did
	}
	type run struct {
		File    string   `json:"file"`
		Gate    string   `json:"gate"`
		OK      bool     `json:"ok"`
		Results []result `json:"results"`
	}
	out := []run{}
	for _, r := range runs {
		o := run{r.file, r.gate.Name, r.failed() == 0, []result{}}
		for i := range r.results {
			one := &r.results[i]
			e := result{Where: one.Pos.String(), Want: one.Want.Text, Call: one.Call, Arch: one.Arch.String(), OK: ok(one), Proven: one.Open && one.Holds}
			if !ok(one) {
				e.Witness, e.Got = policy.FormatCall(one.Arch, &one.Witness), policy.ActionOn(one.Arch, one.Got).String()
				if d := one.Decision; d != nil {
					e.Rule = strings.TrimPrefix(d.Pos().String()+": "+d.Text, ": ")
				}
			}
			if one.Live != nil {
				e.Live = one.Live.Text
			}
			o.Results = append(o.Results, e)
		}
		out = append(out, o)
	}
	return map[string]any{"files": out}
}
