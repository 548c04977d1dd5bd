package monban_test

import (
	"bufio"
	"cmp"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"monban/abi"
	"monban/policy/lang"
)

// The documents show commands with what they print, and files. Both are tested as written:
//
//   - a block ```console is run, command by command ("$ " begins one, "> " continues it), by one shell for the whole
//     document, at the top of a copy of this tree, with monban in the PATH; … in the expected output stands for
//     anything, alone on a line for any lines. Further words after console name what the block needs: gcc, root, bwrap,
//     runc.
//   - a block ```gate, ```go, ```c, ```json, ```yaml with a file name after the language is written to that file first;
//     a gate must load, or must not if the word wrong follows.
//
// -update writes what the commands print into the documents.
var update = flag.Bool("update", false, "write what the commands print into the documents")

var documents = []string{"README.md", "README.ja.md", "docs/language.md", "docs/formats.md", "docs/seeing.md", "docs/learning.md", "docs/review.md", "docs/lint.md", "docs/testing.md", "docs/migrating.md", "docs/design.md", "docs/performance.md"}

// A block is a fenced code block.
type block struct {
	lang  string
	words []string // after the language
	line  int      // of the fence, from 1
	lines []string
}

func (b *block) has(word string) bool { return slices.Contains(b.words, word) }

// file is the name of the file that the block shows, or "".
func (b *block) file() string {
	if len(b.words) > 0 && strings.Contains(b.words[0], ".") {
		return b.words[0]
	}
	return ""
}

// A step is one command of a block and the lines that it must print.
type step struct {
	line    int // in the document, from 1
	command string
	end     int // the line after the command's, in the block, from 0
	want    []string
}

func (b *block) steps(t *testing.T) []step {
	var steps []step
	for i := 0; i < len(b.lines); {
		command, ok := strings.CutPrefix(b.lines[i], "$ ")
		if !ok {
			t.Fatalf("line %d: a console block begins with a command after $", b.line+1+i)
		}
		s := step{line: b.line + 1 + i, command: command}
		for i++; i < len(b.lines) && strings.HasPrefix(b.lines[i], "> "); i++ {
			s.command += "\n" + b.lines[i][2:]
		}
		s.end = i
		for ; i < len(b.lines) && !strings.HasPrefix(b.lines[i], "$ "); i++ {
			s.want = append(s.want, b.lines[i])
		}
		steps = append(steps, s)
	}
	return steps
}

// matches compares output with what the document shows.
func (s *step) matches(got []string) bool {
	var re strings.Builder
	re.WriteString(`\A`)
	for _, line := range s.want {
		if line == "…" {
			re.WriteString(`(?:.*\n)*?`)
			continue
		}
		re.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*?") + `\n`)
	}
	return regexp.MustCompile(re.String() + `\z`).MatchString(strings.Join(append(got, ""), "\n"))
}

func blocksOf(t *testing.T, document string) []block {
	t.Helper()
	src, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	open := false
	for i, line := range strings.Split(string(src), "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && !open:
			lang, rest, _ := strings.Cut(fence, " ")
			blocks = append(blocks, block{lang: lang, words: strings.Fields(rest), line: i + 1})
			open = true
		case isFence:
			open = false
		case open:
			b := &blocks[len(blocks)-1]
			b.lines = append(b.lines, line)
		}
	}
	if open {
		t.Fatalf("%s: the code block of line %d does not end", document, blocks[len(blocks)-1].line)
	}
	return blocks
}

func TestDocuments(t *testing.T) {
	bin := ""
	if why := cannotRun(); why == "" {
		bin = build(t)
	}
	for _, document := range documents {
		t.Run(document, func(t *testing.T) {
			blocks := blocksOf(t, document)
			dir := t.TempDir()
			if err := os.CopyFS(dir, tree{os.DirFS(".")}); err != nil {
				t.Fatal(err)
			}
			sh := newShell(t, dir, bin)
			outputs := map[int][]string{} // by step.line
			for i := range blocks {
				b := &blocks[i]
				switch {
				case b.lang == "console":
					t.Run(fmt.Sprintf("line %d", b.line), func(t *testing.T) { sh.check(t, document, b, outputs) })
				case b.file() != "":
					name := filepath.Join(dir, b.file())
					if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(name, []byte(strings.Join(append(b.lines, ""), "\n")), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				if b.lang == "gate" {
					checkGate(t, dir, document, b)
				}
			}
			if *update {
				rewrite(t, document, blocks, outputs)
			}
		})
	}
}

// tree hides what is not source from a copy of the tree.
type tree struct{ fs.FS }

func (f tree) Open(name string) (fs.File, error) { return f.FS.Open(name) }

func (f tree) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(f.FS, name)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		return e.Name() == ".git" || e.Name() == "monban" && !e.IsDir()
	}), err
}

// checkGate loads a policy that a document shows.
func checkGate(t *testing.T, dir, document string, b *block) {
	t.Helper()
	native := abi.X86_64
	o := lang.Options{Native: native, ReadFile: func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, name)) }}
	_, err := lang.Load(cmp.Or(b.file(), "block"), []byte(strings.Join(append(b.lines, ""), "\n")), o)
	switch {
	case b.has("wrong") && err == nil:
		t.Errorf("%s:%d: this gate is shown as wrong, but it loads", document, b.line)
	case !b.has("wrong") && err != nil:
		t.Errorf("%s:%d: this gate does not load: %v", document, b.line, err)
	}
}

