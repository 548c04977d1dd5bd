package record_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/learn"
	"monban/policy/lang"
	"monban/record"
)

// line is what the kernel writes of a call of user 33's program, which has chosen the names, without what marks it as
// the kernel's.
func line(nr, names string) string {
	return "auid=4294967295 uid=33 gid=33 ses=4294967295 pid=77 " + names + " sig=0 arch=c000003e syscall=" + nr + " compat=0 ip=0x7fdea0eed829 code=0x50001"
}

// marked puts the kernel's mark of a stream before a line.
func marked(stream, line string) string {
	if stream == "kmsg" {
		return "5,1774,3110884372,-;audit: type=1326 audit(1795780722.147:1363): " + line
	}
	return "type=SECCOMP msg=audit(1795780722.147:1363): " + line
}

func readAudit(stream, log string, users ...int) (*record.Recording, error) {
	r := record.Denied("log")
	for _, s := range record.Streams() {
		if s.Name == stream {
			return r, r.AddAudit(s, "log", strings.NewReader(log), users)
		}
	}
	return nil, errors.New("no such stream")
}

func audited(t *testing.T, stream string, lines ...string) *record.Recording {
	t.Helper()
	log := ""
	for _, l := range lines {
		log += marked(stream, l) + "\n"
	}
	r, err := readAudit(stream, log)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// says writes down what a recording has.
func says(r *record.Recording) (text string) {
	for _, a := range r.Archs(abi.X86_64) {
		for _, k := range r.Keys(a) {
			for program, n := range r.Calls[k].Programs {
				text += fmt.Sprintf("%v %d %q %d\n", a, int32(k.Nr), program, n)
			}
		}
	}
	return text
}

const named = `comm="app" exe="/usr/bin/app"`

// The kernel's own lines, with all that it varies in them, and lines that it writes of others.
func TestAudit(t *testing.T) {
	for _, c := range []struct{ stream, log, want string }{
		{"audit", marked("audit", line("165", named)), `x86_64 165 "app" 1`},
		{"kmsg", marked("kmsg", line("165", named)), `x86_64 165 "app" 1`},
		{"kmsg", marked("kmsg", line("165", `comm=61222062 exe=2F746D702F61206220636F6D6D3D`)), `x86_64 165 "a b comm=" 1`},
		{"kmsg", marked("kmsg", line("-2147483648", named)), `x32 -2147483648 "app" 1`},
		{"kmsg", marked("kmsg", line("-1", named)), `x32 -1 "app" 1`},
		{"kmsg", marked("kmsg", strings.Replace(line("165", named), "c000003e", "40000003", 1)), `x86 165 "app" 1`},
		{"kmsg", marked("kmsg", line("165", `comm="" exe=(null)`)), `x86_64 165 "" 1`},
		{"kmsg", "6,1,2,-;something else\n SUBSYSTEM=acpi\n" + marked("kmsg", line("165", named)) + "\n", `x86_64 165 "app" 1`},
		{"audit", "----\ntime->Fri Nov 27 11:58:42 2026\nnode=web1 " + marked("audit", line("165", named)) + "\x1dARCH=x86_64 SYSCALL=mount AUID=\"unset\"\n" +
			"type=USER_MSG msg=audit(1.2:3): pid=1 uid=0 msg='type=SECCOMP msg=audit(1.2:3): x'\n", `x86_64 165 "app" 1`},
		// A label of a security module may have anything in it; what the kernel says comes last.
		{"audit", marked("audit", strings.Replace(line("165", named), " pid=", ` subj=a (enforce) pid=1 comm="x" exe="/x" sig=0 arch=c000003e syscall=9 pid=`, 1)), `x86_64 165 "app" 1`},
	} {
		r, err := readAudit(c.stream, c.log)
		if err != nil || says(r) != c.want+"\n" {
			t.Errorf("%s: %v, %swant %s", c.log, err, says(r), c.want)
		}
	}
}

// What anybody may write is not a line of the kernel's, whatever it says: it is an error where the stream would not
// have it, and ignored where others write, too.
func TestForged(t *testing.T) {
	forged := line("165", named)
	for name, c := range map[string]struct{ stream, log, wrong string }{
		"a program's message":            {"audit", "monban: killed: mount(source=0, target=0) by sh (process 1)", "log:1: this is not a line of the audit's log"},
		"a program's message to kmsg":    {"kmsg", "monban: killed: mount(source=0, target=0) by sh (process 1)", "log:1: this is not a record of /dev/kmsg"},
		"printed to a mixed log":         {"audit", "hello\n" + marked("audit", forged), "log:1: this is not a line of the audit's log"},
		"by logger":                      {"audit", "Nov 27 11:58:42 host root: " + marked("audit", forged), "log:1: this is not a line of the audit's log"},
		"dmesg":                          {"kmsg", "[ 3110.884372] audit: type=1326 audit(1.2:3): " + forged, "log:1: this is not a record of /dev/kmsg"},
		"by logger, in the kernel's log": {"kmsg", strings.Replace(marked("kmsg", forged), "5,", "13,", 1), "no line of it says"},
		"by another facility":            {"kmsg", strings.Replace(marked("kmsg", forged), "5,", "85,", 1), "no line of it says"},
		"a continued record":             {"kmsg", "12,1,2,-;x\n " + marked("kmsg", forged), "no line of it says"},
		"behind other text":              {"kmsg", "6,1,2,-;x audit: type=1326 audit(1.2:3): " + forged, "no line of it says"},
		"a message of another type":      {"audit", "type=USER_MSG msg=audit(1.2:3): pid=1 msg='" + marked("audit", forged) + "'", "no line of it says"},
		"a name with a field":            {"kmsg", marked("kmsg", line("39", `comm="a syscall=165" exe="/bin/a"`)), "log:1: this line about seccomp is incomplete"},
		"a name that ends the line":      {"kmsg", marked("kmsg", line("39", `comm="a" exe="/a" sig=0 arch=c000003e syscall=165 compat=0 ip=0x1 code=0x0" exe="/bin/a"`)), "is incomplete"},
		"a field twice":                  {"kmsg", marked("kmsg", forged+" syscall=9"), "is incomplete"},
		"without a field":                {"kmsg", marked("kmsg", strings.Replace(forged, " compat=0", "", 1)), "is incomplete"},
		"cut off":                        {"kmsg", marked("kmsg", forged[:len(forged)-30]), "is incomplete"},
		"interpreted":                    {"audit", `type=SECCOMP msg=audit(11/27/26 11:58:42.147:1363) : auid=unset uid=app comm=app exe=/bin/app sig=SIG0 arch=x86_64 syscall=mount`, "ausearch: with --raw"},
		"no such architecture":           {"audit", marked("audit", strings.Replace(forged, "c000003e", "c0000fff", 1)), "no architecture has the token 0xc0000fff"},
		"no such number":                 {"audit", marked("audit", line("99999999999", named)), "is not a call's number"},
		"nothing":                        {"audit", "", "no line of it says"},
	} {
		if r, err := readAudit(c.stream, c.log); err == nil || !strings.Contains(err.Error(), c.wrong) || len(r.Calls) > 0 {
			t.Errorf("%s: %v, %s, want %s", name, err, says(r), c.wrong)
		}
	}
}

// Any user can have the kernel write lines of programs of his own: those of several are not mixed without a word.
func TestUsers(t *testing.T) {
	log := marked("kmsg", line("165", named)) + "\n" + marked("kmsg", strings.Replace(line("9", named), "uid=33", "uid=1000", 1)) + "\n" +
		marked("kmsg", "auid=1 uid=1000 gid=1 ses=1 pid=1 cut") + "\n"
	if _, err := readAudit("kmsg", log); !errors.Is(err, record.ErrUsers) || !strings.HasPrefix(err.Error(), "log:2: ") {
		t.Error(err)
	}
	if r, err := readAudit("kmsg", log, 0, 33); err != nil || says(r) != `x86_64 165 "app" 1`+"\n" {
		t.Errorf("%v, %s", err, says(r))
	}
}

func TestDenialsFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "denials")
	f, err := record.CreateDenials(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := record.CreateDenials(name); !errors.Is(err, os.ErrExist) {
		t.Errorf("once more: %v", err)
	}
	read := func() (*record.Recording, uint64, error) {
		r := record.Denied(name)
		missed, err := r.AddDenials(name)
		return r, missed, err
	}
	if _, _, err := read(); err == nil || !strings.Contains(err.Error(), "it is empty") {
		t.Errorf("before its end: %v", err)
	}
	// The program has it open, and writes what it likes.
	program, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	const forged = `{"arch":"x86_64","nr":165,"args":["0x0","0x0","0x0","0x0","0x0","0x0"],"program":"x","count":1}` + "\n"
	fmt.Fprint(program, `{"schema":"monban/denials/1","command":[],"missed":0}`+"\n"+forged)
	if err := os.Chmod(name, 0o666); err != nil {
		t.Fatal(err)
	}
	socket := record.Denial{Data: bpf.Data{Arch: abi.X86_64.Token(), Nr: 41, Args: [6]uint64{16, ^uint64(0)}, IP: 1}, Program: "a\n\"b", Count: 1}
	again := socket
	again.Data.IP = 2
	nobody := record.Denial{Data: bpf.Data{Arch: 1}, Count: 5}
	if err := f.Write([]string{"app\n"}, []record.Denial{socket, again, nobody}, 2); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(program, forged)
	r, missed, err := read()
	if err != nil || missed != 7 || says(r) != `x86_64 41 "a\n\"b" 2`+"\n" {
		t.Errorf("%v, %d missed, %s", err, missed, says(r))
	}
	if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if text := learn.Recording(r, learn.Options{Native: abi.X86_64, Args: record.Safe}).String(); !strings.Contains(text, "socket(family == AF_NETLINK") {
		t.Error(text)
	}
	// What others may have written is not read.
	for _, mode := range []os.FileMode{0o620, 0o602, 0o666} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		if _, _, err := read(); err == nil || !strings.Contains(err.Error(), "others than its owner may write it") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	if err := errors.Join(os.Chmod(name, 0o600), os.Rename(name, name+"1"), os.Symlink(name+"1", name)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := read(); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("a link: %v", err)
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give a file away")
	}
	if err := errors.Join(os.Remove(name), os.Rename(name+"1", name), os.Chown(name, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := read(); err == nil || !strings.Contains(err.Error(), "belongs to somebody else") {
		t.Errorf("another's: %v", err)
	}
}

// What is too large is said to be so: nothing of it is ignored, and it is not called empty.
func TestLargeDenials(t *testing.T) {
	const head = `{"schema":"monban/denials/1","command":[],"missed":0}`
	const denial = `{"arch":"x86_64","nr":165,"args":["0x0","0x0","0x0","0x0","0x0","0x0"],"program":"x","count":1}`
	padded := func(line string, to int) string { return line + strings.Repeat(" ", to-len(line)-1) + "\n" }
	for what, c := range map[string]struct{ text, wrong string }{
		"one long line":         {strings.Repeat("x", 1<<20), "denials: it is not a file of denials"},
		"a long line after one": {head + "\n" + padded(denial, 1<<20), "denials:2: this is not a denial: a line of more than 65536 bytes"},
		"a line above 16 MB":    {padded(head, 1<<14) + strings.Repeat(padded(denial, 1<<14), 1<<10), "denials: more than 16 MB"},
		"cut above 16 MB":       {padded(head, 1<<13) + strings.Repeat(padded(denial, 1<<14), 1<<10), "denials: more than 16 MB"},
	} {
		name := filepath.Join(t.TempDir(), "denials")
		if err := os.WriteFile(name, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := record.Denied(name).AddDenials(name); err == nil || !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v, want %s", what, err, c.wrong)
		}
	}
	name := filepath.Join(t.TempDir(), "denials") // 16 MB are not too large
	if err := os.WriteFile(name, []byte(padded(head, 1<<14)+strings.Repeat(padded(denial, 1<<14), 1<<10-1)), 0o600); err != nil {
		t.Fatal(err)
	}
	r := record.Denied(name)
	if _, err := r.AddDenials(name); err != nil || says(r) != `x86_64 165 "x" 1023`+"\n" {
		t.Errorf("%v, %s", err, says(r))
	}
}

// A run with more denials than a file has says so.
func TestManyDenials(t *testing.T) {
	name := filepath.Join(t.TempDir(), "denials")
	f, err := record.CreateDenials(name)
	if err != nil {
		t.Fatal(err)
	}
	var all []record.Denial
	for i := range uint64(record.MaxDenials) + 3 {
		all = append(all, record.Denial{Data: bpf.Data{Arch: abi.X86_64.Token(), Nr: 1, Args: [6]uint64{i}}, Count: 1})
	}
	if err := f.Write(nil, all, 0); err != nil {
		t.Fatal(err)
	}
	r := record.Denied(name)
	if missed, err := r.AddDenials(name); err != nil || missed != 3 || r.Made != record.MaxDenials {
		t.Errorf("%v, %d missed, %d read", err, missed, r.Made)
	}
}

// loads checks that a recording is a policy, whatever names and numbers it has.
func loads(t *testing.T, r *record.Recording) {
	text := learn.Recording(r, learn.Options{Native: abi.X86_64}).String()
	if _, err := lang.Load("denied.gate", []byte(text), lang.Options{}); err != nil {
		t.Errorf("%v in\n%s", err, text)
	}
}

func FuzzAudit(f *testing.F) {
	for _, stream := range []string{"audit", "kmsg"} {
		f.Add(stream == "kmsg", marked(stream, line("165", named)))
		f.Add(stream == "kmsg", marked(stream, line("-1", `comm=610A exe=(null)`)))
	}
	f.Fuzz(func(t *testing.T, kmsg bool, log string) {
		stream := map[bool]string{true: "kmsg", false: "audit"}[kmsg]
		if r, err := readAudit(stream, log); err == nil {
			loads(t, r)
		}
	})
}

func FuzzDenials(f *testing.F) {
	f.Add(`{"schema":"monban/denials/1","command":["a"],"missed":1}` + "\n" + `{"arch":"x86","nr":21,"args":["0x0","0x1","0x2","0x3","0x4","0x5"],"program":"x","count":2}`)
	name := filepath.Join(f.TempDir(), "denials")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := record.Denied(name)
		if _, err := r.AddDenials(name); err == nil {
			loads(t, r)
		}
	})
}
