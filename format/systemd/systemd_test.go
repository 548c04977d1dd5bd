package systemd_test

import (
	"errors"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/format"
	"monban/format/codec"
	"monban/format/systemd"
	"monban/gate"
	"monban/policy/lang"
	"monban/verdict"
)

func read(text string) (*gate.Gate, error) {
	return systemd.Format().Read(&codec.Input{
		Name: "a.service", Src: []byte(text), Options: codec.Options{Native: abi.X86_64},
		ReadDir: func(dir string) ([]string, error) {
			if dir != "a.service.d" {
				return nil, errors.New(dir)
			}
			return []string{"10-first.conf", "20-second.conf", "README"}, nil
		},
		ReadFile: func(name string) ([]byte, error) {
			return map[string][]byte{
				"a.service.d/10-first.conf":  []byte("[Service]\n# nothing\n"),
				"a.service.d/20-second.conf": []byte("[Unit]\nSystemCallFilter=mount\n[Service]\nNice=1\n"),
			}[name], nil
		},
	})
}

// TestMeaning restates systemd.exec(5) and seccomp-util.c.
func TestMeaning(t *testing.T) {
	enosys, eperm := bpf.Errno|38, bpf.Errno|1
	for _, c := range []struct {
		text string
		want map[string]bpf.Action // by call, of x86_64 or "arch:call"
	}{
		{"SystemCallFilter=read write", map[string]bpf.Action{"read": bpf.Allow, "x86:read": bpf.Allow, "x32:read": bpf.Allow, "mount": bpf.KillProcess,
			"exit_group": bpf.Allow, "aarch64:mount": bpf.Allow, "#9999": bpf.KillProcess}},
		{"SystemCallFilter=~@mount reboot", map[string]bpf.Action{"read": bpf.Allow, "mount": bpf.KillProcess, "reboot": bpf.KillProcess, "#9999": bpf.Allow}},
		{"SystemCallFilter=read mount\nSystemCallFilter=~mount exit_group", map[string]bpf.Action{"read": bpf.Allow, "mount": bpf.KillProcess, "exit_group": bpf.KillProcess}},
		{"SystemCallFilter=~mount umount2\nSystemCallFilter=mount", map[string]bpf.Action{"mount": bpf.Allow, "umount2": bpf.KillProcess}},
		{"SystemCallFilter=~mount\nSystemCallFilter=\nSystemCallFilter=read", map[string]bpf.Action{"read": bpf.Allow, "write": bpf.KillProcess}},
		{"SystemCallErrorNumber=EPERM\nSystemCallFilter=read", map[string]bpf.Action{"read": bpf.Allow, "mount": eperm, "#9999": eperm}},
		{"SystemCallFilter=~mount:ENOSYS umount2\nSystemCallErrorNumber=1", map[string]bpf.Action{"mount": enosys, "umount2": eperm}},
		{"SystemCallFilter=@mount\nSystemCallFilter=~mount:ENOSYS", map[string]bpf.Action{"mount": enosys, "umount2": bpf.Allow, "read": bpf.KillProcess}},
		{"SystemCallFilter=read \\\n # a comment\n  write", map[string]bpf.Action{"read": bpf.Allow, "write": bpf.Allow}},
		{"SystemCallArchitectures=native", map[string]bpf.Action{"read": bpf.Allow, "x86:read": bpf.KillThread, "x32:read": bpf.KillThread, "aarch64:read": bpf.KillThread}},
		{"SystemCallArchitectures=native x86\nSystemCallFilter=~read", map[string]bpf.Action{"read": bpf.KillProcess, "x86:read": bpf.KillProcess, "x86:write": bpf.Allow, "x32:write": bpf.KillThread}},
		{"SystemCallLog=mount read\nSystemCallFilter=read", map[string]bpf.Action{"read": bpf.Log, "mount": bpf.KillProcess}},
		{"SystemCallLog=~read", map[string]bpf.Action{"read": bpf.Allow, "mount": bpf.Log, "#9999": bpf.Log}},
		{"SystemCallLog=mount read\nSystemCallFilter=~read", map[string]bpf.Action{"read": bpf.KillProcess, "mount": bpf.Log, "write": bpf.Allow}},
	} {
		p, err := read("[Unit]\nDescription=x\n[Service]\n" + c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		v, err := p.Policy.Verdict(verdict.NewSpace(verdict.DefaultBudget))
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range c.want {
			a, call := abi.X86_64, name
			if arch, rest, ok := strings.Cut(name, ":"); ok {
				call = rest
				if a, err = abi.ParseArch(arch); err != nil {
					t.Fatal(err)
				}
			}
			nr, _ := a.Number(call)
			if call == "#9999" {
				nr = 9999
			}
			if got := v.At(&bpf.Data{Arch: a.Token(), Nr: nr}); got != want {
				t.Errorf("%s: %s gets %v, want %v", c.text, name, got, want)
			}
		}
	}
}

func TestNotes(t *testing.T) {
	p, err := read("[Service]\nSystemCallFilter=raed @mnt read:EPERM\nRestrictRealtime=yes\nProtectClock=no\nSystemCallFilters=x\nSystemCallArchitectures=riscv64 z80\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"a.service:2:18: unknown call raed: systemd passes it over (did you mean read?)",
		"a.service:2:23: unknown group @mnt: systemd passes it over",
		"a.service:2:28: read:EPERM: calls of an allow list take no error number: systemd passes it over",
		"a.service:3:18: RestrictRealtime= installs a filter of its own, which is not read",
		"a.service:5:19: SystemCallFilters= is not a setting: systemd passes it over (did you mean SystemCallFilter=?)",
		"a.service:6:25: riscv64 is not run by x86_64's kernels: ignored",
		"a.service:6:33: unknown architecture z80: systemd passes it over",
	}
	if len(p.Notes) != len(want) {
		t.Fatalf("%q", p.Notes)
	}
	for i, n := range p.Notes {
		if !strings.HasPrefix(n, want[i]) {
			t.Errorf("got  %s\nwant %s", n, want[i])
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"[Service]\nNice=1", "a.service: the unit says nothing of system calls (SystemCallFilter=, SystemCallArchitectures=)"},
		{"SystemCallFilter=read", "a.service:1:1: a setting before the first section (put [Service] before it)"},
		{"[Service\n", "a.service:1:1: the section's name does not end in ]"},
		{"[Service]\nread", "a.service:2:1: a line is KEY=VALUE, a [Section] or a comment"},
		{"[Service]\nSystemCallFilter=read \\", `a.service:2:24: the file ends after a \ that joins the next line (is it truncated?)`},
		{"[Service]\nSystemCallErrorNumber=EPREM", `a.service:2:23: "EPREM" is not an error (a name such as EPERM, a number up to 4095, or kill)`},
		{"[Service]\nSystemCallFilter=~mount:", `a.service:2:25: "" is not an error (a name such as EPERM, a number up to 4095, or kill)`},
	} {
		if _, err := read(c.text); err == nil || err.Error() != c.want {
			t.Errorf("%q:\n got  %v\n want %s", c.text, err, c.want)
		}
	}
}

func TestWrite(t *testing.T) {
	native := abi.X86_64
	write := func(text string) (string, error) {
		p, err := lang.Load("t.gate", []byte(text), lang.Options{Native: native})
		if err != nil {
			t.Fatal(err)
		}
		out, err := format.Write(gate.OfPolicy("t.gate", p), systemd.Format(), "", format.Options{Native: native})
		if err != nil {
			return "", err
		}
		return string(out.Bytes), nil
	}
	for _, text := range []string{
		"default errno(EPERM)\nallow read write @default",
		"default errno(EPERM)\nallow read\nlog write\nkill_process mount",
		"arch x86_64 x86\ndefault errno(EPERM)\nunknown errno(EPERM)\nallow read",
		"arch x86_64 x86 x32\ndefault allow\nunknown allow\nbadarch allow\nerrno(5) mount\nkill_process reboot",
		"default allow\nunknown allow\nerrno(EPERM) mount\nlog umount2",
		"default kill_process\nunknown kill_process\nbadarch kill_thread\nallow read exit_group",
	} {
		if got, err := write(text); err != nil {
			t.Errorf("%s\n%v\n%s", text, err, got)
		}
	}
	for text, want := range map[string]string{
		"allow read(fd == 1)":                           "read on x86_64 depends on its arguments, and SystemCallFilter= names calls only",
		"badarch errno(EPERM)\nallow read":              "other architectures get errno(1)",
		"unknown trap(1)\nallow read":                   "numbers that nobody has get trap(1)",
		"allow read\ntrap(1) write":                     "write gets trap(1), and systemd has no word for that",
		"arch x86_64 aarch64\nallow read":               "no one kernel runs all of its architectures: choose some",
		"arch x86_64 x86\non x86: log read\nallow read": "read gets allow on x86_64 and log on x86",
	} {
		if _, err := write(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s\n got  %v\n want %s", text, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("[Service]\nSystemCallFilter=~@mount:EPERM read \\\n; x\nwrite\nSystemCallLog=@basic-io\nSystemCallArchitectures=native x32")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := read(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %v", err)
			}
			return
		}
		if _, err := p.Policy.Verdict(verdict.NewSpace(verdict.DefaultBudget)); err != nil {
			t.Error(err)
		}
	})
}
