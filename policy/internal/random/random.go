// Package random makes random policies, for tests of the rooms around package policy.
package random

import (
	"math/rand/v2"
	"strings"
)

// Source is the text of a policy with overlapping rules of every kind.
func Source(r *rand.Rand) string {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	number := func() string {
		return pick("0", "1", "2", "3", "7", "0x80000000", "0xffffffff", "-1", "AF_INET", "O_RDWR|O_CREAT", "~5")
	}
	var condition func(depth int) string
	condition = func(depth int) string {
		arg := pick("fd", "arg0", "arg1", "arg2", "u64(arg1)", "u64(fd)", "arg1 & 0xff", "u64(arg2) & 0xff00000000", "fd ^ 3", "ip", "~arg0", "arg2 | 7")
		switch r.IntN(5 + depth) {
		case 0:
			return arg + " in {" + pick("1", "0") + ", 4..9, " + pick("11", "13..15") + "}"
		case 1, 2, 3, 4:
			n := number()
			if strings.Contains(arg, "u64") || arg == "ip" || strings.HasPrefix(arg, "arg") {
				n = pick(n, "0x100000000", "0x7fffffffffffffff")
				if !strings.Contains(arg, "u64") && arg != "ip" && arg != "arg1" && arg != "arg2" {
					n = number()
				}
			}
			return arg + " " + pick("==", "!=", "<", "<=", ">", ">=") + " " + n
		}
		return pick("!", "") + "(" + condition(depth-1) + pick(" && ", " || ") + condition(depth-1) + ")"
	}
	var b strings.Builder
	b.WriteString("default " + pick("errno(EPERM)", "allow", "kill_process") + "\nunknown " + pick("errno(ENOSYS)", "log") + "\n")
	if r.IntN(3) == 0 {
		b.WriteString("kernel 5.4\n")
	}
	for range 1 + r.IntN(12) {
		if r.IntN(6) == 0 {
			b.WriteString("on x86_64 x32: ")
		}
		b.WriteString(pick("allow", "log", "errno(EACCES)", "errno(7)", "trap(3)", "trace(9)", "notify", "kill_thread", "kill_process") + " ")
		for range 1 + r.IntN(3) {
			switch r.IntN(8) {
			case 0:
				b.WriteString(pick("any(nr in 400..460)", "any(nr == 2 && arg0 > 4)", "any(u64(arg5) == 3)") + " ")
			case 1, 2:
				b.WriteString(pick("write", "close", "optional socket", "openat2", "clone3") + " ")
			default:
				// read and write have an fd first; three arguments.
				b.WriteString(pick("read", "write", "lseek", "pread64") + "(" + strings.NewReplacer("fd", "arg0").Replace(condition(2)) + ") ")
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}
