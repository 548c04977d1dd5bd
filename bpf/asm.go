package bpf

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"monban/internal/nearest"
)

// maxSource is the longest assembly text in bytes; a listing of the longest program has a tenth of it.
const maxSource = 4 << 20

// Assemble reads what [Disassemble] wrote, and hand-written text. name stands for the text in errors, which are of type
// *SyntaxError, but for errors of reading. A text that is well-formed and makes a program that the kernel refuses gives
// both the program and an error at the line at fault, which wraps the *CheckError.
//
//	[line number] [label:] instruction   ; comment, also // and /* */
//
// The instructions are those of the kernel's bpf_asm as far as seccomp admits them:
//
//	ld  [nr] [arch] [ip.lo] [ip.hi] [args[0].lo] [args[0].hi] … [16]     a word of struct seccomp_data, by name or offset
//	ld  ldx  #7  #len  M[0]            st  stx  M[0]
//	add sub mul div and or xor lsh rsh  #7  x        neg  tax  txa
//	jeq jne jgt jge jlt jle jset  #7  x  , target [, target]             where it holds, where not: next line if left out
//	ja  target
//	ret  #0x7fff0000  a  allow  log  notify  trace(7)  trap(7)  errno(1)  kill_thread  kill_process
//	raw  code, jt, jf, k                                                 the four fields as numbers
//
// A target is a label or a number: that of the line that carries it, so that lines without number can be put into a
// listing; where no line is numbered, it counts instructions from 0. Halves of 64-bit values (.lo, .hi) need the
// directive ".order little" or ".order big" before them. Numbers are decimal or 0x hexadecimal; # may be left out.
func Assemble(name string, src io.Reader) (Program, error) {
	text, err := io.ReadAll(io.LimitReader(src, maxSource+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(text) > maxSource {
		return nil, fmt.Errorf("%s: more than %d MiB of assembly language", name, maxSource>>20)
	}
	p, err := assemble(string(text))
	if syntax, ok := errors.AsType[*SyntaxError](err); ok {
		syntax.File = name
	}
	return p, err
}

type assembler struct {
	tokens  []token // from the current one on
	order   string  // "little", "big", or "" until it is said
	program Program
	places  []place // of each instruction
	jumps   []jump
	labels  map[string]label
	lines   map[uint32]label // the instruction that carries a line number
}

type label struct {
	pc int
	at place
}

// A jump waits for all labels to be known.
type jump struct {
	pc      int
	targets [2]target // a goto has only the first
}

// A target is where a jump leads; the zero target is the next instruction.
type target struct {
	name   string
	number uint32
	at     place
}

func assemble(src string) (Program, error) {
	tokens, err := lex(src)
	if err != nil {
		return nil, err
	}
	a := assembler{tokens: tokens, labels: map[string]label{}, lines: map[uint32]label{}}
	for a.tokens[0].kind != tokenEnd {
		if err := a.statement(); err != nil {
			return nil, err
		}
	}
	if len(a.program) == 0 {
		return nil, a.errorf(a.tokens[0].at, "no instructions")
	}
	if err := a.resolve(); err != nil {
		return nil, err
	}
	err = a.program.Check()
	if check, ok := errors.AsType[*CheckError](err); ok {
		at := a.places[max(check.PC, 0)]
		return a.program, &SyntaxError{Line: at.line, Column: at.column, Message: check.Reason, Err: check}
	}
	return a.program, err
}

func (a *assembler) errorf(at place, format string, args ...any) error {
	return &SyntaxError{Line: at.line, Column: at.column, Message: fmt.Sprintf(format, args...)}
}

func (a *assembler) peek() token { return a.tokens[0] }

// next takes a token. The last one, the end of the text, stays.
func (a *assembler) next() token {
	t := a.tokens[0]
	if t.kind != tokenEnd {
		a.tokens = a.tokens[1:]
	}
	return t
}

// accept takes the token if it is the given mark.
func (a *assembler) accept(mark string) bool {
	if t := a.peek(); t.kind == tokenMark && t.text == mark {
		a.next()
		return true
	}
	return false
}

func (a *assembler) expect(mark, after string) error {
	if !a.accept(mark) {
		return a.errorf(a.peek().at, "expected %q %s, found %v", mark, after, a.peek())
	}
	return nil
}

// statement reads a line: line number, labels, and an instruction or directive.
func (a *assembler) statement() error {
	here := label{len(a.program), a.peek().at}
	numbered := a.peek().kind == tokenNumber
	if numbered {
		n, err := a.number("")
		if err != nil {
			return err
		}
		if old, ok := a.lines[n]; ok {
			return a.errorf(here.at, "two lines have the number %d: the other is line %d of the text", n, old.at.line)
		}
		a.lines[n] = here
		a.accept(":")
	}
	for a.peek().kind == tokenWord && a.tokens[1].kind == tokenMark && a.tokens[1].text == ":" {
		t := a.next()
		a.next()
		if strings.Contains(t.text, ".") {
			return a.errorf(t.at, "label %q: a label has letters, digits and _", t.text)
		}
		if old, ok := a.labels[t.text]; ok {
			return a.errorf(t.at, "label %q is already on line %d", t.text, old.at.line)
		}
		a.labels[t.text] = label{len(a.program), t.at}
	}
	switch t := a.peek(); {
	case t.kind == tokenWord && t.text == ".order" && !numbered:
		if err := a.orderDirective(); err != nil {
			return err
		}
	case t.kind == tokenWord && t.text != ".order":
		if err := a.instruction(); err != nil {
			return err
		}
	case t.kind == tokenNewline && !numbered:
	default:
		return a.errorf(t.at, "expected an instruction, found %v", t)
	}
	if t := a.next(); t.kind != tokenNewline {
		return a.errorf(t.at, "unexpected %v after the instruction: write one a line, comments after ;", t)
	}
	return nil
}

func (a *assembler) orderDirective() error {
	at := a.next().at
	t := a.next()
	if t.text != "little" && t.text != "big" {
		return a.errorf(t.at, "expected .order little or .order big, found %v%s", t, nearest.Hint(t.text, []string{"little", "big"}))
	}
	if a.order != "" && a.order != t.text {
		return a.errorf(at, "the byte order is already %s", a.order)
	}
	a.order = t.text
	return nil
}

// resolve fills in the distances of all jumps.
func (a *assembler) resolve() error {
	end := func(l label) error {
		return a.errorf(l.at, "no instruction follows this label")
	}
	for _, name := range slices.Sorted(maps.Keys(a.labels)) {
		if l := a.labels[name]; l.pc == len(a.program) {
			return end(l)
		}
	}
	for _, j := range a.jumps {
		ins := &a.program[j.pc]
		var distance [2]int
		for i, t := range j.targets {
			if t == (target{}) {
				continue
			}
			pc, err := a.find(t)
			if err != nil {
				return err
			}
			if distance[i] = pc - j.pc - 1; distance[i] < 0 {
				return a.errorf(t.at, "a jump only goes forward, and %v is not below this line", t)
			}
			if distance[i] > 255 && ins.Code != JMP|JA {
				return a.errorf(t.at, "%v is %d instructions away and a conditional jump reaches 255: go there by way of a ja",
					t, distance[i])
			}
		}
		if ins.Code == JMP|JA {
			ins.K = uint32(distance[0])
		} else {
			ins.Jt, ins.Jf = uint8(distance[0]), uint8(distance[1])
		}
	}
	return nil
}

func (t target) String() string {
	if t.name != "" {
		return t.name
	}
	return strconv.FormatUint(uint64(t.number), 10)
}

// find returns the instruction that a target means.
func (a *assembler) find(t target) (int, error) {
	if t.name != "" {
		l, ok := a.labels[t.name]
		if !ok {
			return 0, a.errorf(t.at, "no label %q%s", t.name, nearest.Hint(t.name, slices.Sorted(maps.Keys(a.labels))))
		}
		return l.pc, nil
	}
	if len(a.lines) > 0 {
		l, ok := a.lines[t.number]
		if !ok {
			return 0, a.errorf(t.at, "no line has the number %d", t.number)
		}
		return l.pc, nil
	}
	if uint64(t.number) >= uint64(len(a.program)) {
		return 0, a.errorf(t.at, "no instruction %d: the last one is %d", t.number, len(a.program)-1)
	}
	return int(t.number), nil
}
