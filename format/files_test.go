package format

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/internal/hostile"
)

// References that name no file: processes and stacks, and those that are wrong.
func TestReadReferences(t *testing.T) {
	gone := errors.New("process 7 is gone")
	o := Options{Native: abi.X86_64, FS: fstest.MapFS{"a.gate": {Data: []byte("default errno(EPERM)\nallow read\n")}, "gates": {Mode: fs.ModeDir}},
		Dump: func(pid int) ([]bpf.Program, error) {
			if pid == 7 {
				return nil, gone
			}
			return []bpf.Program{minute}, nil
		}}
	for ref, want := range map[string]string{
		"pid:42":                  "",
		"stack:a.gate,pid:42":     "",
		"stack:@go-runtime":       "",
		"pid:0":                   `"0" is not a process id`,
		"pid:-1":                  `"-1" is not a process id`,
		"pid:":                    `"" is not a process id`,
		"pid:self":                `"self" is not a process id`,
		"pid:1e3":                 `"1e3" is not a process id`,
		"pid:9223372036854775808": "is not a process id",
		"pid:7":                   "process 7 is gone",
		"stack:":                  "stack:: a gate's name is missing",
		"stack:a.gate,":           "stack:a.gate,: a gate's name is missing",
		"stack:a.gate,pid:7":      "process 7 is gone",
		"stack:a.gate,none":       "none: no such file",
		"container":               "container: no such file (the preset is @container)",
		"":                        ": ",
		"gate:":                   ": ",
		"bad:a.gate":              "bad:a.gate: unknown prefix bad: (there are bpf:",
		"a.gate#part":             "a.gate#part: a policy has no parts",
		"gates":                   "gates: it is not a regular file",
	} {
		g, err := Read(ref, o)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", ref, err)
		case want == "" && g.Name == "":
			t.Errorf("%s has no name", ref)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%s: %v, want one line with …%s…", ref, err, want)
		}
	}
	if _, err := Read("pid:7", o); !errors.Is(err, gone) {
		t.Errorf("the reason is lost: %v", err)
	}
	g, err := Read("stack:a.gate,pid:42", o)
	if err != nil {
		t.Fatal(err)
	}
	v, err := g.Verdict()
	if err != nil {
		t.Fatal(err)
	}
	for nr, want := range map[uint32]bpf.Action{0: bpf.Allow, 1: bpf.Errno | 1} {
		if got := v.At(&bpf.Data{Arch: abi.X86_64.Token(), Nr: nr}); got != want {
			t.Errorf("number %d gets %s, want %s", nr, got, want)
		}
	}
}

// Names that somebody else chose: as they are in one line of error, and never another file.
func TestReadHostileNames(t *testing.T) {
	for _, name := range hostile.Names() {
		for _, o := range []Options{{FS: fstest.MapFS{}}, {}} {
			if g, err := Read("./"+name, o); err == nil {
				t.Errorf("%q was read as %s", name, g.Name)
			}
		}
	}
}

// What stands after # is a part, unless the file has that name.
func TestCutPart(t *testing.T) {
	at := files{fs: fstest.MapFS{"a#b": {}, "a": {}, "x#y#z": {}}}
	for file, want := range map[string][2]string{
		"a": {"a", ""}, "a#b": {"a#b", ""}, "a#c": {"a", "c"}, "a#b#c": {"a#b", "c"}, "x#y#z": {"x#y#z", ""}, "a#": {"a", ""}, "#a": {"", "a"}, "": {"", ""},
	} {
		if name, part := cutPart(file, at); [2]string{name, part} != want {
			t.Errorf("%s: %q, part %q, want %q", file, name, part, want)
		}
	}
}

