package lang

import (
	"slices"
	"strings"
	"unicode/utf8"

	"monban/abi"
	"monban/internal/plain"
	"monban/policy"
)

// A File is a policy's text as a tree: all that it says, comments included, with nothing looked up yet. It can be built
// line by line and changed; [File.String] writes it, and Parse reads the same tree back from that. What is wrong with a
// tree, Resolve says.
type File struct {
	Name  string
	Lines []Line

	preset bool // it is one of Monban's own
}

// A Line is a *Header, *Rules, *Comment or *Bad. It goes on over several rows inside brackets.
type Line interface{ At() *Place }

// A Place is where a line stands.
type Place struct {
	Span
	Apart bool // a blank row is above it
}

// At is the place itself, for whatever stands there.
func (p *Place) At() *Place { return p }

// A Span is a part of the text; both ends are zero where a line was not read from one.
type Span struct{ Start, End policy.Pos } // from Start up to, and not including, End

type (
	// A Header is a line that begins with a word of its own: kernel, arch, default, unknown, badarch, compare, include.
	Header struct {
		Place
		Word    string
		Args    []Arg  // of kernel, arch, compare and include
		Do      Action // of default, unknown and badarch
		Comment string // behind it, with its #; "" where there is none
	}

	// Rules are a line that gives calls an action.
	Rules struct {
		Place
		On      []Arg // the architectures of "on …:"
		Do      Action
		Items   []Item
		Comment string // behind it, with its #; "" where there is none
	}

	// A Comment is a comment that has a line of its own.
	Comment struct {
		Place
		Text string // with its #
	}

	// A Bad line is one that was not understood.
	Bad struct {
		Place
		Text string // as it is, without blank rows
		Err  *policy.Error
	}
)

// An Arg is one word of a header.
type Arg struct {
	Text   string // of a quoted one, what is between the quotes
	Quoted bool
	Pos    policy.Pos
}

// An Item is one call or group of a line of rules.
type Item struct {
	Name     string     // read, @basic-io, or any
	Cond     *Condition // nil where there are no parentheses
	Optional bool       // optional stands before it; it holds for the rest of the line
	Pos      policy.Pos
}

// An Action is an action as it is written.
type Action struct {
	policy.Action
	text string        // as it was read, where the language writes it otherwise
	read policy.Action // what text says; once that is no longer the action, text is not written
}

// written notes how the action was written.
func (a *Action) written(text string) {
	if text != a.Action.String() {
		a.text, a.read = text, a.Action
	}
}

// Act is an action as the language writes it.
func Act(do policy.Action) Action { return Action{Action: do} }

// String is the action as it was read, or as the language writes it.
func (a Action) String() string {
	if a.text != "" && a.read == a.Action {
		return a.text
	}
	return a.Action.String()
}

// A Condition is a condition as it is written, with line breaks and comments, and what it says. It does not change.
type Condition struct {
	tokens []token
	expr   policy.Expr
	err    error // it cannot be read
}

// NewCondition is a condition as the language writes it; nil where expr is.
func NewCondition(expr policy.Expr) *Condition {
	if expr == nil {
		return nil
	}
	c := &Condition{}
	if c.tokens, c.err = lex("condition", []byte(expr.String())); c.err == nil {
		c.tokens = c.tokens[:len(c.tokens)-1] // without the end
		c.expr, c.err = parseCondition(c.tokens)
	}
	return c
}

// Expr is what the condition says.
func (c *Condition) Expr() policy.Expr { return c.expr }

// Head is a header with words such as a kernel's version.
func Head(word string, args ...string) *Header {
	h := &Header{Word: word}
	for _, a := range args {
		h.Args = append(h.Args, Arg{Text: a})
	}
	return h
}

// HeadAction is a header with an action: default, unknown, badarch.
func HeadAction(word string, do policy.Action) *Header { return &Header{Word: word, Do: Act(do)} }

// Archs are the words for architectures.
func Archs(archs []abi.Arch) []Arg {
	var args []Arg
	for _, a := range archs {
		args = append(args, Arg{Text: a.String()})
	}
	return args
}

// Calls are items for calls, whatever their arguments.
func Calls(names ...string) []Item {
	items := make([]Item, len(names))
	for i, n := range names {
		items[i] = Item{Name: n}
	}
	return items
}

