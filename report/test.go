package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"monban/expect"
	"monban/internal/plain"
	"monban/policy"
)

// caseTitle is a case in a line.
func caseTitle(r *expect.Result) string {
	return fmt.Sprintf("%s %s on %s", r.Want.Text, r.Call, r.Arch)
}

// refutation says what stands against a case.
func refutation(r *expect.Result) (lines []string) {
	call := policy.FormatCall(r.Arch, &r.Witness)
	if !r.Holds {
		lines = append(lines, fmt.Sprintf("but %s gets %s", call, action(r.Arch, r.Got)))
		if d := r.Decision; d != nil && d.Pos().Line > 0 {
			lines = append(lines, fmt.Sprintf("by %s: %s", d.Pos(), d.Text))
		} else if d != nil {
			lines = append(lines, "by the header "+d.Header)
		}
	}
	if r.Live != nil && !r.Live.Agrees {
		lines = append(lines, fmt.Sprintf("the kernel disagrees: %s should get %s, and %s; please report this", call, action(r.Arch, r.Got), r.Live.Text))
	}
	return lines
}

// RunsText says of each test file how many of its lines hold, and what stands against those that don't.
func RunsText(w io.Writer, runs []*expect.Run, o Options) error {
	p := o.printer(w)
	for _, r := range runs {
		p.run(r)
	}
	return p.Err()
}

func (p *printer) run(r *expect.Run) {
	proven := 0
	for i := range r.Results {
		one := &r.Results[i]
		if one.Open && one.Holds {
			proven++
		}
		if one.OK() {
			continue
		}
		p.Paragraph("  ", "%s %s: %s", p.Styled(red, "not ok"), one.Pos, caseTitle(one))
		for _, line := range refutation(one) {
			p.Paragraph("    ", "  %s", line)
		}
	}
	text := fmt.Sprintf("%s: %d of %d hold at %s, %d of them for all values of what they leave open", r.File, len(r.Results)-r.Failed(),
		len(r.Results), r.Gate.Name, proven)
	if r.Live {
		text += fmt.Sprintf("; the kernel was asked about %d (the others could do something, or are of other architectures)", r.Tried())
	}
	p.Paragraph("  ", "%s", text)
}

// forTAP keeps a description from being a directive.
var forTAP = strings.NewReplacer(`\`, `\\`, `#`, `\#`)

// RunsTAP writes TAP 14, a test a line.
func RunsTAP(w io.Writer, runs []*expect.Run) error {
	p := Options{}.printer(w)
	n := 0
	for _, r := range runs {
		n += len(r.Results)
	}
	p.Printf("TAP version 14\n1..%d\n", n)
	n = 0
	for _, r := range runs {
		for i := range r.Results {
			one := &r.Results[i]
			n++
			word := "ok"
			if !one.OK() {
				word = "not ok"
			}
			p.Printf("%s %d - %s\n", word, n, forTAP.Replace(plain.Sprintf("%s: %s", one.Pos, caseTitle(one))))
			if !one.OK() {
				p.Printf("  ---\n  message: %q\n  at:\n    file: %q\n    line: %d\n  ...\n", strings.Join(refutation(one), "; "), one.Pos.File, one.Pos.Line)
			}
		}
	}
	return p.Err()
}

// RunsJUnit writes JUnit's XML.
func RunsJUnit(w io.Writer, runs []*expect.Run) error {
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
		s := suite{Name: plain.Text(r.File), Tests: len(r.Results), Failures: r.Failed()}
		for i := range r.Results {
			one := &r.Results[i]
			c := testcase{plain.Text(r.Gate.Name), plain.Text(caseTitle(one)), plain.Text(one.Pos.File), one.Pos.Line, nil}
			if !one.OK() {
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

// RunsJSON writes monban/test/1.
func RunsJSON(w io.Writer, runs []*expect.Run) error {
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
	type file struct {
		File    string   `json:"file"`
		Gate    string   `json:"gate"`
		OK      bool     `json:"ok"`
		Results []result `json:"results"`
	}
	out := []file{}
	for _, r := range runs {
		o := file{r.File, r.Gate.Name, r.Failed() == 0, []result{}}
		for i := range r.Results {
			one := &r.Results[i]
			e := result{Where: one.Pos.String(), Want: one.Want.Text, Call: one.Call, Arch: one.Arch.String(), OK: one.OK(), Proven: one.Open && one.Holds}
			if !one.OK() {
				e.Witness, e.Got = policy.FormatCall(one.Arch, &one.Witness), action(one.Arch, one.Got)
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
	return JSON(w, "test/1", map[string]any{"files": out})
}
