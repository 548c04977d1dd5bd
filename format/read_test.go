package format

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"monban/abi"
	"monban/bpf"
)

var minute = bpf.Program{
	{Code: bpf.LD | bpf.ABS, K: bpf.OffsetNr},
	{Code: bpf.JMP | bpf.JEQ, K: 1, Jf: 1},
	{Code: bpf.RET, K: uint32(bpf.Errno) | 1},
	{Code: bpf.RET, K: uint32(bpf.Allow)},
}

func TestRead(t *testing.T) {
	t.Chdir(t.TempDir())
	const text = "default errno(EPERM)\nallow read\n"
	const json = `{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}`
	little, big := string(minute.Encode(binary.LittleEndian)), string(minute.Encode(binary.BigEndian))
	for name, content := range map[string]string{
		"a.gate": text, "a.json": " \n" + json, "le": little, "be": big, "@container": text, "empty": "",
		"short": little[:len(little)-3], "bad": little[:8*3-8], "inc.gate": "include \"a.gate\"\nallow write\n",
		"sub/inc.gate": "include \"../a.gate\"", "odd:name": text, "endless.gate": "include \"/dev/zero\"",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	huge, err := os.Create("huge")
	if err != nil {
		t.Fatal(err)
	}
	if err := huge.Truncate(4 << 30); err != nil {
		t.Fatal(err)
	}
	huge.Close()
	for _, c := range []struct {
		ref, stdin string
		kind       string
		wrong      string // part of the error
	}{
		{"a.gate", "", "gate", ""},
		{"gate:a.gate", "", "gate", ""},
		{"./@container", "", "gate", ""},
		{"odd:name", "", "gate", ""},
		{"inc.gate", "", "gate", ""},
		{"sub/inc.gate", "", "gate", ""},
		{"@container", "", "gate", ""},
		{"a.json", "", "oci", ""},
		{"oci:a.json", "", "oci", ""},
		{"le", "", "bpf", ""},
		{"bpf:le", "", "bpf", ""},
		{"be", "", "bpf", ""},
		{"bpf-be:be", "", "bpf-be", ""},
		{"-", text, "gate", ""},
		{"-", json, "oci", ""},
		{"-", big, "bpf", ""},
		{"oci:a.gate", "", "", "a.gate:1:1"},
		{"bpf:a.gate", "", "", "a.gate: "},
		{"bpf:be", "", "bpf", ""},
		{"empty", "", "", "empty is empty: a gate says at least what its default is"},
		{"-", "", "", "standard input is empty"},
		{"short", "", "", "short: "},
		{"bad", "", "", "the kernel does not admit"},
		{"huge", "", "", "huge is larger than 4 MB"},
		{"sub", "", "", "is a directory, not a file"},
		{"endless.gate", "", "", "cannot include /dev/zero: it is a device, not a regular file"},
		{"/dev/zero", "", "", "/dev/zero: it is a device, not a regular file"},
		{"none", "", "", "none: no such file (a preset starts with @"},
		{"@none", "", "", "unknown preset @none"},
		{"nothing:x", "", "", "unknown prefix nothing:"},
		{"a.gate#part", "", "", "a.gate#part: a policy has no parts"},
	} {
		g, err := Read(c.ref, Options{Native: abi.X86_64, Stdin: strings.NewReader(c.stdin)})
		switch {
		case c.wrong != "":
			if err == nil || !strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v, want one line with …%s…", c.ref, err, c.wrong)
			}
		case err != nil:
			t.Errorf("%s: %v", c.ref, err)
		case g.Format != c.kind:
			t.Errorf("%s is a %s, want %s", c.ref, g.Format, c.kind)
		default:
			v, err := g.Verdict()
			order, err2 := g.ByteOrder()
			if err != nil || err2 != nil {
				t.Errorf("%s: %v %v", c.ref, err, err2)
			} else if got := v.At(&bpf.Data{Arch: abi.X86_64.Token(), Nr: 0}); got != bpf.Allow {
				t.Errorf("%s: read gets %v in %v", c.ref, got, order)
			}
		}
	}
}

// A gate from a file system of the caller's is the same, with what it includes; nothing else is opened.
func TestReadFS(t *testing.T) {
	at := fstest.MapFS{
		"gates/web.gate":      {Data: []byte("arch x86_64\ninclude \"lib/base.gate\"\nallow write\n")},
		"gates/lib/base.gate": {Data: []byte("default errno(EPERM)\nallow read\n")},
		"gates/out.gate":      {Data: []byte("include \"/etc/passwd\"\n")},
		"gates/none.gate":     {Data: []byte("include \"../none\"\n")},
		"docker.json":         {Data: []byte(`{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}`)},
		"dir/x":               {Data: []byte("x")},
	}
	for ref, wrong := range map[string]string{
		"gates/web.gate": "", "./gates/web.gate": "", "oci:docker.json": "", "docker.json": "", "stack:docker.json,gates/web.gate": "",
		"gates/out.gate": "cannot include /etc/passwd", "gates/none.gate": "there is no such file", "/etc/passwd": "/etc/passwd: ", "dir": "not a regular file",
		"none": "none: no such file", "pid:1": "cannot be looked at",
	} {
		g, err := Read(ref, Options{Native: abi.X86_64, FS: at})
		if wrong != "" {
			if err == nil || !strings.Contains(err.Error(), wrong) {
				t.Errorf("%s: %v, want …%s…", ref, err, wrong)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", ref, err)
			continue
		}
		v, err := g.Verdict()
		if err != nil {
			t.Errorf("%s: %v", ref, err)
		} else if do := v.At(&bpf.Data{Arch: abi.X86_64.Token()}); do != bpf.Allow {
			t.Errorf("%s: read gets %v", ref, do)
		}
	}
	if found, _ := Beside("docker.expect", Options{FS: at}); !slices.Equal(found, []string{"docker.json"}) {
		t.Errorf("beside docker.expect: %s", found)
	}
}
