package strace

import (
	"strings"

	"monban/abi"
)

// Question writes what strace shows as a call to ask about: strings, structures and addresses may be anything, and so
// may what has no value here.
func Question(a abi.Arch, name string, args []string) string {
	known, ok := a.Args(name)
	if !ok {
		return name
	}
	var q strings.Builder
	q.WriteString(name)
	q.WriteByte('(')
	for i := range known {
		if i > 0 {
			q.WriteString(", ")
		}
		if i < len(args) && evaluable(a, known[i], args[i]) {
			q.WriteString(args[i])
		} else {
			q.WriteByte('?')
		}
	}
	q.WriteByte(')')
	return q.String()
}

// evaluable says that an argument as strace shows it is a number, or constants joined by |.
func evaluable(a abi.Arch, arg abi.Arg, text string) bool {
	if arg.Pointer {
		return false
	}
	for part := range strings.SplitSeq(text, "|") {
		if part == "" {
			return false
		}
		if c := part[0]; c >= '0' && c <= '9' || c == '-' && len(part) > 1 {
			if strings.ContainsAny(part, "<>/ *'\"") || len(part) > 1 && part[0] == '0' && part[1] != 'x' {
				return false // a file's path after its number (-y), a time, or octal
			}
			continue
		}
		if _, ok := a.Constant(part); !ok {
			return false
		}
	}
	return true
}
