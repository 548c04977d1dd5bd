package abi

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// A Version is a kernel's version. The zero Version stands for the newest kernel that the tables know.
type Version struct{ Major, Minor, Patch int }

// ParseVersion reads "6.12", "2.6.39" or a release as uname -r prints it ("6.1.0-18-amd64"): two or three numbers, and
// what follows them after a dot, '-' or '+' is left out.
func ParseVersion(s string) (Version, error) {
	var n [3]int
	count, rest := 0, s
	for count < len(n) {
		end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(rest)
		}
		v, err := strconv.Atoi(rest[:end])
		if err != nil || end > 5 {
			break
		}
		n[count], rest = v, rest[end:]
		count++
		if !strings.HasPrefix(rest, ".") || count == len(n) {
			break
		}
		rest = rest[1:]
	}
	if count < 2 || rest != "" && !strings.ContainsRune("-+.", rune(rest[0])) || n == [3]int{} || strings.ContainsAny(s, " \t\n") {
		return Version{}, fmt.Errorf("bad kernel version %q (want one like 6.12)", s)
	}
	return Version{n[0], n[1], n[2]}, nil
}

// String writes the version as 6.12 or 2.6.39, and the zero Version as "newest".
func (v Version) String() string {
	switch {
	case v.IsZero():
		return "newest"
	case v.Patch == 0:
		return fmt.Sprintf("%d.%d", v.Major, v.Minor)
	}
	return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch)
}

// IsZero reports whether v is the zero Version.
func (v Version) IsZero() bool { return v == Version{} }

// Compare returns -1, 0 or +1 as v is older than w, the same, or newer. The zero Version is newer than any other.
func (v Version) Compare(w Version) int {
	switch {
	case v == w:
		return 0
	case v.IsZero():
		return 1
	case w.IsZero():
		return -1
	}
	return cmp.Or(cmp.Compare(v.Major, w.Major), cmp.Compare(v.Minor, w.Minor), cmp.Compare(v.Patch, w.Patch))
}

// Newest returns the newest kernel that brought a system call of the table.
func Newest() Version { return newest() }

var newest = sync.OnceValue(func() Version {
	var last Version
	for line := range table("since.txt") {
		for word := range strings.FieldsSeq(line) {
			_, version, ok := strings.Cut(word, "=")
			if !ok {
				version = word // the call's name or the usual version
			}
			if v, err := ParseVersion(version); err == nil && (last.IsZero() || v.Compare(last) > 0) {
				last = v
			}
		}
	}
	return last
})
