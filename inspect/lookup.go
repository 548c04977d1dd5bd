package inspect

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"monban/abi"
	"monban/internal/nearest"
)

// An Entry is what there is to know of a system call, on the architectures that were asked about.
type Entry struct {
	Name    string
	Since   abi.Version // the kernel that introduced it; zero where it was always there
	Groups  []string    // that it belongs to
	Args    []abi.Arg   // on the first architecture that has it
	Numbers map[abi.Arch]uint32
	Mux     map[abi.Arch]abi.Mux // where a multiplexer's call makes it
}

// An UnknownError says that a name, a number or a group is nobody's.
type UnknownError struct {
	What string // "system call", "group"
	Name string // as it was asked for
	Hint string // " (did you mean read?)", or ""
}

func (e *UnknownError) Error() string { return fmt.Sprintf("unknown %s %s%s", e.What, e.Name, e.Hint) }

// LookUp finds the calls that a word means: a name, a number that some of the architectures have, a @group; "" means
// all. The error is an *[UnknownError].
func LookUp(word string, on []abi.Arch) ([]string, error) {
	switch {
	case word == "":
		return abi.Calls(), nil
	case strings.HasPrefix(word, "@"):
		if names, ok := abi.Group(word, abi.Version{}); ok {
			return names, nil
		}
		hint := cmp.Or(nearest.Hint(word, abi.Groups()), " (there are "+strings.Join(abi.Groups(), " ")+")")
		return nil, &UnknownError{"group", word, hint}
	case abi.Known(word):
		return []string{word}, nil
	}
	nr, err := strconv.ParseUint(word, 0, 32)
	if err != nil {
		return nil, &UnknownError{"system call", word, nearest.Hint(word, abi.Calls())}
	}
	var names []string
	for _, a := range on {
		if n, ok := a.Name(uint32(nr)); ok && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	if names == nil {
		return nil, fmt.Errorf("no architecture has a system call number %d", nr)
	}
	return names, nil
}

// Describe is a call's entry.
func Describe(call string, on []abi.Arch) Entry {
	e := Entry{Name: call, Numbers: map[abi.Arch]uint32{}, Mux: map[abi.Arch]abi.Mux{}}
	e.Since, _ = abi.Since(call)
	for _, g := range abi.Groups() {
		if members, _ := abi.Group(g, abi.Version{}); slices.Contains(members, call) {
			e.Groups = append(e.Groups, g)
		}
	}
	signed := false
	for _, a := range on {
		nr, direct := a.Number(call)
		if direct {
			e.Numbers[a] = nr
		}
		if args, ok := a.Args(call); ok && direct && !signed {
			e.Args, signed = args, true
		}
		if m, ok := a.Mux(call); ok {
			e.Mux[a] = m
		}
	}
	return e
}