// Remark is a comment's text. What would break its line, or what a terminal obeys, is shown instead.
func Remark(format string, args ...any) string {
	return strings.TrimRight("# "+plain.Sprintf(format, args...), " ")
}

// Add puts lines at the end.
func (f *File) Add(lines ...Line) { f.Lines = append(f.Lines, lines...) }

// Note adds a comment of one line.
func (f *File) Note(format string, args ...any) {
	f.Add(&Comment{Text: Remark(format, args...)})
}

// Paragraph adds a comment, on several lines where it is longer than one; those that go on are moved in.
func (f *File) Paragraph(format string, args ...any) {
	var b strings.Builder
	plain.Paragraph(&b, "#   ", "# %s", plain.Sprintf(format, args...))
	for row := range strings.SplitSeq(strings.TrimSuffix(b.String(), "\n"), "\n") {
		f.Add(&Comment{Text: row})
	}
}

// Section adds lines below a blank row, and below a title where it is not "".
func (f *File) Section(title string, lines ...Line) {
	if title != "" {
		lines = slices.Insert(lines, 0, Line(&Comment{Text: Remark("%s", title)}))
	}
	if len(lines) > 0 {
		lines[0].At().Apart = true
	}
	f.Add(lines...)
}

// Prepend puts lines before all others, which a blank row then parts from them.
func (f *File) Prepend(lines ...Line) {
	if len(f.Lines) > 0 {
		f.Lines[0].At().Apart = true
	}
	f.Lines = slices.Concat(lines, f.Lines)
}

// Header is the first header with that word; nil where there is none.
func (f *File) Header(word string) *Header {
	for _, l := range f.Lines {
		if h, ok := l.(*Header); ok && h.Word == word {
			return h
		}
	}
	return nil
}

// Rules yields the lines of rules.
func (f *File) Rules(yield func(*Rules) bool) {
	for _, l := range f.Lines {
		if r, ok := l.(*Rules); ok && !yield(r) {
			return
		}
	}
}

// A Note is a comment and where it stands.
type Note struct {
	Pos   policy.Pos
	Text  string // with its #
	Alone bool   // nothing else is on its row
}

// Notes yields all comments of a file that was read from a text, those inside conditions included.
func (f *File) Notes(yield func(Note) bool) {
	for _, l := range f.Lines {
		switch l := l.(type) {
		case *Comment:
			if !yield(Note{l.Start, l.Text, true}) {
				return
			}
		case *Header:
			if l.Comment != "" && !yield(Note{behind(l.End, l.Comment), l.Comment, false}) {
				return
			}
		case *Rules:
			for _, it := range l.Items {
				if it.Cond == nil {
					continue
				}
				for i, t := range it.Cond.tokens {
					if t.kind == comment && !yield(Note{t.pos, t.text, i > 0 && it.Cond.tokens[i-1].kind == newline}) {
						return
					}
				}
			}
			if l.Comment != "" && !yield(Note{behind(l.End, l.Comment), l.Comment, false}) {
				return
			}
		}
	}
}

// behind is where a comment begins with which a line ends.
func behind(end policy.Pos, text string) policy.Pos {
	end.Col -= utf8.RuneCountInString(text)
	return end
}

// AddHeader puts a header before the first header or line of rules, below the comments that stand there.
func (f *File) AddHeader(h *Header) {
	at := slices.IndexFunc(f.Lines, func(l Line) bool { _, comment := l.(*Comment); return !comment })
	if at < 0 {
		f.Add(h)
		return
	}
	first := f.Lines[at].At()
	h.Apart, first.Apart = first.Apart, false
	f.Lines = slices.Insert(f.Lines, at, Line(h))
}

// SpeakFor adds architectures to those that the file speaks for, on which none of its rules holds.
// Rules of included files would hold there: the file must include none.
func (f *File) SpeakFor(now, more []abi.Arch) {
	if h := f.Header("arch"); h != nil {
		h.Args = append(h.Args, Archs(more)...)
	} else {
		f.AddHeader(&Header{Word: "arch", Args: slices.Concat(Archs(now), Archs(more))})
	}
	for r := range f.Rules {
		if len(r.On) == 0 {
			r.On = Archs(now)
		}
	}
}
