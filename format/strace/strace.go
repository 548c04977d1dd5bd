// Package strace reads what strace writes (-o FILE, also with -f, -t, -r, -T, -y and -i, and the table of -c) as a
// recording: a policy that allows the calls that were made, whatever their arguments, and answers others with EPERM.
//
// A trace shows what one run did: a call that it did not happen to make is denied.
package strace

import (
	"bytes"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/format/codec"
	"monban/gate"
	"monban/internal/nearest"
	"monban/policy"
)

// Format reads traces.
func Format() codec.Format {
	return codec.Format{
		Name:  "strace",
		Title: "a trace",
		About: "what strace -f -o FILE wrote: the calls that were made are allowed",
		Exts:  []string{".strace"},
		Sniff: sniff,
		Read:  read,
	}
}

var (
	// prefix is what stands before a call: who, when, where.
	prefix = codec.Lazy(`^(\[pid +\d+\] |\d+ +)? *((\d\d:\d\d:)?\d+(:\d+)*(\.\d+)? +(\(\+ +[\d.]+\) +)?)?(\[[0-9a-f?]+\] +)?`)
	call   = codec.Lazy(`^([a-zA-Z_][a-zA-Z0-9_]*)\(`)
	ended  = codec.Lazy(`(\) += (-?\d+|0x[0-9a-f]+|\?).*| <unfinished \.\.\.>|<detached \.\.\.>| <no return \.\.\.>)$`)
	back   = codec.Lazy(`^<\.\.\. [a-zA-Z0-9_]+ resumed>`)
	event  = codec.Lazy(`^(---|\+\+\+) .*(---|\+\+\+)$`)
	said   = codec.Lazy(`^(strace: .*|\[ Process PID=\d+ runs in .* mode\. \])$`)
	mode   = codec.Lazy(`\[ Process PID=\d+ runs in (.*) mode\. \]$`)
	header = codec.Lazy(`^% time +seconds +usecs/call +calls +errors +syscall$`)
)

// sniff asks the first line.
func sniff(src []byte) bool {
	first, _, _ := bytes.Cut(bytes.TrimLeft(src, "\r\n"), []byte("\n"))
	line := strings.TrimRight(string(first), "\r ")
	rest := strings.TrimPrefix(line, prefix().FindString(line))
	return header().MatchString(line) || call().MatchString(rest) && ended().MatchString(rest) || event().MatchString(rest) && rest != line
}

// A recording is the calls seen on each architecture, in the order of their first time.
type recording struct {
	*codec.Source
	in    *codec.Input
	arch  abi.Arch
	seen  map[abi.Arch]map[string]bool
	calls []policy.Rule
}

func read(in *codec.Input) (*gate.Gate, error) {
	r := &recording{Source: codec.NewSource(in.Name, in.Src), in: in, arch: in.Native, seen: map[abi.Arch]map[string]bool{}}
	if len(in.Archs) > 0 {
		r.arch = in.Archs[0]
	}
	table, off := false, 0
	for raw := range bytes.SplitSeq(in.Src, []byte("\n")) {
		line := strings.TrimRight(string(raw), "\r ")
		var err error
		switch {
		case line == "":
		case header().MatchString(line):
			table = true
		case table:
			err = r.row(line, off)
		default:
			err = r.line(line, off)
		}
		if err != nil {
			return nil, err
		}
		off += len(raw) + 1
	}
	if len(r.calls) == 0 {
		return nil, &policy.Error{Pos: policy.Pos{File: in.Name}, Msg: "no call is in this trace (strace -f -o FILE COMMAND writes one)"}
	}
	return r.policy()
}

// line takes in a line of a trace.
func (r *recording) line(line string, off int) error {
	start := len(prefix().FindString(line))
	rest := line[start:]
	if m := mode().FindStringSubmatch(line); m != nil {
		return r.mode(m[1], off)
	}
	if back().MatchString(rest) || event().MatchString(rest) || said().MatchString(line) {
		return nil
	}
	m := call().FindStringSubmatch(rest)
	if m == nil {
		return r.Errorf(off+start, "this is not a line of strace's (a call is  name(arguments) = result)")
	}
	if !ended().MatchString(rest) {
		return r.Errorf(off+len(line), "the line ends within a call (is the trace truncated? remove the line)")
	}
	return r.saw(m[1], off+start)
}

