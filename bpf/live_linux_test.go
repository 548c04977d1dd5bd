package bpf

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The live kernel judges in a child process, which is this test binary again: a filter cannot be taken off.
const childVariable = "MONBAN_BPF_CHILD"

// In the child the main thread must not be among those killed: it would stay as a zombie, and look alive.
func init() {
	if os.Getenv(childVariable) != "" {
		runtime.LockOSThread()
	}
}

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(childVariable) {
	case "":
		os.Exit(m.Run())
	case "admit":
		err = admitChild()
	case "run":
		err = runChild()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		syscall.Exit(1)
	}
	syscall.Exit(0) // with -cover, os.Exit would write counters, which the program need not allow
}

func askChild(t *testing.T, role string, input []byte) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+role)
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGQUIT) } // for the stacks
	cmd.WaitDelay = 2 * time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the child that asks the kernel: %v\n%s", err, stderr.String())
	}
	return out
}

func setFilter(p Program, flags uintptr) unix.Errno {
	prog := unix.SockFprog{Len: uint16(len(p))}
	if len(p) > 0 {
		prog.Filter = (*unix.SockFilter)(unsafe.Pointer(&p[0])) // the same four fields
	}
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(p)
	return errno
}

// admitChild asks the kernel about each program of its input and answers with a byte each: the errno. No filter is
// installed: the kernel looks for a file descriptor for the listener after all its checks, and there is none to be had.
// So an admitted program gives EMFILE.
func admitChild() error {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{}); err != nil {
		return err
	}
	var answers []byte
	for len(input) > 0 {
		n := int(binary.NativeEndian.Uint16(input))
		input = input[2:]
		p := make(Program, n)
		for i := range p {
			f := input[i*InstructionSize:]
			p[i] = Instruction{binary.NativeEndian.Uint16(f), f[2], f[3], binary.NativeEndian.Uint32(f[4:])}
		}
		input = input[n*InstructionSize:]
		answers = append(answers, byte(setFilter(p, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER)))
	}
	_, err = os.Stdout.Write(answers)
	return err
}

// admits asks the live kernel.
func admits(t *testing.T, programs []Program) []bool {
	t.Helper()
	probe := []Program{{{Code: RET | K, K: uint32(Allow)}}, {{Code: RET | X}}}
	var input []byte
	for _, p := range append(probe, programs...) {
		input = binary.NativeEndian.AppendUint16(input, uint16(len(p)))
		input = append(input, p.Encode(binary.NativeEndian)...)
	}
	answers := askChild(t, "admit", input)
	if len(answers) != len(programs)+2 {
		t.Fatalf("%d answers to %d programs", len(answers), len(programs)+2)
	}
	if answers[0] != byte(unix.EMFILE) || answers[1] != byte(unix.EINVAL) {
		t.Skipf("needs a kernel with seccomp listeners, Linux 5.0 or later (it answered %v to a good program and %v to a bad one)",
			unix.Errno(answers[0]), unix.Errno(answers[1]))
	}
	admitted := make([]bool, len(programs))
	for i, a := range answers[2:] {
		switch unix.Errno(a) {
		case unix.EMFILE:
			admitted[i] = true
		case unix.EINVAL:
		default:
			t.Fatalf("the kernel answered %v to %v", unix.Errno(a), programs[i])
		}
	}
	return admitted
}

// compareAdmission reports where Check and the kernel differ, and returns how many programs were admitted.
func compareAdmission(t *testing.T, programs []Program) (admitted int) {
	t.Helper()
	bad := 0
	for i, kernel := range admits(t, programs) {
		if kernel {
			admitted++
		}
		if err := programs[i].Check(); (err == nil) != kernel {
			if bad++; bad <= 10 {
				t.Errorf("the kernel admits: %v, Check: %v\n%v", kernel, err, programs[i])
			}
		}
	}
	return admitted
}

