package monban_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"monban/abi"
	"monban/bpf"
	"monban/lint"
	"monban/policy/lang"
)

func read(t *testing.T, name string) string {
	t.Helper()
	src, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(src)
}

// The two commands of the README are what CI runs, or what TestDocuments does.
func TestSetUp(t *testing.T) {
	var commands []string
	for _, b := range blocksOf(t, "README.md") {
		if b.lang == "console" {
			for _, s := range b.steps(t) {
				commands = append(commands, s.command)
			}
		}
		if len(commands) >= 2 {
			break
		}
	}
	if len(commands) != 2 || !strings.HasPrefix(commands[0], "CGO_ENABLED=0 go run ./cmd/monban run -- ") || commands[1] != "go test ./..." {
		t.Errorf("the README begins with the commands %q", commands)
	}
	if n := len(regexp.MustCompile(`(?m)^ *tests .* go test (-cover )?\./\.\.\.$`).FindAllString(read(t, ".ci/run"), -1)); n != 2 {
		t.Errorf(".ci/run calls the README's go test ./... %d times, not as root and as an ordinary user", n)
	}
}

// Both READMEs show the same files and commands; comments in files are in the README's language.
func TestJapaneseREADME(t *testing.T) {
	comment := regexp.MustCompile(`(?m)[ \t]*(#|//).*$`)
	var shown [2][]string
	for i, document := range []string{"README.md", "README.ja.md"} {
		for _, b := range blocksOf(t, document) {
			words := append([]string{b.lang}, b.words...)
			text := comment.ReplaceAllString(strings.Join(b.lines, "\n"), "")
			if b.lang == "console" {
				text = strings.Join(b.lines, "\n")
			}
			shown[i] = append(shown[i], strings.Join(words, " ")+"\n"+text)
		}
	}
	if d := cmp.Diff(shown[0], shown[1]); d != "" {
		t.Errorf("README.md and README.ja.md differ in their blocks (-en +ja):\n%s", d)
	}
}

// Links between documents, and to files of the tree, lead somewhere.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading := regexp.MustCompile(`(?m)^#+ +(.*)$`)
	for _, document := range append(documents, "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md") {
		for _, m := range link.FindAllStringSubmatch(read(t, document), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := filepath.Join(filepath.Dir(document), file)
			if file == "" {
				target = document
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: the link %s leads nowhere", document, m[1])
				continue
			}
			if anchor == "" {
				continue
			}
			var anchors []string
			for _, h := range heading.FindAllStringSubmatch(read(t, target), -1) {
				anchors = append(anchors, slug(h[1]))
			}
			if !slices.Contains(anchors, anchor) {
				t.Errorf("%s: %s has no heading #%s (it has %s)", document, target, anchor, strings.Join(anchors, " "))
			}
		}
	}
}

// slug is a heading's anchor, as code forges make it.
func slug(heading string) string {
	s := regexp.MustCompile(`[^\p{L}\p{N}\- _]`).ReplaceAllString(strings.ToLower(heading), "")
	return strings.ReplaceAll(s, " ", "-")
}

