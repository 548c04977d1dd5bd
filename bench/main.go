// Bench compares Monban's compiler with others, side by side in one run: what they make of the same policies, how long
// they take, and what the kernel then needs; and its recorders with each other and with strace. It is a module of its
// own because two of the others need cgo.
//
//	go run -tags seccomp . [-short] [-only recording] [-o ../docs/performance.md]
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// effort is how often things are measured.
type effort struct {
	compile, crosvm, live, record int
	recorded                      string // the directory that find goes through
}

var (
	full  = effort{compile: 25, crosvm: 7, live: 40, record: 21, recorded: "/usr"}
	quick = effort{compile: 3, crosvm: 1, live: 2, record: 1, recorded: "/usr/include"}
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == childArg {
		exit(child())
	}
	short := flag.Bool("short", false, "measure little: to see that everything works, not to quote")
	out := flag.String("o", "", "write the tables to this Markdown `file`, and charts beside it")
	only := flag.String("only", "", "measure, and replace in the file, this `part` alone: recording")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "bench: no argument %q is known\n", flag.Arg(0))
		os.Exit(2)
	}
	e := full
	if *short {
		e = quick
	}
	switch *only {
	case "":
		exit(run(e, *out))
	case "recording":
		exit(runRecording(e, *out))
	}
	fmt.Fprintf(os.Stderr, "bench: -only takes recording, not %q\n", *only)
	os.Exit(2)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: "+strings.ReplaceAll(err.Error(), "\n", "\nbench: "))
		os.Exit(1)
	}
	os.Exit(0)
}

func run(e effort, out string) error {
	if err := runcEnabled(); err != nil {
		return err
	}
	var d document
	begin := time.Now()
	for _, source := range []func() ([]*Rules, error){mobyRules, podmanRules} {
		all, err := source()
		if errors.Is(err, errNoCorpus) {
			d.leftOut = append(d.leftOut, "Podman's default profile is left out: it "+err.Error()+".")
			continue
		}
		if err != nil {
			return err
		}
		for _, r := range all {
			progress(begin, r.Name)
			s, err := measurePolicy(r, e.compile)
			if err != nil {
				return err
			}
			if s.bare, err = measureLive(r, s.rows, e.live); err != nil {
				return err
			}
			d.sections = append(d.sections, s)
		}
	}
	crosvm, err := measureCrosvm(begin, e.crosvm)
	switch {
	case errors.Is(err, errNoCorpus):
		d.leftOut = append(d.leftOut, "crosvm's policies are left out: they "+strings.Replace(err.Error(), "needs", "need", 1)+".")
	case err != nil:
		return err
	default:
		d.sections = append(d.sections, crosvm)
	}
	progress(begin, "recorders")
	if d.recording, err = measureRecording(e.record, "find", e.recorded); err != nil {
		return err
	}
	for _, line := range d.leftOut {
		fmt.Fprintln(os.Stderr, line)
	}
	if err := d.print(os.Stdout); err != nil {
		return err
	}
	if out != "" {
		if err := d.write(out); err != nil {
			return err
		}
	}
	var wrong error
	for _, s := range d.sections {
		wrong = errors.Join(wrong, s.wrongs())
	}
	return wrong
}

// runRecording measures the recorders alone.
func runRecording(e effort, out string) (err error) {
	var d document
	if d.recording, err = measureRecording(e.record, "find", e.recorded); err != nil {
		return err
	}
	if err := d.print(os.Stdout); err != nil || out == "" {
		return err
	}
	return d.writeRecording(out)
}

func measureCrosvm(begin time.Time, rounds int) (*section, error) {
	all, err := crosvmRules()
	if err != nil {
		return nil, err
	}
	title := fmt.Sprintf("crosvm's %d policies, x86_64, added up", len(all))
	progress(begin, title)
	var each []*section
	for _, r := range all {
		s, err := measurePolicy(r, rounds)
		if err != nil {
			return nil, err
		}
		each = append(each, s)
	}
	return together(title, each), nil
}

func progress(begin time.Time, what string) {
	fmt.Fprintf(os.Stderr, "%3.0f s  %s\n", time.Since(begin).Seconds(), what)
}

// recordingChart is the place of the recorders' chart.
func recordingChart(out string) string { return filepath.Join(filepath.Dir(out), "recording.svg") }

// chartFile is the chart's place beside a document.
func chartFile(out string) string { return strings.TrimSuffix(out, filepath.Ext(out)) + ".svg" }