// Standard input is read where it is handed over; otherwise - is a file's name.
func TestReadFileStdin(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("-", []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadFile("-", Options{Stdin: strings.NewReader("a stream")}); string(got) != "a stream" || err != nil {
		t.Errorf("with standard input: %q, %v", got, err)
	}
	if got, err := ReadFile("-", Options{}); string(got) != "a file" || err != nil {
		t.Errorf("without: %q, %v", got, err)
	}
	for name, c := range map[string]struct {
		stdin io.Reader
		want  string
	}{
		"endless": {endless{}, "standard input is larger than 4 MB"},
		"broken":  {iotest.ErrReader(&fs.PathError{Op: "read", Path: "/dev/stdin", Err: errors.New("it broke")}), "standard input: it broke"},
	} {
		if _, err := ReadFile("-", Options{Stdin: c.stdin}); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// A file system's own refusals come through, in one line that names the file.
func TestReadFileRefused(t *testing.T) {
	for name, want := range map[string]string{
		"denied": "denied: you may not read it", "odd": "odd: it is odd", "plain": "no path",
	} {
		_, err := ReadFile(name, Options{FS: refusing{}})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	f := files{fs: refusing{}}
	for name, want := range map[string]string{"denied": "permission denied", "odd": "it is odd", "plain": "no path", "none": "there is no such file"} {
		if _, err := f.included(name); err == nil || err.Error() != want {
			t.Errorf("%s, included: %v, want %s", name, err, want)
		}
	}
}

type refusing struct{}

func (refusing) Open(name string) (fs.File, error) {
	err := map[string]error{"denied": fs.ErrPermission, "odd": errors.New("it is odd"), "none": fs.ErrNotExist}[name]
	if err == nil {
		return nil, errors.New("no path")
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: err}
}

// Directories are listed in order; one that is not there has no files.
func TestList(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("dir", 0o700); err != nil {
		t.Fatal(err)
	}
	at := fstest.MapFS{}
	for _, name := range []string{"b", "a", "c"} {
		at["dir/"+name] = &fstest.MapFile{}
		if err := os.WriteFile(filepath.Join("dir", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []files{{}, {fs: at}} {
		if got, err := f.list("dir"); err != nil || !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("%q, %v", got, err)
		}
		if got, err := f.list("none"); err != nil || got != nil {
			t.Errorf("a directory that is not there: %q, %v", got, err)
		}
		if got, err := f.list("dir/a"); err == nil {
			t.Errorf("a file: %q", got)
		}
	}
}

// Gates beside a test file are found by its name and the endings of formats.
func TestBesideTried(t *testing.T) {
	at := fstest.MapFS{"web.gate": {}, "web.json": {}, "other.gate": {}}
	found, tried := Beside("web.expect", Options{FS: at})
	slices.Sort(found)
	if !slices.Equal(found, []string{"web.gate", "web.json"}) {
		t.Errorf("found %s", found)
	}
	for _, want := range []string{"web.gate", "web.json", "web.bpf", "web.policy"} {
		if !slices.Contains(tried, want) {
			t.Errorf("%s was not tried: %s", want, tried)
		}
	}
	if found, _ := Beside("none.expect", Options{FS: at}); found != nil {
		t.Errorf("beside none.expect: %s", found)
	}
}

// Content decides where no prefix does: the first format of the table that knows it.
func TestRecognise(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "gate",
		"default allow\n":                     "gate",
		"read: 1\nwrite: 1\n":                 "minijail",
		`{"defaultAction": "SCMP_ACT_ERRNO"}`: "oci",
		`{"main": {"default_action": "trap", "filter_action": "allow", "filter": []}}`:    "firecracker",
		"kind: SeccompProfile\napiVersion: security-profiles-operator.x-k8s.io/v1beta1\n": "kubernetes",
		"[Service]\nSystemCallFilter=read\n":                                              "systemd",
		"read(3, \"\", 1) = 0\nexit_group(0) = ?\n+++ exited with 0 +++\n":                "strace",
		"POLICY a { ALLOW { read } }\nUSE a DEFAULT KILL\n":                               "kafel",
		string(minute.Encode(abi.X86_64.ByteOrder())):                                     "bpf",
		string(minute.Encode(abi.S390X.ByteOrder())):                                      "bpf",
		"\x00\x00\x00": "bpf",
		"\xff\xfe":     "gate",
	} {
		if got := Recognise([]byte(text)); got.Name != want {
			t.Errorf("%q is %s, want %s", text, got.Name, want)
		}
	}
	if _, ok := Find("none"); ok {
		t.Error("there is a format none")
	}
}

// Programs of which there are none allow everything; that is not the same as a gate that says nothing.
func TestReadNoPrograms(t *testing.T) {
	g, err := Read("pid:1", Options{Dump: func(int) ([]bpf.Program, error) { return nil, nil }})
	if err != nil {
		t.Fatal(err)
	}
	v, err := g.Verdict()
	if err != nil || v.At(&bpf.Data{}) != bpf.Allow {
		t.Errorf("%v, %v", v, err)
	}
	if v, err := (&gate.Gate{Name: "nothing"}).Verdict(); err == nil || !strings.HasPrefix(err.Error(), "nothing: a gate has a policy, programs or members") {
		t.Errorf("a gate of nothing: %v, %v", v, err)
	}
}
