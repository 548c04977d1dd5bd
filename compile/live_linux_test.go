package compile

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
	"monban/seccomp"
	"monban/verdict"
)

// The live kernel is the third judge: a child puts itself behind a compiled gate, makes calls, and reports each errno.

const liveEnv = "MONBAN_LIVE_SEED"

func TestMain(m *testing.M) {
	if seed := os.Getenv(liveEnv); seed != "" {
		n, err := strconv.ParseUint(seed, 10, 64)
		if err == nil {
			err = liveChild(n)
		}
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// liveGate gives calls that do nothing by themselves (their arguments are bad) errno values that tell which rule decided.
func liveGate(r *rand.Rand) string {
	var b strings.Builder
	b.WriteString("default allow\nunknown allow\n")
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	condition := func() string {
		return pick("arg0", "u64(arg0)", "arg1", "u64(arg1)", "arg2 & 0xff", "u64(arg2) & 0xff000000ff", "arg0 ^ 1") + " " +
			pick("==", "!=", "<", "<=", ">", ">=") + " " + pick("0", "1", "5", "0x7fffffff")
	}
	for i := range 3 + r.IntN(10) {
		fmt.Fprintf(&b, "errno(%d) %s(%s %s %s)\n", 1000+i, pick("lookup_dcookie", "get_mempolicy", "setns", "getgroups"), condition(), pick("&&", "||"), condition())
	}
	b.WriteString("errno(999) lookup_dcookie setns get_mempolicy getgroups\n")
	return b.String()
}

func liveCall(r *rand.Rand) bpf.Data {
	edges := []uint64{0, 1, 2, 4, 5, 6, 0x7fffffff, 0x80000000, 0xffffffff, 1 << 32, 1<<32 + 5, 0xff000000ff, 1 << 63, ^uint64(0)}
	calls := []string{"lookup_dcookie", "get_mempolicy", "setns", "getgroups"}
	nr, _ := abi.Native().Number(calls[r.IntN(len(calls))])
	d := bpf.Data{Arch: abi.Native().Token(), Nr: nr}
	for i := range d.Args {
		d.Args[i] = edges[r.IntN(len(edges))]
	}
	return d
}

func liveVerdict(r *rand.Rand) (verdict.Verdict, error) {
	p, err := policy.Load("live", []byte(liveGate(r)), policy.Options{})
	if err != nil {
		return verdict.Verdict{}, err
	}
	return p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
}

const liveCalls = 300

func liveChild(seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 23))
	v, err := liveVerdict(r)
	if err != nil {
		return err
	}
	p, err := Program(v, abi.Native().ByteOrder())
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := seccomp.NoNewPrivs(); err != nil {
		return err
	}
	if err := seccomp.Install(p, 0); err != nil {
		return err
	}
	for range liveCalls {
		d := liveCall(r)
		_, _, errno := syscall.RawSyscall6(uintptr(d.Nr), uintptr(d.Args[0]), uintptr(d.Args[1]), uintptr(d.Args[2]),
			uintptr(d.Args[3]), uintptr(d.Args[4]), uintptr(d.Args[5]))
		fmt.Println(int(errno))
	}
	return nil
}

func TestLiveKernel(t *testing.T) {
	if abi.Native().Bits() != 64 {
		t.Skip("needs a 64-bit machine")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for seed := range uint64(25) {
		r := rand.New(rand.NewPCG(seed, 23))
		v, err := liveVerdict(r)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), liveEnv+"="+strconv.FormatUint(seed, 10))
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("seed %d: %v: %s", seed, err, out)
		}
		lines := bufio.NewScanner(strings.NewReader(string(out)))
		for lines.Scan() {
			d := liveCall(r)
			got, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Fatalf("seed %d: %s", seed, lines.Text())
			}
			want := v.At(&d)
			if want.Kind() == bpf.Errno && got != int(want.Data()) || want == bpf.Allow && got >= 999 {
				t.Fatalf("seed %d: the kernel answers %d, the policy %v for %+v", seed, got, want, d)
			}
			compared++
		}
	}
	if compared != 25*liveCalls {
		t.Errorf("%d calls compared, want %d", compared, 25*liveCalls)
	}
}
