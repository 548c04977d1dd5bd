package monban_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"monban/abi"
	"monban/policy"
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
	if len(commands) != 2 || !strings.HasPrefix(commands[0], "go run ./cmd/monban run -- ") || commands[1] != "go test ./..." {
		t.Errorf("the README begins with the commands %q", commands)
	}
	if !regexp.MustCompile(`(?m)^(\w+='[^']*' )*go test \./\.\.\.( |$)`).MatchString(read(t, ".ci/run")) {
		t.Error(".ci/run does not call the README's go test ./...")
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
	for _, document := range append(documents, "CHANGELOG.md") {
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

// The tables are whole: every preset and group, every header and action, every package.
func TestTables(t *testing.T) {
	var packages []string
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (path == "examples" || e.Name() == "testdata" || strings.HasPrefix(e.Name(), ".") && path != "."):
			return fs.SkipDir
		case filepath.Ext(path) == ".go" && filepath.Dir(path) != ".":
			packages = append(packages, filepath.ToSlash(filepath.Dir(path)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(packages)
	for _, want := range []struct {
		document string
		words    []string
	}{
		{"README.md", policy.Presets()},
		{"README.ja.md", policy.Presets()},
		{"docs/language.md", slices.Concat(policy.Presets(), abi.Groups())},
		{"docs/design.md", slices.Compact(packages)},
	} {
		text := read(t, want.document)
		for _, w := range want.words {
			if !strings.Contains(text, "`"+w+"`") {
				t.Errorf("%s does not speak of `%s`", want.document, w)
			}
		}
	}
}
