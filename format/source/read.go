package source

import (
	"fmt"
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/format/codec"
	"monban/gate"
	"monban/internal/plain"
	"monban/policy"
)

// types are what arrays of instructions are made of.
var types = []string{"sock_filter", "SockFilter", "RawInstruction", "Instruction", "bpf_insn", "sockFilter"}

// byteTypes are what arrays of bytes are made of.
var byteTypes = []string{"char", "uint8_t", "u8", "byte", "uint8", "__u8"}

// A found program has the name of its array.
type found struct {
	name    string
	program bpf.Program
	bytes   []byte
	off     int
}

func read(in *codec.Input) (*gate.Gate, error) {
	tokens, err := lex(in)
	if err != nil {
		return nil, err
	}
	p := &parser{in: in, tokens: tokens, arch: in.Native}
	if len(in.Archs) > 0 {
		p.arch = in.Archs[0]
	}
	all, err := p.filters()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range all {
		names = append(names, f.name)
	}
	switch {
	case in.Part != "":
		i := slices.Index(names, in.Part)
		if i < 0 {
			return nil, &policy.Error{Pos: policy.Pos{File: in.Name}, Msg: fmt.Sprintf("no filter is called %s (there are %s)", in.Part, plain.List(names, ", "))}
		}
		all = all[i : i+1]
	case len(all) == 0:
		return nil, &policy.Error{Pos: policy.Pos{File: in.Name}, Msg: "no filter is in this source: an array of struct sock_filter, of Go's bpf.RawInstruction, or of bytes"}
	case len(all) > 1:
		return nil, in.Errorf(all[1].off, "several filters: say which, %s#%s", in.Name, plain.List(names, " or #"))
	}
	out := &gate.Gate{Programs: []bpf.Program{all[0].program}, Order: p.arch.ByteOrder()}
	if all[0].bytes != nil {
		if out.Order, err = bpf.GuessOrder(all[0].bytes); err == nil {
			out.Programs[0], err = bpf.Decode(all[0].bytes, out.Order)
		}
		if err != nil {
			return nil, in.Errorf(all[0].off, "the bytes are not a filter: %v", err)
		}
	}
	if err := out.Programs[0].Check(); err != nil {
		return nil, in.Errorf(all[0].off, "the kernel does not admit this program: %v", err)
	}
	return out, nil
}

type parser struct {
	in     *codec.Input
	arch   abi.Arch
	tokens []token
	at     int
	depth  int
}

func (p *parser) peek() token { return p.tokens[min(p.at, len(p.tokens)-1)] }

func (p *parser) take(text string) bool {
	if p.peek().text == text {
		p.at++
		return true
	}
	return false
}

func (p *parser) want(text string) error {
	if !p.take(text) {
		t := p.peek()
		if t.text == "" {
			return p.in.Errorf(t.off, "the source ends where %q is expected (is it truncated?)", text)
		}
		return p.in.Errorf(t.off, "expected %q, not %q", text, t.text)
	}
	return nil
}

// filters finds the filters of a text: by Go's rules in Go, otherwise by C's.
func (p *parser) filters() ([]found, error) {
	r, file, ok, err := p.goFile()
	switch {
	case err != nil:
		return nil, err
	case ok:
		return r.filters(file)
	}
	return p.arrays()
}

// arrays finds the filters of C: a bare list, or declarations of a type that says what they are.
func (p *parser) arrays() (all []found, err error) {
	if t := p.peek().text; t == "{" || t == "BPF_STMT" || t == "BPF_JUMP" {
		program, err := p.items("")
		return []found{{"", program, nil, 0}}, err
	}
	begin := 0
	for p.peek().text != "" {
		t := p.peek()
		p.at++
		switch t.text {
		case ";", "}":
			begin = p.at
		case "{":
			declared := p.tokens[begin : p.at-1]
			begin = p.at
			name, kind := declaration(declared)
			if kind == none {
				continue
			}
			f := found{name: name, off: t.off}
			if kind == ofBytes {
				f.bytes, err = p.bytes()
			} else {
				f.program, err = p.items("}")
			}
			if err != nil {
				return nil, err
			}
			all = append(all, f)
			begin = p.at
		}
	}
	return all, nil
}

type content uint8

const (
	none content = iota
	ofInstructions
	ofBytes
)

// declaration is the name that stands before a list, and what the list is of: [] and then = must be there, as in C; a
// text of Go's that Go's parser does not take is not read by C's rules.
func declaration(tokens []token) (name string, kind content) {
	square, equal := false, -1
	for i, t := range tokens {
		switch {
		case t.text == "[":
			square = square || equal < 0
		case t.text == "=":
			equal = i
		case slices.Contains(types, t.text):
			kind = ofInstructions
		case kind == none && slices.Contains(byteTypes, t.text):
			kind = ofBytes
		}
	}
	if !square || equal < 0 {
		return "", none
	}
	for _, t := range tokens[:equal] {
		if t.text == "[" {
			break
		}
		if isWord(t.text[0]) && !slices.Contains(types, t.text) && !slices.Contains(byteTypes, t.text) {
			name = t.text
		}
	}
	return name, kind
}

