package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/format/codec"
	"monban/gate"
	"monban/verdict"
)

// writes is a format of rules that writes one text whatever it is asked to write.
func writes(text codec.Text) codec.Format {
	return codec.Format{Name: "fixed", Title: "a fixed text", Read: language.Read, Write: func(*codec.Meaning) (*codec.Text, error) {
		out := text
		return &out, nil
	}}
}

func gateOf(t *testing.T, text string) *gate.Gate {
	t.Helper()
	g, err := Parse(language, "web.gate", []byte(text), Options{Native: abi.X86_64})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// A writer that is wrong is caught, whatever it does wrong, and the call that shows it is named.
func TestWriteCatchesWriters(t *testing.T) {
	const header = "arch x86_64\ndefault errno(EPERM)\nbadarch kill_process\n"
	g := gateOf(t, header+"allow read write(fd == 1)\n")
	for _, c := range []struct {
		name string
		text codec.Text
		want string // part of the error; "" where it is right
	}{
		{"the same in other words", codec.Text{Bytes: []byte(header + "allow write(fd in {1})\nallow read\n")}, ""},
		{"a call more", codec.Text{Bytes: []byte(header + "allow read write(fd == 1) close\n")}, "close(fd=0) gets allow instead of errno(1) on x86_64"},
		{"a call less", codec.Text{Bytes: []byte(header + "allow write(fd == 1)\n")}, "gets errno(1) instead of allow on x86_64"},
		{"another condition", codec.Text{Bytes: []byte(header + "allow read write(fd == 2)\n")}, "write(fd="},
		{"not readable", codec.Text{Bytes: []byte("allow raed\n")}, "what was written:1:7: unknown system call raed"},
		{"other architectures", codec.Text{Bytes: []byte(strings.Replace(header, "kill_process", "kill_thread", 1) + "allow read write(fd == 1)\n")}, "gets kill_thread instead of kill_process on "},
		{"other architectures, killed in the format's own way",
			codec.Text{KillsForeign: true, Bytes: []byte(strings.Replace(header, "kill_process", "kill_thread", 1) + "allow read write(fd == 1)\n")}, ""},
		{"other architectures, not killed",
			codec.Text{KillsForeign: true, Bytes: []byte(strings.Replace(header, "kill_process", "errno(ENOSYS)", 1) + "allow read write(fd == 1)\n")}, "gets errno(38) instead of kill_process on "},
		{"its own differ, too",
			codec.Text{KillsForeign: true, Bytes: []byte(strings.Replace(header, "kill_process", "kill_thread", 1) + "allow read\n")}, "of kill"},
	} {
		out, err := Write(g, writes(c.text), "", Options{Native: abi.X86_64})
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want == "" && string(out.Bytes) != string(c.text.Bytes):
			t.Errorf("%s: %s", c.name, out.Bytes)
		case c.want != "" && (!errors.Is(err, errChanged) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want …%s…", c.name, err, c.want)
		}
	}
}

// The same for formats of programs.
func TestWriteCatchesProgramWriters(t *testing.T) {
	g := gateOf(t, "arch x86_64\ndefault errno(EPERM)\nallow read\n")
	for name, change := range map[string]func(p *codec.Program) []byte{
		"allow all": func(*codec.Program) []byte {
			return bpf.Program{{Code: bpf.RET, K: uint32(bpf.Allow)}}.Encode(binary.LittleEndian)
		},
		"one more":           func(p *codec.Program) []byte { return append(p.Code, bpf.Instruction{Code: bpf.RET}).Encode(p.Order) },
		"the other order":    func(p *codec.Program) []byte { return p.Code.Encode(binary.BigEndian) },
		"cut off":            func(p *codec.Program) []byte { b := p.Code.Encode(p.Order); return b[:len(b)-3] },
		"nothing":            func(*codec.Program) []byte { return nil },
		"without its return": func(p *codec.Program) []byte { return p.Code[:len(p.Code)-1].Encode(p.Order) },
	} {
		f := rawProgram
		f.WriteProgram = func(p *codec.Program) (*codec.Text, error) { return &codec.Text{Bytes: change(p)}, nil }
		if out, err := Write(g, f, "", Options{Native: abi.X86_64}); !errors.Is(err, errChanged) {
			t.Errorf("%s: %v %v", name, out, err)
		}
	}
	refuses := errors.New("not today")
	f := rawProgram
	f.WriteProgram = func(*codec.Program) (*codec.Text, error) { return nil, refuses }
	if _, err := Write(g, f, "", Options{}); !errors.Is(err, refuses) {
		t.Errorf("a writer that refuses: %v", err)
	}
	f = writes(codec.Text{})
	f.Write = func(*codec.Meaning) (*codec.Text, error) { return nil, refuses }
	if _, err := Write(g, f, "", Options{}); !errors.Is(err, refuses) || err.Error() != "web.gate as a fixed text: not today" {
		t.Errorf("a writer of rules that refuses: %v", err)
	}
}

// What a gate is written for is one of the format's, its first unless another is named.
func TestWriteTarget(t *testing.T) {
	g := gateOf(t, "arch x86_64\ndefault errno(EPERM)\nallow read\n")
	f := writes(codec.Text{})
	f.For = []string{"docker", "podman"}
	var got string
	f.Write = func(m *codec.Meaning) (*codec.Text, error) {
		got = m.For
		return &codec.Text{Bytes: g.Source}, nil
	}
	for target, want := range map[string]string{"": "docker", "docker": "docker", "podman": "podman"} {
		if _, err := Write(g, f, target, Options{Native: abi.X86_64}); err != nil || got != want {
			t.Errorf("for %q: it was written for %q, %v", target, got, err)
		}
	}
	_, err := Write(g, f, "systemd", Options{})
	if e, ok := errors.AsType[*TargetError](err); !ok || err.Error() != "systemd: a fixed text is written for docker, podman" || e.Target != "systemd" {
		t.Errorf("for another: %v", err)
	}
}

// What is too large for the budget is refused, with the gate's name, and nothing is written.
func TestWriteTooComplex(t *testing.T) {
	rules := writes(codec.Text{})
	rules.Write = func(m *codec.Meaning) (*codec.Text, error) {
		for range 1 << 20 { // as whoever walks a diagram pays
			m.Verdict.Space().Charge(1 << 20)
		}
		return nil, errors.New("it was paid for")
	}
	g := gateOf(t, "arch x86_64\ndefault errno(EPERM)\nallow read\n")
	_, err := Write(g, rules, "", Options{})
	if !errors.Is(err, verdict.ErrTooComplex) || !strings.HasPrefix(err.Error(), "web.gate: ") {
		t.Errorf("a writer that walks without end: %v", err)
	}
}

// Every format that is written and read again means the same; one that is refused says so by name.
func TestWriteAll(t *testing.T) {
	g := gateOf(t, "arch x86_64\ndefault kill_process\nunknown kill_process\nallow read write exit_group\nerrno(EACCES) openat\n")
	want, err := g.Verdict()
	if err != nil {
		t.Fatal(err)
	}
	written := 0
	for _, f := range Formats() {
		if !f.Writes() {
			continue
		}
		for _, target := range append([]string{""}, f.For...) {
			out, err := Write(g, f, target, Options{Native: abi.X86_64})
			if err != nil {
				if !strings.HasPrefix(err.Error(), fmt.Sprintf("web.gate as %s: ", f.Title)) {
					t.Errorf("%s for %q: %v", f.Name, target, err)
				}
				continue
			}
			written++
			back, err := Parse(f, "back", out.Bytes, Options{Native: abi.X86_64})
			if err != nil {
				t.Errorf("%s for %q: %v", f.Name, target, err)
				continue
			}
			v, err := back.In(want.Space()).Verdict()
			read := bpf.Data{Arch: abi.X86_64.Token()}
			if err != nil || v.At(&read) != bpf.Allow || !out.KillsForeign && v.Node() != want.Node() {
				t.Errorf("%s for %q: %v; read gets %v", f.Name, target, err, v.At(&read))
			}
		}
	}
	if written < 8 {
		t.Errorf("only %d were written", written)
	}
}
