package compile

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"monban/abi"
	"monban/bpf"
	"monban/policy/lang"
	"monban/seccomp"
	"monban/verdict"
)

// The live kernel is the third judge. A child, the test itself started again, takes programs and calls from its
// standard input. Each program binds a thread of its own, which makes the calls and ends: filters can't be taken off.

const liveEnv = "MONBAN_LIVE_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(liveEnv) != "" {
		if err := liveChild(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			syscall.Exit(1)
		}
		syscall.Exit(0) // with -cover, os.Exit would write counters, which the program need not allow
	}
	os.Exit(m.Run())
}

// A trial is what the child is asked to do.
type trial struct {
	Program bpf.Program
	Calls   []bpf.Data
}

// An outcome is what the kernel returned for one call, without the filter and behind it: a negative errno where it
// failed.
type outcome struct{ Free, Bound int64 }

// A report is the child's answer to a trial.
type report struct {
	Outcomes []outcome
	Gone     bool // the thread ended during a call, and the process didn't
	Error    string
}

func liveChild(in io.Reader, out io.Writer) error {
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return err
	}
	requests, answers := gob.NewDecoder(in), gob.NewEncoder(out)
	for {
		var t trial
		if err := requests.Decode(&t); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		r := t.run()
		if err := answers.Encode(r); err != nil || r.Gone {
			return err
		}
	}
}

// run makes the calls, first free, then bound.
func (t *trial) run() report {
	done, tid := make(chan report, 1), make(chan int, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this function
		tid <- syscall.Gettid()
		r := report{Outcomes: make([]outcome, len(t.Calls))}
		for i := range t.Calls {
			r.Outcomes[i].Free = call(&t.Calls[i])
		}
		if err := seccomp.NoNewPrivs(); err != nil {
			r.Error = err.Error()
		} else if err := seccomp.Install(t.Program, 0); err != nil {
			r.Error = err.Error()
		} else {
			for i := range t.Calls {
				r.Outcomes[i].Bound = call(&t.Calls[i])
			}
		}
		done <- r
	}()
	task := fmt.Sprintf("/proc/self/task/%d", <-tid)
	for {
		select {
		case r := <-done:
			return r
		case <-time.After(5 * time.Millisecond):
		}
		if _, err := os.Stat(task); err != nil {
			select {
			case r := <-done: // it ended after all was done
				return r
			default:
				return report{Gone: true}
			}
		}
	}
}

func call(d *bpf.Data) int64 {
	r, _, errno := syscall.Syscall6(uintptr(d.Nr), uintptr(d.Args[0]), uintptr(d.Args[1]), uintptr(d.Args[2]),
		uintptr(d.Args[3]), uintptr(d.Args[4]), uintptr(d.Args[5]))
	if errno != 0 { // Go doesn't take 4095 for one
		return -int64(errno)
	}
	return int64(r)
}

// A kernel is a child that lives until a program kills it.
type kernel struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	trials *gob.Encoder
	report *gob.Decoder
	stderr *strings.Builder
}

func (k *kernel) start() error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	k.cmd, k.stderr = exec.Command(exe), &strings.Builder{}
	k.cmd.Env = append(os.Environ(), liveEnv+"=1", "GOTRACEBACK=none")
	k.cmd.Stderr = k.stderr
	if k.in, err = k.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := k.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	k.trials, k.report = gob.NewEncoder(k.in), gob.NewDecoder(out)
	return k.cmd.Start()
}

// stop ends the child, and returns how it ended.
func (k *kernel) stop() error {
	if k.cmd == nil {
		return nil
	}
	k.in.Close()
	err := k.cmd.Wait()
	k.cmd = nil
	return err
}

// try has the kernel run the calls behind the program. end is what they came to where they didn't all return:
// kill_process, kill_thread or trap.
func (k *kernel) try(p bpf.Program, calls []bpf.Data) (outcomes []outcome, end bpf.Action, err error) {
	if k.cmd == nil {
		if err := k.start(); err != nil {
			return nil, 0, err
		}
	}
	if err := k.trials.Encode(trial{p, calls}); err != nil {
		return nil, 0, err
	}
	var r report
	if err := k.report.Decode(&r); err != nil {
		died := k.stop()
		var exit *exec.ExitError
		if !errors.As(died, &exit) {
			return nil, 0, fmt.Errorf("the child ended without a report: %w (%v)", err, died)
		}
		switch status := exit.Sys().(syscall.WaitStatus); {
		case status.Signaled() && status.Signal() == syscall.SIGSYS:
			return nil, bpf.KillProcess, nil
		case strings.HasPrefix(k.stderr.String(), "SIGSYS: bad system call"): // Go's answer to the signal that it caught
			return nil, bpf.Trap, nil
		}
		return nil, 0, fmt.Errorf("the child ended: %w: %s", died, k.stderr)
	}
	if r.Gone {
		return nil, bpf.KillThread, k.stop()
	}
	if r.Error != "" {
		return nil, 0, errors.New(r.Error)
	}
	return r.Outcomes, 0, nil
}

