package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A scoped signature holds on the architectures of its scope.
type scoped struct{ scope, args string }

// args writes each call's arguments: the lines of facts/signatures.txt first, then what signatures.csv has for all the
// others.
func (g *generator) args() error {
	functions, err := g.functions()
	if err != nil {
		return err
	}
	lines, err := g.lines("signatures.txt")
	if err != nil {
		return err
	}
	signatures := map[string][]scoped{}
	for _, l := range lines {
		at := strings.IndexAny(l.text, ":=")
		head := strings.Fields(l.text[:max(at, 0)])
		if len(head) != 2 || !slices.Contains(g.table.calls, head[0]) {
			return fmt.Errorf("%s: want a known call, architectures, and : or =", l.place)
		}
		for arch := range strings.SplitSeq(head[1], ",") {
			if arch != "*" && arch != "32" && arch != "64" && !slices.Contains(g.table.archs, arch) {
				return fmt.Errorf("%s: unknown architecture %s", l.place, arch)
			}
		}
		args := strings.TrimSpace(l.text[at+1:])
		if l.text[at] == '=' {
			function, ok := functions[args]
			if !ok {
				return fmt.Errorf("%s: signatures.csv has no %s", l.place, args)
			}
			args = function
		}
		signatures[head[0]] = append(signatures[head[0]], scoped{head[1], args})
	}
	var b bytes.Buffer
	for _, call := range g.table.calls {
		all := signatures[call]
		if function, ok := functions[call]; ok && !slices.ContainsFunc(all, func(s scoped) bool { return s.scope == "*" }) {
			all = append(all, scoped{"*", function})
		}
		for _, s := range all {
			fmt.Fprintf(&b, "%s\t%s\t%s\n", call, s.scope, s.args)
		}
	}
	return g.write("args.txt", "facts/signatures.csv, facts/argnames.txt and facts/signatures.txt", &b)
}

// functions reads signatures.csv, in words of "type name|alias". Of two rows for one name the later is today's (uname,
// fstat).
func (g *generator) functions() (map[string]string, error) {
	lines, err := g.lines("argnames.txt")
	if err != nil {
		return nil, err
	}
	names, places := map[string][]string{}, map[string]string{}
	for _, l := range lines {
		f := strings.Fields(l.text)
		names[f[0]], places[f[0]] = f[1:], l.place
	}
	file, err := os.Open(filepath.Join(g.facts, "signatures.csv"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, row := range rows[1:] {
		var words []string
		for i, arg := range row[1:] {
			if arg == "" {
				break
			}
			ctype, name := ctype(arg)
			if renamed := names[row[0]]; renamed != nil {
				if i >= len(renamed) {
					return nil, fmt.Errorf("%s: %s has more arguments", places[row[0]], row[0])
				}
				name = renamed[i]
			}
			words = append(words, ctype+" "+name)
		}
		if n := len(names[row[0]]); n > len(words) {
			return nil, fmt.Errorf("%s: %s has %d arguments", places[row[0]], row[0], len(words))
		}
		out[row[0]] = strings.Join(words, ", ")
	}
	for function, place := range places {
		if _, ok := out[function]; !ok {
			return nil, fmt.Errorf("%s: signatures.csv has no %s", place, function)
		}
	}
	return out, nil
}

// ctype splits "const size_t len" into a type without qualifiers that mean nothing to a caller, and a name.
func ctype(arg string) (ctype, name string) {
	cut := strings.LastIndexByte(arg, ' ')
	ctype, name = strings.TrimSuffix(arg[:cut], "const"), arg[cut+1:]
	if !strings.HasSuffix(ctype, "*") {
		ctype = strings.TrimPrefix(ctype, "const ")
	}
	if ctype == "unsigned" {
		ctype = "unsigned int"
	}
	return ctype, strings.TrimLeft(name, "_")
}