func TestCheckAgainstKernel(t *testing.T) {
	ret := Instruction{Code: RET | K, K: uint32(Allow)}
	t.Run("codes", func(t *testing.T) {
		var programs []Program
		add := func(code int, k uint32) {
			ins := Instruction{Code: uint16(code), Jf: 1, K: k}
			programs = append(programs, Program{{Code: ST, K: k & 15}, ins, ret, ret}, Program{ret, ins})
		}
		for code := range 1 << 16 {
			if code >= 1<<9 {
				programs = append(programs, Program{{Code: uint16(code)}, ret})
				continue
			}
			for _, k := range interesting {
				add(code, k)
			}
		}
		if n := compareAdmission(t, programs); n < 500 {
			t.Errorf("only %d of %d programs were admitted", n, len(programs))
		}
	})
	t.Run("mutants", func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		programs := make([]Program, 20000)
		for i := range programs {
			programs[i] = mutate(r, randomProgram(r, allCodes, 24))
		}
		n := compareAdmission(t, programs)
		if n < len(programs)/10 || n > len(programs)*9/10 {
			t.Errorf("%d of %d programs were admitted: too one-sided to tell", n, len(programs))
		}
	})
	t.Run("edges", func(t *testing.T) {
		programs := []Program{{}, slices.Repeat(Program{ret}, MaxInstructions), slices.Repeat(Program{ret}, MaxInstructions+1)}
		for _, e := range edges {
			programs = append(programs, mustAssemble(t, e.text))
		}
		// The shapes that grow most in the conversion to eBPF are admitted at full length too.
		for _, ins := range []Instruction{{Code: ALU | DIV | X}, {Code: JMP | JSET | K, Jt: 1, Jf: 2, K: maxUint32}} {
			p := slices.Repeat(Program{ins}, MaxInstructions-3)
			programs = append(programs, append(p, ret, ret, ret))
		}
		compareAdmission(t, programs)
	})
}

// A runCase is a program and the arguments of the calls that it judges.
type runCase struct {
	Program Program
	Args    [][6]uintptr
}

// What the kernel did with a call, where that is not the errno of the filter.
const (
	outcomeKilled = -1 // the thread
	outcomeCalled = -2 // the call was made
)

// judgedCall is what the filters judge: any arguments are harmless.
const judgedCall = unix.SYS_GETPPID

// runChild installs each program on a thread of its own and makes the calls.
func runChild() error {
	var cases []runCase
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	outcomes := make([][]int, len(cases))
	for i, c := range cases {
		var err error
		if outcomes[i], err = callOnThread(c); err != nil {
			return fmt.Errorf("program %d, %v: %w", i, c.Program, err)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(outcomes)
}

func callOnThread(c runCase) ([]int, error) {
	thread, failed, results := make(chan int, 1), make(chan error, 1), make(chan int, len(c.Args))
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		thread <- unix.Gettid()
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			failed <- err
			return
		}
		if errno := setFilter(c.Program, 0); errno != 0 {
			failed <- fmt.Errorf("seccomp: %w", errno)
			return
		}
		for _, a := range c.Args {
			// Not RawSyscall: a killed thread must not keep the runtime's processor.
			r, _, errno := unix.Syscall6(judgedCall, a[0], a[1], a[2], a[3], a[4], a[5])
			outcome := int(errno)
			switch {
			case errno != 0 || r == 0:
			case -int(r) == maxErrno: // which package syscall takes for a result
				outcome = maxErrno
			default:
				outcome = outcomeCalled
			}
			results <- outcome
		}
	}()
	tid := <-thread
	var outcomes []int
	for len(outcomes) < len(c.Args) {
		select {
		case o := <-results:
			outcomes = append(outcomes, o)
		case err := <-failed:
			return nil, err
		case <-time.After(time.Millisecond):
			if len(results) == 0 && errors.Is(unix.Tgkill(unix.Getpid(), tid, 0), unix.ESRCH) {
				return append(outcomes, outcomeKilled), nil
			}
		}
	}
	return outcomes, nil
}

// computing wraps a body so that each call shows twelve bits of the accumulator after it as an errno: argument 5 is how
// far to shift. The body starts with A and X as the kernel leaves them at the start, in M[0] and M[1].
func computing(t *testing.T, body Program) Program {
	low, _ := ArgOffsets(5, binary.NativeEndian)
	head := mustAssemble(t, fmt.Sprintf("st M[0]\nstx M[1]\nld [nr]\njeq #%d, judge\nret allow\njudge: ld M[0]\nret a", judgedCall))
	tail := mustAssemble(t, fmt.Sprintf("st M[15]\nld [%d]\ntax\nld M[15]\nrsh x\nand #0xfff\nor #0x50000\nret a", low))
	return slices.Concat(head[:len(head)-1], body, tail)
}