// agrees says whether a call that returned did what the action says.
func (o *outcome) agrees(a bpf.Action) bool {
	switch a.Kind() {
	case bpf.Allow, bpf.Log:
		return o.Bound == o.Free
	case bpf.Errno:
		return o.Bound == -int64(a.Data())
	case bpf.Trace, bpf.Notify: // nobody is there to ask
		return o.Bound == -int64(syscall.ENOSYS)
	}
	return false
}

func needs64(t *testing.T) {
	if abi.Native().Bits() != 64 {
		t.Skip("needs a 64-bit machine")
	}
}

// Random gates for this machine: what the kernel does to calls must be what the gate's plain reading says.
func TestJudgesLive(t *testing.T) {
	needs64(t)
	k := &kernel{}
	defer k.stop()
	begin := time.Now()
	var programs, compared, ends int
	for i := range *judges {
		seed := *judgesFrom + uint64(i)
		g, m, r := gateOf(seed)
		if m == anything {
			continue
		}
		p, err := liveProgram(g)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, g)
		}
		edges := g.edges(abi.Native())
		calls := make([]bpf.Data, 40)
		for i := range calls {
			calls[i] = liveCall(r, edges)
		}
		c, e, err := k.judge(g, p, calls, 1)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, g)
		}
		programs, compared, ends = programs+1, compared+c, ends+e
	}
	if *judges >= 64 && (programs < *judges/5 || compared < 10*programs || ends == 0) {
		t.Errorf("%d programs, %d calls, %d ends are too few of %d gates", programs, compared, ends, *judges)
	}
	t.Logf("%d programs in the kernel, %d calls returned, %d ended their thread or process, %.0f programs/s",
		programs, compared, ends, float64(programs)/time.Since(begin).Seconds())
}

func liveProgram(g *gate) (bpf.Program, error) {
	p, err := lang.Load("live.gate", []byte(g.String()), lang.Options{})
	if err != nil {
		return nil, err
	}
	v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		return nil, err
	}
	return Program(v, abi.Native().ByteOrder(), Options{})
}

// judge has the kernel make calls that must do no harm: those that the gate lets return together, and of the others the
// first few, each alone.
func (k *kernel) judge(g *gate, p bpf.Program, calls []bpf.Data, few int) (compared, ends int, err error) {
	var returning, fatal []bpf.Data
	for _, d := range calls {
		switch g.answer(&d).Kind() {
		case bpf.KillProcess, bpf.KillThread, bpf.Trap:
			fatal = append(fatal, d)
		default:
			returning = append(returning, d)
		}
	}
	outcomes, end, err := k.try(p, returning)
	if err != nil || end != 0 {
		return 0, 0, fmt.Errorf("calls that should return ended by %v (%w)", end, err)
	}
	for i, d := range returning {
		if o := &outcomes[i]; !o.agrees(g.answer(&d)) {
			return 0, 0, fmt.Errorf("the kernel did %+v, the gate says %v for %+v", *o, g.answer(&d), d)
		}
	}
	fatal = fatal[:min(len(fatal), few)]
	for _, d := range fatal {
		_, end, err := k.try(p, []bpf.Data{d})
		if want := g.answer(&d).Kind(); err != nil || end != want {
			return 0, 0, fmt.Errorf("the kernel did %v (%w), the gate says %v for %+v", end, err, want, d)
		}
	}
	return len(returning), len(fatal), nil
}

// liveCall is a harmless call with arguments near the edges.
func liveCall(r *rand.Rand, edges *[registers][]uint64) bpf.Data {
	d := bpf.Data{Arch: abi.Native().Token()}
	for {
		nr, ok := abi.Native().Number(pick(r, harmless...))
		if ok {
			d.Nr = nr
			break
		}
	}
	if r.IntN(10) == 0 { // a number that no call has
		d.Nr = 0x3ffffff0 + uint32(r.IntN(8))
	}
	for i := range d.Args {
		d.Args[i] = near(r, edges[i], 2)
	}
	return d
}

// The known bugs of libseccomp that are about this machine, by its kernel.
func TestKnownBugsLive(t *testing.T) {
	needs64(t)
	k := &kernel{}
	defer k.stop()
	for _, bug := range knownBugs(t) {
		if bug.arch(t) != abi.Native() {
			t.Logf("%s is about %s: TestKnownBugs has it", bug.ID, bug.arch(t))
			continue
		}
		g := bug.gate(t)
		// Others than the rules' own number might do harm where the child makes them without the filter.
		calls := slices.DeleteFunc(bug.calls(g), func(d bpf.Data) bool { return d.Nr != bug.Rules[0].Sys })
		needs := runtimeNeeds()
		needs.items = slices.DeleteFunc(needs.items, func(it item) bool {
			nr, ok := abi.Native().Number(it.call)
			return ok && nr == bug.Rules[0].Sys
		})
		g.lines = slices.Insert(g.lines, 0, needs)
		p, err := liveProgram(g)
		if err != nil {
			t.Fatal(bug.ID, err)
		}
		n, ends, err := k.judge(g, p, calls, 3)
		if err != nil || n == 0 {
			t.Errorf("%s: %v", bug.ID, err)
		}
		t.Logf("%s: %d calls returned, %d killed", bug.ID, n, ends)
	}
}