// row takes in a row of the table that strace -c writes; its last word is the call.
func (r *recording) row(line string, off int) error {
	words := strings.Fields(line)
	if strings.HasPrefix(line, "--") || words[len(words)-1] == "total" {
		return nil
	}
	if len(words) < 5 || len(words) > 6 {
		return r.Errorf(off, "this is not a row of strace -c (percent, seconds, usecs/call, calls, errors, syscall)")
	}
	return r.saw(words[len(words)-1], off+strings.LastIndex(line, " ")+1)
}

// mode follows a program of another architecture.
func (r *recording) mode(words string, off int) error {
	native := r.in.Native
	switch {
	case words == "64 bit":
		r.arch = native
	case words == "x32" && native == abi.X86_64:
		r.arch = abi.X32
	case words == "32 bit" && native == abi.X86_64:
		r.arch = abi.X86
	case words == "32 bit" && native == abi.AArch64:
		r.arch = abi.ARM
	default:
		return &codec.OptionError{Option: codec.OptionArchs, Err: r.Errorf(off, "a program in %s mode: which architecture that is on %s is not known here (trace it alone)", words, native)}
	}
	return nil
}

// saw notes a call.
func (r *recording) saw(name string, off int) error {
	if r.seen[r.arch][name] {
		return nil
	}
	if _, ok := r.arch.Number(name); !ok {
		hint := "is the trace from another architecture?"
		if strings.HasPrefix(name, "syscall_0x") {
			hint = "strace is older than the call, which no gate can name: remove the line"
		} else if near := nearest.Word(name, abi.Calls()); near != "" {
			hint = "did you mean " + near + "?"
		}
		return &codec.OptionError{Option: codec.OptionArchs, Err: r.Errorf(off, "%s has no system call %s (%s)", r.arch, name, hint)}
	}
	if r.seen[r.arch] == nil {
		r.seen[r.arch] = map[string]bool{}
	}
	r.seen[r.arch][name] = true
	r.calls = append(r.calls, policy.Rule{Action: policy.Action{Kind: bpf.Allow}, Call: name, Archs: []abi.Arch{r.arch}, Pos: r.Pos(off)})
	return nil
}

func (r *recording) policy() (*gate.Gate, error) {
	p := &policy.Policy{
		Name: r.in.Name, Default: policy.Action{Kind: bpf.Errno, Errno: "EPERM"}, Unknown: policy.Action{Kind: bpf.Errno, Errno: "ENOSYS"},
		BadArch: policy.Action{Kind: bpf.KillProcess}, Rules: r.calls,
	}
	for _, rule := range r.calls {
		if !slices.Contains(p.Archs, rule.Archs[0]) {
			p.Archs = append(p.Archs, rule.Archs[0])
		}
	}
	if len(p.Archs) == 1 {
		for i := range p.Rules {
			p.Rules[i].Archs = nil
		}
	}
	return &gate.Gate{Policy: p, Notes: []string{"what one run did, whatever the arguments: a call that it did not make gets EPERM"}}, p.Check()
}

// Call takes a line apart: the call's name and its arguments as strace shows them. ok is false for a line that is not a
// call: a signal, the second half of a call, the end of a program.
func Call(line string) (name string, args []string, ok bool) {
	rest := line[len(prefix().FindString(line)):]
	open := strings.IndexByte(rest, '(')
	if open <= 0 || !call().MatchString(rest) {
		return "", nil, false
	}
	args, closed := arguments(rest[open+1:])
	return rest[:open], args, closed
}

// IsLine says that a line was written by strace: a call with its result, or one of the things that Call passes over.
func IsLine(line string) bool {
	rest := line[len(prefix().FindString(line)):]
	if i := strings.LastIndex(rest, ") "); i > 0 && strings.HasPrefix(strings.TrimLeft(rest[i+1:], " "), "=") {
		return true
	}
	return strings.HasSuffix(rest, " <unfinished ...>") || event().MatchString(rest) || back().MatchString(rest) || said().MatchString(line)
}

// arguments splits at the commas outside of brackets and quotes, up to the closing parenthesis or "<unfinished ...>".
func arguments(rest string) (args []string, closed bool) {
	depth, start, quoted := 0, 0, false
	add := func(end int) {
		if a := strings.TrimSpace(rest[start:end]); a != "" {
			args = append(args, a)
		}
		start = end + 1
	}
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(' || c == '[' || c == '{':
			depth++
		case c == ')' && depth == 0:
			add(i)
			return args, true
		case c == ')' || c == ']' || c == '}':
			depth--
		case c == ',' && depth == 0:
			add(i)
		case c == '<' && depth == 0 && strings.HasPrefix(rest[i:], "<unfinished ...>"):
			add(i)
			return args, true
		}
	}
	return args, false
}