// randomBody is arithmetic, moves and jumps inside itself, without RET; it doesn't load what the test can't know.
func randomBody(r *rand.Rand, n int) Program {
	var body Program
	for room := n; room > 0; room-- {
		for {
			ins := randomInstruction(r, allCodes, room+1)
			f := ins.op().form
			unknown := f == formWord && ins.K < OffsetArgs && ins.K != OffsetNr
			if f != formRetK && f != formRetA && !unknown {
				if f == formMem && (ins.op().name == "ld" || ins.op().name == "ldx") {
					ins.K &= 1
				}
				body = append(body, ins)
				break
			}
		}
	}
	return body
}

func TestRunAgainstKernel(t *testing.T) {
	if !admits(t, []Program{{{Code: RET | A}}})[0] {
		t.Fatal("the kernel refuses ret a")
	}
	bodies := []string{
		"ld #7\ndiv x", "ldx #0\ndiv x", "ld #7\nldx #2\ndiv x", "ld #0xffffffff\nldx #0xffffffff\ndiv x", "ld #0x80000000\ndiv #0x80000000",
		"ld #1\nldx #31\nlsh x", "ld #5\nldx #32\nlsh x", "ld #5\nldx #33\nlsh x", "ld #0xf00\nldx #0xffffffff\nlsh x",
		"ld #0xffffffff\nldx #32\nrsh x", "ld #0xffffffff\nldx #0x80000021\nrsh x", "ld #0xffffffff\nldx #0x100\nrsh x",
		"ld #0\nneg", "ld #1\nneg", "ld #0x80000000\nneg", "ld #len", "ldx #len\ntxa", "ld #0xffffffff\nadd #1",
		"ld #0x10000\nmul #0x10001", "ld #3\nsub #5", "ld #0xf0f0f0f0\nxor #0xffffffff", "ld M[0]", "ld M[1]",
		"ld #0x80000000\nsub #0x80000001\njgt #0xfffffffe, 4, 3\nld #9\nst M[2]", "ld #1\njset #0x80000000, 2, 3\nld #77\nst M[2]",
		"ld #0xffffffff\njset #0x80000000, 2, 3\nld #77\nst M[2]", "ld #0x7fffffff\njgt #0x80000000, 2, 3\nld #77\nst M[2]",
	}
	var programs []Program
	for _, b := range bodies {
		body := mustAssemble(t, b+"\nret a\nret a\nret a")
		programs = append(programs, computing(t, body[:len(body)-3]))
	}
	r := rand.New(rand.NewPCG(3, 4))
	killers := 0
	for len(programs) < 600 {
		p := computing(t, randomBody(r, 4+r.IntN(24)))
		if p.Check() != nil {
			continue
		}
		programs = append(programs, p)
	}
	var cases []runCase
	var want [][]int
	for _, p := range programs {
		c := runCase{Program: p}
		var outcomes []int
		for range 3 {
			var a [6]uintptr
			for i := range a {
				a[i] = uintptr(uint64(randomK(r))<<32 | uint64(randomK(r)))
			}
			for _, a[5] = range []uintptr{0, 12, 24} {
				d := Data{Nr: judgedCall}
				for i := range a {
					d.Args[i] = uint64(a[i])
				}
				if n := len(outcomes); n > 0 && outcomes[n-1] == outcomeKilled {
					break
				}
				c.Args = append(c.Args, a)
				switch action := p.Run(&d, binary.NativeEndian); action.Kind() {
				case Errno:
					outcomes = append(outcomes, int(action.Canonical().Data()))
				case KillThread:
					outcomes = append(outcomes, outcomeKilled)
				default:
					t.Fatalf("%v of %v", action, p)
				}
			}
		}
		if outcomes[len(outcomes)-1] == outcomeKilled {
			if killers++; killers > 40 {
				continue // each leaves a thread of the runtime dead
			}
		}
		cases, want = append(cases, c), append(want, outcomes)
	}
	input, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	var got [][]int
	if err := json.Unmarshal(askChild(t, "run", input), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) || killers < 3 {
		t.Fatalf("%d answers to %d programs, of which %d kill", len(got), len(want), killers)
	}
	different := map[int]bool{}
	for i := range want {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("the kernel: %v, Run: %v\n%v\nargs %v", got[i], want[i], cases[i].Program, cases[i].Args)
		}
		for _, o := range got[i] {
			different[o] = true
		}
	}
	if len(different) < 100 {
		t.Errorf("only %d different results: too few to tell", len(different))
	}
	t.Logf("%d programs, %d of them killing, %d different results", len(cases), min(killers, 40), len(different))
}