// The tables are complete: every preset, group, action and architecture.
func TestTables(t *testing.T) {
	for _, want := range []struct {
		document string
		words    []string
	}{
		{"README.md", lang.Presets()},
		{"README.ja.md", lang.Presets()},
		{"docs/language.md", slices.Concat(lang.Presets(), abi.Groups())},
	} {
		text := read(t, want.document)
		for _, w := range want.words {
			if !strings.Contains(text, "`"+w+"`") {
				t.Errorf("%s does not speak of `%s`", want.document, w)
			}
		}
	}
	text := read(t, "docs/language.md")
	for _, a := range bpf.Actions() {
		if !regexp.MustCompile("(?m)^\\| `" + a.Name() + "[`(]").MatchString(text) {
			t.Errorf("docs/language.md has no row for the action %s", a.Name())
		}
		if !strings.Contains(text, `"`+a.Name()+`"`) {
			t.Errorf("docs/language.md: the grammar has no action %s", a.Name())
		}
	}
	_, names, _ := strings.Cut(text, "\nThe names: ")
	names, _, _ = strings.Cut(names, ".\n")
	listed := strings.FieldsFunc(names, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' })
	for _, a := range abi.Archs() {
		if !slices.Contains(listed, a.String()) {
			t.Errorf("docs/language.md does not name the architecture %s", a)
		}
	}
	for _, name := range listed {
		if a, err := abi.ParseArch(name); err != nil || a.String() != name {
			t.Errorf("docs/language.md names the architecture %s, which is %v, %v", name, a, err)
		}
	}
}

// docs/design.md lists every package, and a package imports only those above it. A row such as format/… is of the
// packages there that have none of their own.
func TestRooms(t *testing.T) {
	var rooms []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z/]+(?:/…)?)` \\|").FindAllStringSubmatch(read(t, "docs/design.md"), -1) {
		rooms = append(rooms, m[1])
	}
	roomOf := func(dir string) int {
		if i := slices.Index(rooms, dir); i >= 0 {
			return i
		}
		return slices.Index(rooms, path.Dir(dir)+"/…")
	}
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (path == "examples" || path == "bench" || e.Name() == "testdata" || strings.HasPrefix(e.Name(), ".") && path != "."):
			return fs.SkipDir
		case filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || filepath.Dir(path) == ".":
			return nil
		}
		room := roomOf(filepath.ToSlash(filepath.Dir(path)))
		if room < 0 {
			t.Errorf("docs/design.md does not list the package of %s", path)
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			other, ours := strings.CutPrefix(name, "monban/")
			if in := roomOf(other); ours && (in > room || in == room && !strings.HasSuffix(rooms[room], "/…")) {
				t.Errorf("%s imports %s, which docs/design.md lists below %s", path, other, rooms[room])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The table of instruction counts agrees with itself and with what compile prints above it.
func TestNumbers(t *testing.T) {
	row := regexp.MustCompile(`(?m)^\| (\S.*) \| (\d+) \| (\d+\.\d) \|$`)
	ours := regexp.MustCompile(`(?m)^length +(\d+) instructions`)
	for _, document := range []string{"README.md", "README.ja.md"} {
		text := read(t, document)
		rows := row.FindAllStringSubmatch(text, -1)
		measured := ours.FindStringSubmatch(text)
		if len(rows) < 2 || measured == nil || rows[0][1] != "Monban" || rows[0][2] != measured[1] {
			t.Errorf("%s: the table begins with %q, and compile --stats says %q", document, rows, measured)
			continue
		}
		one, _ := strconv.ParseFloat(rows[0][2], 64)
		for _, r := range rows {
			n, _ := strconv.ParseFloat(r[2], 64)
			if want := strconv.FormatFloat(n/one, 'f', 1, 64); r[3] != want {
				t.Errorf("%s: %s is %s times as long, not %s", document, r[1], want, r[3])
			}
		}
	}
}

// TestJSON holds docs/json.md against the schemas that the commands print.
func TestJSON(t *testing.T) {
	printed := map[string]bool{}
	for _, pattern := range []string{"cmd/monban/*.go", "report/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			for _, m := range regexp.MustCompile(`\bJSON\(.*?, "([a-z-]+/\d+)", `).FindAllStringSubmatch(read(t, name), -1) {
				printed[m[1]] = true
			}
			for _, m := range regexp.MustCompile(`"monban/([a-z]+-line/\d+)"`).FindAllStringSubmatch(read(t, name), -1) {
				printed[m[1]] = true
			}
		}
	}
	described := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(read(t, "docs/json.md"), -1) {
		for schema := range strings.SplitSeq(heading[1], ", ") {
			described[schema] = true
		}
	}
	if diff := cmp.Diff(printed, described); diff != "" {
		t.Errorf("printed (-), described (+):\n%s", diff)
	}
}

// docs/lint.md shows the catalogue as it is; go test . -update writes it down.
func TestLintCatalogue(t *testing.T) {
	const document = "docs/lint.md"
	text := read(t, document)
	head, shown, found := strings.Cut(text, "\n### ")
	if !found {
		t.Fatalf("%s has no catalogue", document)
	}
	link := regexp.MustCompile(`https://[^\s,]+`)
	var want []string
	for e := range lint.Checks() {
		fix := "Fix: "
		if e.Fixable() {
			fix = "Fix (`--fix` does it): "
		}
		want = append(want, "### "+e.ID+" "+e.Name+"\n\n**"+e.Severity.String()+"**: "+e.Title+"\n\nWhy: "+e.Why+".\n"+fix+e.Fix+
			".\nSee: "+link.ReplaceAllString(e.Reference, "<$0>")+"\n")
	}
	catalogue := strings.Join(want, "\n")
	switch {
	case "### "+shown == catalogue:
	case *update:
		if err := os.WriteFile(document, []byte(head+"\n"+catalogue), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s shows another catalogue (-shown +is; go test . -update writes it down):\n%s", document, cmp.Diff("### "+shown, catalogue))
	}
}
