package abi

import (
	"cmp"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// An argValue tells which constants stand for the values of an argument: a line of argvalues.txt, "calls arguments kind
// names…".
type argValue struct {
	calls, args, kind string
	names             string
}

var argValues = sync.OnceValue(func() []argValue {
	var all []argValue
	for line := range table("argvalues.txt") {
		f := strings.SplitN(line, " ", 4)
		all = append(all, argValue{f[0], f[1], f[2], f[3]})
	}
	// What is said of one call goes before what is said of all.
	slices.SortStableFunc(all, func(x, y argValue) int { return strings.Compare(y.calls[:1], x.calls[:1]) })
	return all
})

// ConstantName returns how a person would write a value of the call's argument arg (its position in [Arch.Args]):
// "AF_INET", "CLONE_NEWUSER|CLONE_VM", or "" where a number is as good. Bits beyond the argument's width don't count.
func (a Arch) ConstantName(call string, arg int, value uint64) string {
	args, ok := a.Args(call)
	if !ok || arg < 0 || arg >= len(args) {
		return ""
	}
	if v, ok := valuesOf(call, args[arg]); ok {
		width := widthOf(args[arg])
		return a.inWords(v, value&width, width)
	}
	return ""
}

// MaskName returns how a person would write which bits of the argument a filter looks at: "CLONE_NEWNS|CLONE_NEWUSER",
// "O_ACCMODE|O_CREAT", "0xf|SOCK_CLOEXEC" where the bits of a number have no name, or "" where the argument is not a
// set of flags or some bit has no name. number says that the bits of a number are among them, whose 0 may have a name:
// O_RDONLY.
func (a Arch) MaskName(call string, arg int, mask uint64) (name string, number bool) {
	args, ok := a.Args(call)
	if !ok || arg < 0 || arg >= len(args) {
		return "", false
	}
	v, ok := valuesOf(call, args[arg])
	width := widthOf(args[arg])
	names, field := v.names, ""
	switch of, isField := strings.CutPrefix(v.kind, "field:"); {
	case !ok || mask&^width != 0 || mask == 0:
		return "", false
	case isField:
		if _, names, _ = strings.Cut(v.names, " | "); mask&a.fieldOf(of) == a.fieldOf(of) {
			mask &^= a.fieldOf(of)
			field = of
		}
	case v.kind != "flags":
		return "", false
	}
	if mask == 0 {
		return field, true
	}
	flags := flagNames(a.named(names, width), mask)
	if field == "" || flags == "" {
		return flags, false
	}
	return field + "|" + flags, true
}

// valuesOf finds what is known of an argument's values. It remembers, as named does.
func valuesOf(call string, arg Arg) (argValue, bool) {
	k := [2]string{call, arg.Name}
	if known, ok := argValueOf.Load(k); ok {
		v := known.(argValue)
		return v, v.kind != ""
	}
	var found argValue
	for _, v := range argValues() {
		if (v.calls == "*" || listed(v.calls, call)) && slices.ContainsFunc(strings.Split(v.args, ","), arg.Is) {
			found = v
			break
		}
	}
	argValueOf.Store(k, found)
	return found, found.kind != ""
}

var argValueOf sync.Map

// widthOf is all ones, as many as the argument has.
func widthOf(arg Arg) uint64 { return uint64(1)<<arg.Bits - 1 } // 64 bits: a shift by 64 gives 0, and 0-1 all ones

// fieldOf is the mask of a field:mask, a number or a constant's name.
func (a Arch) fieldOf(mask string) uint64 {
	if v, ok := a.Constant(mask); ok {
		return v
	}
	v, _ := strconv.ParseUint(mask, 0, 64)
	return v
}

func listed(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}

// inWords writes a value in the names of an argValue.
func (a Arch) inWords(v argValue, value, width uint64) string {
	switch v.kind {
	case "enum":
		return nameOf(a.named(v.names, width), value, 0)
	case "ioctl":
		return nameOf(a.named(v.names, width), value, 0x100)
	case "flags":
		return flagNames(a.named(v.names, width), value)
	}
	// field:mask, a number in some bits and flags in the others
	mask := a.fieldOf(strings.TrimPrefix(v.kind, "field:"))
	enum, flags, _ := strings.Cut(v.names, " | ")
	number := nameOf(a.named(enum, width), value&mask, 0)
	if number == "" && value&mask != 0 {
		return ""
	}
	if value&^mask == 0 {
		return number
	}
	others := flagNames(a.named(flags, width), value&^mask)
	if number == "" || others == "" {
		return others
	}
	return number + "|" + others
}

type namedValue struct {
	name  string
	value uint64
}

// named resolves a list of names, and of prefixes, which end in _ or *, on the architecture. It remembers: whoever asks
// about one value of an argument asks about many.
func (a Arch) named(names string, width uint64) []namedValue {
	type key struct {
		arch  Arch
		names string
		width uint64
	}
	k := key{a, names, width}
	if known, ok := namedValues.Load(k); ok {
		return known.([]namedValue)
	}
	out := a.resolve(names, width)
	namedValues.Store(k, out)
	return out
}

var namedValues sync.Map

func (a Arch) resolve(names string, width uint64) []namedValue {
	var out []namedValue
	add := func(name string) {
		if v, ok := a.Constant(name); ok {
			out = append(out, namedValue{name, v & width})
		}
	}
	for word := range strings.FieldsSeq(names) {
		prefix, wild := strings.CutSuffix(word, "*")
		if !wild && !strings.HasSuffix(word, "_") {
			add(word)
			continue
		}
		for name := range constantsFrom(prefix) {
			add(name)
		}
	}
	return out
}

// nameOf returns the first name of the value, if that is at least least.
func nameOf(names []namedValue, value, least uint64) string {
	if value < least {
		return ""
	}
	for _, n := range names {
		if n.value == value {
			return n.name
		}
	}
	return ""
}

// flagNames writes a value as names joined by |, names of several bits first served, or "" if some bit has no name.
func flagNames(names []namedValue, value uint64) string {
	if value == 0 {
		return nameOf(names, 0, 0)
	}
	widest := slices.Clone(names)
	slices.SortStableFunc(widest, func(x, y namedValue) int {
		return cmp.Compare(bits.OnesCount64(y.value), bits.OnesCount64(x.value))
	})
	taken := map[string]bool{}
	left := value
	for _, n := range widest {
		if n.value != 0 && left&n.value == n.value {
			taken[n.name] = true
			left &^= n.value
		}
	}
	if left != 0 {
		return ""
	}
	var words []string
	for _, n := range names {
		if taken[n.name] {
			words = append(words, n.name)
		}
	}
	return strings.Join(words, "|")
}