// cannotRun says why the commands cannot be run here, or nothing.
func cannotRun() string {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return "needs Linux on amd64, whose output the documents show"
	}
	sh, err := exec.LookPath("sh")
	if err == nil {
		sh, err = filepath.EvalSymlinks(sh)
	}
	if err != nil || filepath.Base(sh) != "dash" {
		return "needs dash as sh, whose system calls and messages the documents show"
	}
	return ""
}

// build makes the command and says where it is.
func build(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	cmd := exec.Command("go", "build", "-trimpath", "-o", bin, "./cmd/monban")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as the README says
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// A shell runs the commands of one document.
type shell struct {
	in     io.Writer
	out    chan string // lines; closed at the shell's end
	status int
	why    string // why nothing can be run
}

const mark = "-- end of a command, status"

func newShell(t *testing.T, dir, bin string) *shell {
	t.Helper()
	if bin == "" {
		return &shell{why: cannotRun()}
	}
	if out, err := exec.Command(filepath.Join(bin, "monban"), "run", "--", "true").CombinedOutput(); err != nil {
		return &shell{why: "needs permission to gate a program: " + strings.TrimSpace(string(out))}
	}
	cmd := exec.Command("sh")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "LC_ALL=C", "NO_COLOR=1", "TERM=dumb", "GOFLAGS=-trimpath", "ENV=")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = w, w, 10*time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	sh := &shell{in: in, out: make(chan string)}
	go func() {
		defer close(sh.out)
		for lines := bufio.NewScanner(r); lines.Scan(); {
			sh.out <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		// What still runs in the background belongs to the document: it ends with it.
		io.WriteString(in, "kill $(jobs -p) 2>/dev/null\n")
		in.Close()
		go func() {
			for range sh.out {
			}
		}()
		if err := cmd.Wait(); err != nil && cmd.ProcessState == nil {
			t.Error(err)
		}
		w.Close()
	})
	return sh
}

// run runs one command and returns the lines that it printed, standard output and error as they came.
func (sh *shell) run(t *testing.T, command string) []string {
	t.Helper()
	fmt.Fprintf(sh.in, "{ (exit %d)\n%s\n} </dev/null; printf '\\n%s %%d\\n' $?\n", sh.status, command, mark)
	var got []string
	late := time.After(2 * time.Minute)
	for {
		select {
		case line, ok := <-sh.out:
			if !ok {
				t.Fatalf("the shell ended in: %s", command)
			}
			status, ended := strings.CutPrefix(line, mark+" ")
			if !ended {
				got = append(got, line)
				continue
			}
			sh.status, _ = strconv.Atoi(status)
			// The mark starts on a line of its own, whether or not the output ended one.
			if n := len(got); n > 0 && got[n-1] == "" {
				got = got[:n-1]
			}
			return got
		case <-late:
			t.Fatalf("this command does not end: %s", command)
		}
	}
}

// check runs a console block. outputs takes what was printed instead of what the document shows.
func (sh *shell) check(t *testing.T, document string, b *block, outputs map[int][]string) {
	for _, need := range b.words {
		if why := missing(need); why != "" {
			t.Skip(why)
		}
	}
	for _, s := range b.steps(t) {
		if s.command == "go test ./..." {
			continue // this very command: CI runs it, see TestCommandsOfREADME
		}
		if sh.why != "" {
			t.Skip(sh.why)
		}
		got := sh.run(t, s.command)
		if s.matches(got) {
			continue
		}
		outputs[s.line] = got
		if !*update {
			t.Errorf("%s:%d: $ %s\nprints:\n%s\nthe document shows:\n%s\n(go test . -update writes it down)", document, s.line, s.command,
				strings.Join(got, "\n"), strings.Join(s.want, "\n"))
		}
	}
}

// missing says that something a block needs is not here.
func missing(need string) string {
	if need == "corpus" {
		if os.Getenv("MONBAN_CORPUS") == "" {
			return "needs MONBAN_CORPUS"
		}
		return ""
	}
	if need == "root" {
		if os.Getuid() != 0 {
			return "needs root"
		}
		return ""
	}
	if _, err := exec.LookPath(need); err != nil {
		return "needs " + need
	}
	return ""
}

// rewrite puts new output into a document.
func rewrite(t *testing.T, document string, blocks []block, outputs map[int][]string) {
	t.Helper()
	src, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(src), "\n")
	for i := range slices.Backward(blocks) {
		b := &blocks[i]
		if b.lang != "console" {
			continue
		}
		for _, s := range slices.Backward(b.steps(t)) {
			if got, ok := outputs[s.line]; ok {
				// What was left open in a line stays open.
				for j, line := range got {
					for _, w := range s.want {
						if one := (step{want: []string{w}}); w != "…" && one.matches([]string{line}) {
							got[j] = w
						}
					}
				}
				lines = slices.Replace(lines, b.line+s.end, b.line+s.end+len(s.want), got...)
			}
		}
	}
	if err := os.WriteFile(document, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}