// items reads instructions up to a closing brace, or to the end.
func (p *parser) items(closing string) (program bpf.Program, err error) {
	for {
		if p.peek().text == closing {
			p.at++
			return program, nil
		}
		in, err := p.instruction()
		if err != nil {
			return nil, err
		}
		if program = append(program, in); len(program) > bpf.MaxInstructions {
			return nil, p.in.Errorf(p.peek().off, "more than the %d instructions that the kernel takes", bpf.MaxInstructions)
		}
		if !p.take(",") && p.peek().text != closing {
			return nil, p.want(",")
		}
	}
}

// fields are the names that an instruction's four fields go by.
var fields = map[string]int{"code": 0, "Code": 0, "Op": 0, "jt": 1, "Jt": 1, "jf": 2, "Jf": 2, "k": 3, "K": 3}

func (p *parser) instruction() (in bpf.Instruction, err error) {
	t := p.peek()
	var values []uint64
	set := [4]uint64{}
	word := t.text
	switch {
	case word == "BPF_STMT" || word == "BPF_JUMP":
		p.at++
		if err := p.want("("); err != nil {
			return in, err
		}
		for {
			v, err := p.expression()
			if err != nil {
				return in, err
			}
			if values = append(values, v); !p.take(",") {
				break
			}
		}
		if err := p.want(")"); err != nil {
			return in, err
		}
		if n := map[string]int{"BPF_STMT": 2, "BPF_JUMP": 4}[word]; len(values) != n {
			return in, p.in.Errorf(t.off, "%s takes %d values, not %d", word, n, len(values))
		}
		set[0], set[3] = values[0], values[1]
		if word == "BPF_JUMP" {
			set[1], set[2] = values[2], values[3]
		}
	default:
		for isWord(firstByte(p.peek().text)) || p.peek().text == "(" && p.tokens[min(p.at+1, len(p.tokens)-1)].text == "struct" || p.peek().text == ")" {
			p.at++ // the type of a composite literal
		}
		if err := p.want("{"); err != nil {
			return in, err
		}
		for n := 0; !p.take("}"); n++ {
			dot := p.take(".")
			field := n
			if i, ok := fields[p.peek().text]; ok {
				field = i
				p.at++
				if !p.take("=") || !dot {
					if err := p.colon(dot); err != nil {
						return in, err
					}
				}
			}
			where := p.peek()
			v, err := p.expression()
			if err != nil {
				return in, err
			}
			if field > 3 {
				return in, p.in.Errorf(where.off, "an instruction has four fields: code, jt, jf and k")
			}
			set[field] = v
			if !p.take(",") && p.peek().text != "}" {
				return in, p.want("}")
			}
		}
	}
	return instructionOf(p.in, t.off, set)
}

// instructionOf makes an instruction at a place of its four fields.
func instructionOf(at *codec.Input, off int, set [4]uint64) (in bpf.Instruction, err error) {
	for i, limit := range [4]uint64{0xffff, 0xff, 0xff, 0xffffffff} {
		if set[i] > limit {
			return in, at.Errorf(off, "%#x does not fit the field %s of an instruction", set[i], [4]string{"code", "jt", "jf", "k"}[i])
		}
	}
	return bpf.Instruction{Code: uint16(set[0]), Jt: uint8(set[1]), Jf: uint8(set[2]), K: uint32(set[3])}, nil
}

func firstByte(s string) byte {
	if s == "" {
		return 0
	}
	return s[0]
}

// colon is what stands after a field's name in Go, and in old C.
func (p *parser) colon(dot bool) error {
	if p.tokens[p.at-1].text == "=" {
		return p.in.Errorf(p.tokens[p.at-1].off, "a field of C is named with a dot: .code = 0x20")
	}
	if dot {
		return p.want("=")
	}
	return p.want(":")
}

// bytes reads a list of bytes up to the closing brace.
func (p *parser) bytes() (all []byte, err error) {
	for !p.take("}") {
		t := p.peek()
		v, err := p.expression()
		if err != nil {
			return nil, err
		}
		if v > 0xff {
			return nil, p.in.Errorf(t.off, "%#x is not a byte", v)
		}
		all = append(all, byte(v))
		if !p.take(",") && p.peek().text != "}" {
			return nil, p.want(",")
		}
	}
	return all, nil
}
