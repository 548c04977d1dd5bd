package abi

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// groupLines maps a group's name, with its @, to its members: calls and other groups.
var groupLines = sync.OnceValue(func() map[string][]string {
	groups := make(map[string][]string, 40)
	name := ""
	for line := range table("groups.txt") {
		if head, ok := strings.CutSuffix(line, ":"); ok {
			name = head
			groups[name] = nil
			continue
		}
		line, _, _ = strings.Cut(line, "#")
		groups[name] = append(groups[name], strings.Fields(line)...)
	}
	return groups
})

// Group returns the calls of a group such as "@basic-io" that kernel v has, sorted; the zero Version takes all. Calls
// whose kernel isn't known count as old. @known is every call.
func Group(name string, v Version) ([]string, bool) {
	var members []string
	if name == "@known" {
		members = callNames()
	} else {
		if _, ok := groupLines()[name]; !ok {
			return nil, false
		}
		set := make(map[string]bool)
		gather(name, set, map[string]bool{})
		members = slices.Sorted(maps.Keys(set))
	}
	out := make([]string, 0, len(members))
	for _, call := range members {
		if since, ok := Since(call); !ok || since.Compare(v) <= 0 {
			out = append(out, call)
		}
	}
	return out, true
}

func gather(group string, set, seen map[string]bool) {
	if seen[group] {
		return
	}
	seen[group] = true
	for _, member := range groupLines()[group] {
		if strings.HasPrefix(member, "@") {
			gather(member, set, seen)
		} else {
			set[member] = true
		}
	}
}

// Groups returns the names of all groups, with their @, sorted.
func Groups() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for name := range groupLines() {
			if !yield(name) {
				return
			}
		}
		yield("@known")
	})
}
