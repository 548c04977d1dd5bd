package abi

import (
	_ "embed" // the tables that are searched in place
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// The table is sorted by name and searched where it lies, so that a program that asks for three constants pays for
// three.
//
//go:embed data/constants.txt
var constantText string

// constantLine returns the values in the line of a name; errors have a table of their own.
func constantLine(name string) (values string, ok bool) {
	line, _ := seek(constantText, name)
	word, values, _ := strings.Cut(line, " ")
	return values, word == name && name != ""
}

// seek returns the first line of a sorted text whose first word isn't before key, and what follows that line. Words end
// at a space or a tab.
func seek(text, key string) (line, rest string) {
	lo, hi := 0, len(text) // the line begins in [lo, hi]; both are beginnings of lines
	for lo < hi {
		mid := lo + (hi-lo)/2
		begin := strings.LastIndexByte(text[lo:mid], '\n') + 1 + lo
		end := len(text)
		if n := strings.IndexByte(text[begin:], '\n'); n >= 0 {
			end = begin + n + 1
		}
		word := text[begin:end]
		for i := range len(word) {
			if word[i] <= ' ' {
				word = word[:i]
				break
			}
		}
		if word < key || strings.HasPrefix(word, "#") {
			lo = end
		} else {
			hi = begin
		}
	}
	line, rest, _ = strings.Cut(text[lo:], "\n")
	return line, rest
}

// valueOn reads "value arch,arch=value …" for one architecture: an exception wins over the common value, and "-" is not
// a value.
func (a Arch) valueOn(rest string) (uint64, bool) {
	common, exceptions, _ := strings.Cut(rest, " ")
	for word := range strings.FieldsSeq(exceptions) {
		archs, value, _ := strings.Cut(word, "=")
		if a.in(archs) {
			common = value
			break
		}
	}
	if v, err := strconv.ParseUint(common, 0, 64); err == nil {
		return v, true
	}
	n, err := strconv.ParseInt(common, 0, 64)
	return uint64(n), err == nil
}

// Constant returns the value that a name of the kernel's C headers has on a, errno names included; negative ones in
// two's complement (AT_FDCWD is 0xffffffffffffff9c). ok is false where the name, or its value on this architecture,
// isn't known.
func (a Arch) Constant(name string) (value uint64, ok bool) {
	if rest, found := constantLine(name); found {
		return a.valueOn(rest)
	}
	n, ok := a.Errno(name)
	return uint64(n), ok
}

// constantsFrom yields the names of the table that begin with prefix, sorted.
func constantsFrom(prefix string) iter.Seq[string] {
	return func(yield func(string) bool) {
		line, rest := seek(constantText, prefix)
		for strings.HasPrefix(line, prefix) && line != "" {
			name, _, _ := strings.Cut(line, " ")
			if !yield(name) {
				return
			}
			line, rest, _ = strings.Cut(rest, "\n")
		}
	}
}

// Constants yields every name that Constant knows on any architecture, sorted.
func Constants() iter.Seq[string] { return slices.Values(constantNames()) }

var constantNames = sync.OnceValue(func() []string {
	names := slices.Collect(constantsFrom(""))
	for _, e := range errnos() {
		names = append(names, e.name)
	}
	slices.Sort(names)
	return names
})
