package main

import (
	"errors"
	"fmt"
	"html"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A watcher is a way to record what a program does.
type watcher struct {
	name string
	args []string // before the command
	slow bool     // measured in every tenth round only
	took []float64
	each []float64 // times as long as the same round's run alone
	err  error
}

// A recording compares recorders on one command, whole processes, side by side.
type recording struct {
	command []string
	rows    []*watcher
}

// measureRecording runs a command alone and under each recorder, in turns.
func measureRecording(rounds int, command ...string) (*recording, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	bin, known, out := filepath.Join(dir, "monban"), filepath.Join(dir, "known.gate"), filepath.Join(dir, "out.gate")
	build := exec.Command("go", "build", "-C", "..", "-o", bin, "./cmd/monban")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building monban: %w: %s", err, b)
	}
	if _, err := once(append([]string{bin, "record", "-o", known, "--"}, command...)); err != nil {
		return nil, err
	}
	record := func(args ...string) []string {
		return append(append([]string{bin, "record"}, args...), "-o", out, "--")
	}
	r := &recording{command: command, rows: []*watcher{
		{name: "alone"},
		{name: "Monban, notify, with --known", args: record("--backend", "notify", "--known", known)},
		{name: "Monban, eBPF (root)", args: record("--backend", "ebpf")},
		{name: "Monban, notify", args: record("--backend", "notify"), slow: true},
		{name: "strace -f -c", args: []string{"strace", "-f", "-c", "-o", os.DevNull}, slow: true},
		{name: "Monban, ptrace", args: record("--backend", "ptrace"), slow: true},
	}}
	for round := range rounds {
		var alone float64
		for _, w := range r.rows {
			if w.err != nil || w.slow && round%10 != 0 {
				continue
			}
			var took float64
			if took, w.err = once(append(append([]string{}, w.args...), command...)); w.err != nil {
				continue
			}
			if len(w.args) == 0 {
				alone = took
			}
			w.took = append(w.took, took)
			w.each = append(w.each, took/alone)
		}
		if err := r.rows[0].err; err != nil {
			return nil, err
		}
	}
	return r, nil
}

// once runs a command and says how many seconds it took.
func once(args []string) (float64, error) {
	var stderr strings.Builder
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = &stderr
	begin := time.Now()
	err := cmd.Run()
	took := time.Since(begin).Seconds()
	if _, exited := errors.AsType[*exec.ExitError](err); exited {
		line, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		err = fmt.Errorf("%w: %s", err, line)
	}
	return took, err
}

// Table is the comparison.
func (r *recording) Table() table {
	t := table{{"recorder", "whole process", "times as long"}}
	for _, w := range r.rows {
		if w.err != nil {
			t = append(t, []string{w.name, "not here: " + w.err.Error(), ""})
			continue
		}
		t = append(t, []string{w.name, fmt.Sprintf("%.3g s", median(w.took)), fmt.Sprintf("%.3g", median(w.each))})
	}
	return t
}

// Command is what was recorded.
func (r *recording) Command() string { return strings.Join(r.command, " ") }

// chart draws how many times as long the command takes, on a logarithmic scale that begins at once.
func (r *recording) chart() string {
	var rows []*watcher
	for _, w := range r.rows {
		if w.err == nil && len(w.args) > 0 {
			rows = append(rows, w)
		}
	}
	const bar, top = 420, 52
	width, height := chartLabels+bar+90, top+len(rows)*chartRow+14
	most := 1.0
	var said []string
	for _, w := range rows {
		most = max(most, median(w.each))
		said = append(said, fmt.Sprintf("%s %.3g", w.name, median(w.each)))
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	title := "Recording " + r.Command() + ": times as long as alone, logarithmic"
	line(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img" aria-labelledby="t">`, width, height)
	line(`<title id="t">%s: %s</title>`, html.EscapeString(title), html.EscapeString(strings.Join(said, ", ")))
	line("<style>%s</style>", chartStyle)
	line(`<rect class="back" x="0.5" y="0.5" width="%d" height="%d" rx="6"/>`, width-1, height-1)
	line(`<text class="ink head" x="16" y="28">%s</text>`, html.EscapeString(title))
	for i, w := range rows {
		y, times := top+i*chartRow, median(w.each)
		class := "bar"
		if strings.HasPrefix(w.name, "Monban") {
			class = "ours"
		}
		long := 2 + int(bar*math.Log(max(times, 1))/math.Log(max(most, 2)))
		line(`<text class="ink" x="16" y="%d">%s</text>`, y+15, html.EscapeString(w.name))
		line(`<rect class="%s" x="%d" y="%d" width="%d" height="18" rx="2"/>`, class, chartLabels, y+1, long)
		line(`<text class="ink" x="%d" y="%d">%.3g</text>`, chartLabels+long+8, y+15, times)
	}
	line("</svg>")
	return b.String()
}
