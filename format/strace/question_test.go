package strace_test

import (
	"testing"

	"monban/abi"
	"monban/format/strace"
)

// What has a value in a trace is asked about with it; what hasn't, and what lies behind a pointer, is open.
func TestQuestion(t *testing.T) {
	for _, c := range []struct {
		call string
		args []string
		want string
	}{
		{"openat", []string{"AT_FDCWD", `"/etc/passwd"`, "O_RDONLY|O_CLOEXEC"}, "openat(AT_FDCWD, ?, O_RDONLY|O_CLOEXEC, ?)"},
		{"socket", []string{"AF_INET", "SOCK_STREAM", "0"}, "socket(AF_INET, SOCK_STREAM, 0)"},
		{"close", []string{"3</etc/passwd>"}, "close(?)"},
		{"lseek", []string{"-1", "-5", "SEEK_END"}, "lseek(-1, -5, SEEK_END)"},
		{"lseek", []string{"3", "-", "SEEK_NONE"}, "lseek(3, ?, ?)"},
		{"mkdir", []string{`"d"`, "0755"}, "mkdir(?, ?)"}, // octal
		{"read", []string{"0x3", "0x7ffc", "10 /* x */"}, "read(0x3, ?, ?)"},
		{"open", []string{"1", "O_RDONLY|", "0"}, "open(?, ?, 0)"},
		{"getpid", nil, "getpid()"},
		{"getpid", []string{"1"}, "getpid()"},
		{"raed", []string{"1"}, "raed"},
	} {
		if got := strace.Question(abi.X86_64, c.call, c.args); got != c.want {
			t.Errorf("%s%q: %s, want %s", c.call, c.args, got, c.want)
		}
	}
}
