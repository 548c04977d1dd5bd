package kubernetes

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"monban/abi"
	"monban/format/codec"
	"monban/internal/nearest"
	"monban/policy"
	"monban/policy/lang"

	"go.yaml.in/yaml/v3"
)

// archNames are the architectures that an object may name, as the operator lists them.
var archNames = func() (names []string) {
	names = []string{"SCMP_ARCH_NATIVE"}
	for _, a := range []abi.Arch{
		abi.X86, abi.X86_64, abi.X32, abi.ARM, abi.AArch64, abi.MIPS, abi.MIPS64, abi.MIPS64N32, abi.MIPSEL, abi.MIPSEL64, abi.MIPSEL64N32,
		abi.PPC, abi.PPC64, abi.PPC64LE, abi.S390, abi.S390X, abi.PARISC, abi.PARISC64, abi.RISCV64,
	} {
		names = append(names, a.SCMP())
	}
	return names
}()

// documents are the YAML documents of the text, without empty ones.
func (r *reader) documents() (docs []*yaml.Node, err error) {
	if len(r.Src) > lang.MaxSize {
		return nil, &policy.Error{Pos: policy.Pos{File: r.Name}, Msg: fmt.Sprintf("%d bytes: the limit is %d (is this the right file?)", len(r.Src), lang.MaxSize)}
	}
	if err := r.nesting(); err != nil {
		return nil, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(r.Src))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, r.syntax(err)
		}
		if len(doc.Content) == 1 && doc.Content[0].Tag != "!!null" {
			docs = append(docs, doc.Content[0])
		}
	}
}

// maxDepth bounds nesting; an object has seven levels, and its status and metadata are not looked at.
const maxDepth = 64

// nesting refuses texts that are nested absurdly deep before they cost time: by brackets, or by dashes and question
// marks, which open a level each.
func (r *reader) nesting() error {
	depth := 0
	for i, b := range r.Src {
		switch b {
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(0, depth-1)
		}
		if depth > maxDepth {
			return r.Errorf(i, "nested more than %d deep (an object needs seven)", maxDepth)
		}
	}
	if at := deepBlock().FindIndex(r.Src); at != nil {
		return r.Errorf(at[0], "nested more than %d deep (an object needs seven)", maxDepth)
	}
	return nil
}

var deepBlock = codec.Lazy(`(?:[-?:][ \t]+){64}`)

var atLine = codec.Lazy(`line (\d+): `)

// syntax gives an error of the YAML package the form that all have: it knows the line only.
func (r *reader) syntax(err error) error {
	msg, pos := strings.TrimPrefix(err.Error(), "yaml: "), policy.Pos{File: r.Name, Line: 1, Col: 1}
	if m := atLine().FindStringSubmatch(msg); m != nil {
		pos.Line, _ = strconv.Atoi(m[1])
		msg = strings.Replace(msg, m[0], "", 1)
	}
	msg, _, _ = strings.Cut(msg, "\n")
	return &policy.Error{Pos: pos, Msg: fmt.Sprintf("not YAML: %s (check indentation, colons and quotes here and in the line before)", msg)}
}

// offset is the place of a node in the text.
func (r *reader) offset(n *yaml.Node) int {
	line := n.Line
	if r.lines == nil {
		r.lines = []int{0}
		for i, b := range r.Src {
			if b == '\n' {
				r.lines = append(r.lines, i+1)
			}
		}
	}
	if line < 1 || line > len(r.lines) {
		return 0
	}
	off := r.lines[line-1]
	rest := r.Src[off:]
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(rest)
		off, rest = off+size, rest[size:]
	}
	return off
}

func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	if r.err == nil {
		r.err = &policy.Error{Pos: policy.Pos{File: r.Name, Line: n.Line, Col: n.Column}, Msg: fmt.Sprintf(format, args...)}
	}
}

func (r *reader) note(n *yaml.Node, format string, args ...any) {
	r.notes.Add(policy.Pos{File: r.Name, Line: n.Line, Col: n.Column}, format, args...)
}

var kinds = map[yaml.Kind]string{yaml.MappingNode: "a mapping", yaml.SequenceNode: "a list", yaml.ScalarNode: "a single value"}

// want reports whether a node is of a kind. Aliases are refused: nobody needs them here, and they can be made to mean
// very much.
func (r *reader) want(n *yaml.Node, k yaml.Kind, what string) bool {
	switch {
	case r.err != nil:
	case n.Kind == yaml.AliasNode:
		r.fail(n, "an alias (*%s) is not read here (write out what it stands for)", n.Value)
	case n.Kind != k:
		r.fail(n, "%s must be %s, not %s", what, kinds[k], kinds[n.Kind])
	}
	return r.err == nil
}

// fields hands each member of a mapping to the function of its name. Others are errors, unless they are open.
func (r *reader) fields(n *yaml.Node, what string, known map[string]func(*yaml.Node), open bool) {
	if !r.want(n, yaml.MappingNode, what) {
		return
	}
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content) && r.err == nil; i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		if !r.want(key, yaml.ScalarNode, "a key of "+what) {
			return
		}
		if first, dup := seen[key.Value]; dup {
			r.fail(key, "duplicate key %q (first in line %d: remove one)", key.Value, first)
			return
		}
		seen[key.Value] = key.Line
		f, ok := known[key.Value]
		switch {
		case !ok && !open:
			r.fail(key, "unknown field %q in %s%s", key.Value, what, cmp.Or(nearest.Hint(key.Value, slices.Sorted(maps.Keys(known))), " (remove it)"))
		case ok && val.Tag != "!!null":
			f(val)
		}
	}
}

func (r *reader) list(n *yaml.Node, what string, each func(*yaml.Node)) {
	if !r.want(n, yaml.SequenceNode, what) {
		return
	}
	for _, item := range n.Content {
		if each(item); r.err != nil {
			return
		}
	}
}

func (r *reader) string(n *yaml.Node, what string) string {
	if r.want(n, yaml.ScalarNode, what) && n.ShortTag() != "!!str" {
		r.fail(n, "%s must be a string, not %s (quote it)", what, n.Value)
	}
	return n.Value
}

// number reads a whole number, at most limit; quoted ones where a string is expected.
func (r *reader) number(n *yaml.Node, what string, limit uint64, quoted bool) uint64 {
	if !r.want(n, yaml.ScalarNode, what) {
		return 0
	}
	if n.ShortTag() == "!!str" && !quoted {
		r.fail(n, "%s must be a number, not the string %q", what, n.Value)
		return 0
	}
	x, err := strconv.ParseUint(strings.ReplaceAll(n.Value, "_", "x"), 0, 64) // 0x10 and 0o17 too, as in YAML
	if err != nil || x > limit {
		r.fail(n, "%s must be a whole number from 0 to %d, not %s", what, limit, n.Value)
	}
	return x
}

// one reads a string that must be among the names.
func (r *reader) one(n *yaml.Node, what string, names []string) string {
	if r.want(n, yaml.ScalarNode, what) && !slices.Contains(names, n.Value) {
		r.fail(n, "unknown %s %q%s", what, n.Value, cmp.Or(nearest.Hint(n.Value, names), " (want one of "+strings.Join(names, " ")+")"))
	}
	return n.Value
}
