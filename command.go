package monban

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/compile"
	"monban/gate"
	"monban/internal/plain"
	"monban/policy"
	"monban/sandbox"
	"monban/verdict"
)

// errNoPolicy is for who has no policy, or has not looked at Parse's error.
var errNoPolicy = errors.New("there is no policy")

// A Cmd is a program that is started behind a policy, as an exec.Cmd is one that is started without. It can be started
// once.
//
// The policy binds the program from its first instruction on, and all that it starts; it need not allow execve. The
// program dies with this process. Kinds of errors are those of package sandbox: ErrNotFound, ErrNotExecutable,
// ErrPtraceRefused, ErrUnsupported.
type Cmd struct {
	Path string   // the program: looked up in the PATH of Env where it has no slash
	Args []string // with the program's name first
	Env  []string // nil: this process's
	Dir  string   // "": this process's

	// An *os.File is the program's own; others are copied from or to by goroutines, which Wait waits for. Nil is
	// /dev/null.
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	// Result is how the program ended, once Wait has returned.
	Result *sandbox.Result

	policy  *Policy
	ctx     context.Context
	process *sandbox.Process
	gate    *gate.Gate  // as it binds the program
	files   []*os.File  // the program's ends, closed once it runs
	ours    []io.Closer // closed once it has ended
	copies  []func() error
	copied  chan error
	started bool
	waited  bool
}

// Command is a program with arguments, behind a policy. It is not started yet.
func Command(p *Policy, name string, args ...string) *Cmd {
	return CommandContext(context.Background(), p, name, args...)
}

// CommandContext is Command for a program that is killed when ctx ends.
func CommandContext(ctx context.Context, p *Policy, name string, args ...string) *Cmd {
	return &Cmd{Path: name, Args: append([]string{name}, args...), policy: p, ctx: ctx}
}

// String is the command line, for people.
func (c *Cmd) String() string { return strings.Join(c.Args, " ") }

// Run is Start and Wait.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output runs the program and returns what it wrote to standard output.
func (c *Cmd) Output() ([]byte, error) {
	if c.Stdout != nil {
		return nil, errors.New("standard output is set already")
	}
	var out bytes.Buffer
	c.Stdout = &out
	err := c.Run()
	return out.Bytes(), err
}

// CombinedOutput runs the program and returns what it wrote to standard output and standard error.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	if c.Stdout != nil || c.Stderr != nil {
		return nil, errors.New("standard output or standard error is set already")
	}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	return out.Bytes(), err
}

