package main

import (
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// measured is a recording with one recorder that could not be measured.
func measured() *recording {
	return &recording{command: []string{"find", "/usr"}, rows: []*watcher{
		{name: "alone", took: []float64{0.25, 0.5, 0.3}, each: []float64{1, 1, 1}},
		{name: "Monban, eBPF (root)", args: []string{"monban"}, took: []float64{0.3, 0.7, 0.4}, each: []float64{1.2, 1.4, 1.33}},
		{name: "strace -f -c", args: []string{"strace"}, err: errors.New("no strace")},
	}}
}

// What -only writes is what the whole document has there, and the rest of the file stays.
func TestOnlyRecording(t *testing.T) {
	d := &document{recording: measured()}
	section, err := d.fill("recording")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"## Recording\n", "`find /usr`", "(recording.svg)", "| alone               | 0.3 s", "| 1.33 |\n", "not here: no strace"} {
		if !strings.Contains(section, want) {
			t.Errorf("no %q in\n%s", want, section)
		}
	}
	whole, err := d.fill("performance.md.tmpl")
	if err != nil || !strings.HasSuffix(whole, "\n\n"+section) {
		t.Errorf("%v: the document does not end with\n%s\nbut is\n%s", err, section, whole)
	}

	const before, after = "# Performance\n\nOf ## Recording later.\n\n", "\n## More\n\nText.\n"
	for _, old := range []struct{ text, want string }{
		{before + "## Recording\n\nold\n", before + section},
		{before + "## Recording\n\nold\n" + after, before + section + after},
		{before + section + after, before + section + after},
		{whole, whole},
	} {
		out := filepath.Join(t.TempDir(), "performance.md")
		if err := os.WriteFile(out, []byte(old.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := d.writeRecording(out); err != nil {
			t.Error(err)
		}
		if got, err := os.ReadFile(out); err != nil || string(got) != old.want {
			t.Errorf("%v: %q became\n%s", err, old.text, got)
		}
		drawn, err := os.ReadFile(filepath.Join(filepath.Dir(out), "recording.svg"))
		if err != nil || xml.Unmarshal(drawn, new(struct{})) != nil || !strings.Contains(string(drawn), ">1.33<") {
			t.Errorf("%v: the chart is\n%s", err, drawn)
		}
	}
	out := filepath.Join(t.TempDir(), "performance.md")
	if err := os.WriteFile(out, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := d.writeRecording(out); err == nil || !strings.Contains(err.Error(), `no line "## Recording"`) {
		t.Errorf("a file without the section: %v", err)
	}
}
