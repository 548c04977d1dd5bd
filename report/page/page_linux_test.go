package page_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/inspect"
	"monban/lint"
	"monban/policy/lang"
	"monban/report/page"
)

func write(t *testing.T, preset string, archs ...abi.Arch) string {
	t.Helper()
	p, err := lang.LoadPreset(preset, lang.Options{Archs: archs, Native: archs[0]})
	if err != nil {
		t.Fatal(err)
	}
	g := gate.OfPolicy("<i>"+preset, p)
	e, err := inspect.Explain(g)
	if err != nil {
		t.Fatal(err)
	}
	e.Notes = []string{"a note"}
	danger := lint.Finding{Check: lint.Check{Why: "a reason"}, Title: "a <danger>", Archs: archs[:1]}
	danger.Call = bpf.Data{Arch: archs[0].Token(), Nr: 56, Args: [6]uint64{0x100}}
	e.Findings = append(e.Findings, danger)
	var b bytes.Buffer
	if err := page.Write(&b, e); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The page needs nothing else, shows each call of each architecture once, and escapes what it is given.
func TestWrite(t *testing.T) {
	html := write(t, "@container", abi.X86_64, abi.X86, abi.X32)
	for _, bad := range []string{"http:", "https:", "src=", "@import", "url(", "<i>@"} {
		if strings.Contains(html, bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	for _, want := range []string{"&lt;i&gt;@container", "a &lt;danger&gt;", "clone(flags=CLONE_VM", "proven to mean the same",
		"allow if flags &amp; (CLONE_NEWNS | ", "nr = 41 socket", "arch = x86", ">errno(EPERM)</text>"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	n := 0
	for range abi.X86_64.Calls() {
		n++
	}
	for range abi.X86.Calls() {
		n++
	}
	for range abi.X32.Calls() {
		n++
	}
	if got := strings.Count(html, `<span class="tile `); got != n {
		t.Errorf("%d tiles for %d calls", got, n)
	}
	// Each reference in the tree leads to a test that is drawn.
	refs := regexp.MustCompile(`<a href="#(t\d+i\d+)">`).FindAllStringSubmatch(html, -1)
	for _, m := range refs {
		if !strings.Contains(html, `id="`+m[1]+`"`) {
			t.Errorf("the reference to %s leads nowhere", m[1])
		}
	}
}

// Masks of whole registers, and actions that are rare.
func TestRare(t *testing.T) {
	p, err := lang.Load("rare.gate", []byte("arch x86_64\ndefault allow\nnotify read\nlog write\n"+
		"errno(EPERM) socket(u64(protocol) & 0xf0f0f0f0f0f0f0f == 1)\ntrap(5) mount\n"), lang.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := inspect.Explain(gate.OfPolicy("n", p))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := page.Write(&b, e); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`class="tile ask fewer" data-kind="ask" tabindex="0" data-n="0">read<`, `class="tile log"`, `class="tile trap"`,
		"protocol &amp; 0xf0f0f0f"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page has no %q", want)
		}
	}
}

// In a browser: the script counts what it shows, without an error.
func TestBrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("needs chromium")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "gate.html")
	if err := os.WriteFile(file, []byte(write(t, "@container", abi.X86_64, abi.X86)), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dom := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--user-data-dir="+filepath.Join(dir, "profile"), "--dump-dom", "file://"+file)
	dom.WaitDelay = 5 * time.Second
	out, err := dom.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`aria-live="polite">385 calls<`, `<section class="arch hide" data-arch="x86">`, `allowed <span class="n">306</span>`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the browser does not show %q", want)
		}
	}
}