// StdinPipe is a pipe to the program's standard input. Close it when all is written; Wait closes it otherwise.
func (c *Cmd) StdinPipe() (io.WriteCloser, error) {
	if c.started || c.Stdin != nil {
		return nil, errors.New("standard input is set already, or the program started")
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c.Stdin = r
	c.files, c.ours = append(c.files, r), append(c.ours, w)
	return w, nil
}

// StdoutPipe is a pipe from the program's standard output. All of it is to be read before Wait, which closes it.
func (c *Cmd) StdoutPipe() (io.ReadCloser, error) { return c.outPipe(&c.Stdout) }

// StderrPipe is the same for standard error.
func (c *Cmd) StderrPipe() (io.ReadCloser, error) { return c.outPipe(&c.Stderr) }

func (c *Cmd) outPipe(to *io.Writer) (io.ReadCloser, error) {
	if c.started || *to != nil {
		return nil, errors.New("the output is set already, or the program started")
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	*to = w
	c.files, c.ours = append(c.files, w), append(c.ours, r)
	return r, nil
}

// Start returns once the program runs behind its policy. After an error it has not run.
func (c *Cmd) Start() error {
	if c.started {
		return errors.New("the program was started already")
	}
	if c.policy == nil {
		return errNoPolicy
	}
	if c.ctx == nil {
		c.ctx = context.Background()
	}
	c.started = true
	run := &sandbox.Command{Path: c.Path, Args: c.Args, Env: c.Env, Dir: c.Dir, KeepSignals: true, Prepare: c.prepare}
	err := c.open(run)
	if err == nil {
		c.process, err = run.Start(c.ctx)
	}
	closeAll(c.files)
	if err != nil {
		for _, f := range c.ours {
			f.Close()
		}
		return err
	}
	c.copied = make(chan error, len(c.copies))
	for _, f := range c.copies {
		go func() { c.copied <- f() }()
	}
	return nil
}

// prepare compiles the policy, while the program is being loaded.
func (c *Cmd) prepare() (p sandbox.Prepared, err error) {
	if c.gate, err = gate.OfPolicy(c.policy.Name, c.policy).For(abi.Native()); err != nil {
		return p, err
	}
	p.Watch, err = gate.Exact(c.gate, func(v verdict.Verdict) (kills bool, err error) {
		for do := range v.On(abi.Native(), bpf.Allow).Actions() {
			if do.Asks() {
				return false, &SupervisorError{do}
			}
			kills = kills || do.Signals()
		}
		return kills, nil
	})
	if err == nil {
		p.Gates, err = c.gate.Compile(compile.Options{})
	}
	return p, err
}

// open makes files of what the program reads and writes.
func (c *Cmd) open(run *sandbox.Command) (err error) {
	if run.Stdin, err = c.reader(); err != nil {
		return err
	}
	if run.Stdout, err = c.writer(c.Stdout); err != nil {
		return err
	}
	if c.Stderr != nil && c.Stderr == c.Stdout { // as in os/exec: one goroutine writes
		run.Stderr = run.Stdout
		return nil
	}
	run.Stderr, err = c.writer(c.Stderr)
	return err
}

func (c *Cmd) reader() (*os.File, error) {
	switch in := c.Stdin.(type) {
	case nil:
		return c.opened(os.Open(os.DevNull))
	case *os.File:
		return in, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c.files = append(c.files, r)
	from := c.Stdin
	c.copies = append(c.copies, func() error {
		_, err := io.Copy(w, from)
		if errors.Is(err, errBrokenPipe) { // the program did not read all of it, which is its business
			err = nil
		}
		return errors.Join(err, w.Close())
	})
	return r, nil
}

func (c *Cmd) writer(to io.Writer) (*os.File, error) {
	switch out := to.(type) {
	case nil:
		return c.opened(os.OpenFile(os.DevNull, os.O_WRONLY, 0))
	case *os.File:
		return out, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c.files = append(c.files, w)
	c.copies = append(c.copies, func() error {
		_, err := io.Copy(to, r)
		return errors.Join(err, r.Close())
	})
	return w, nil
}

func (c *Cmd) opened(f *os.File, err error) (*os.File, error) {
	if err == nil {
		c.files = append(c.files, f)
	}
	return f, err
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// PID is the program's process id, from Start to Wait.
func (c *Cmd) PID() int {
	if c.process == nil {
		return 0
	}
	return c.process.PID()
}

// Wait returns when the program has ended and all that was to be copied is. A program that has not exited with status 0
// is an *ExitError, which names the calls that the policy killed.
func (c *Cmd) Wait() error {
	if c.process == nil || c.waited {
		return errors.New("there is no program to wait for")
	}
	c.waited = true
	var err error
	c.Result, err = c.process.Wait()
	for _, f := range c.ours {
		f.Close()
	}
	for range c.copies {
		err = errors.Join(err, <-c.copied)
	}
	if err == nil && c.Result.ExitStatus() != 0 {
		return &ExitError{c.Result, c.gate}
	}
	return err
}

// An ExitError says that a program has not exited with status 0.
type ExitError struct {
	*sandbox.Result
	gate *gate.Gate
}

func (e *ExitError) Error() string {
	text := fmt.Sprintf("exit status %d", e.ExitCode)
	if e.Signal != 0 {
		text = "signal: " + e.Signal.String()
	}
	for _, k := range e.Denied() {
		text += "; " + k.String()
	}
	return text
}

// Denied are the calls that the policy killed, each once, in the order of their first.
func (e *ExitError) Denied() (out []Denied) {
	calls, _ := e.Calls()
	for _, k := range calls {
		d := Denied{Killed: k}
		d.decision, _ = e.gate.Decide(&k.Data) // it decided before
		out = append(out, d)
	}
	return out
}

// Denied is a call that the policy killed, and the rule that did.
type Denied struct {
	sandbox.Killed
	decision *gate.Decision
}

// Call is the call with its arguments, as the policy language writes it.
func (d Denied) Call() string {
	a, ok := abi.Of(d.Data.Arch, d.Data.Nr)
	if !ok {
		a = abi.Native()
	}
	return policy.FormatCall(a, &d.Data)
}

// Rule is the rule or header that decided, and its place, whose Line is 0 for a header.
func (d Denied) Rule() (text string, at policy.Pos) {
	if d.decision == nil {
		return "", at
	}
	return d.decision.Text, d.decision.Pos()
}

func (d Denied) String() string {
	text := plain.Sprintf("killed: %s by %s", d.Call(), d.Comm)
	rule, at := d.Rule()
	switch {
	case at.Line > 0:
		text += plain.Sprintf(", %s: %s", at, rule)
	case rule != "":
		text += ", " + rule
	}
	return text
}
