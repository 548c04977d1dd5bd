package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/ptrace"
	"monban/seccomp"
)

// childArg starts this program again as the process that puts itself behind a filter.
const childArg = "live-child"

// An order is what a child does.
type order struct {
	Program  []byte // nil: no filter
	Installs int
	Batches  int // of Repeat calls each, of which the fastest counts
	Repeat   int
	CPU      int // the processor to stay on
}

// A report is what a child saw.
type report struct {
	Install []float64 // µs, one an installation
	Calls   []float64 // ns a call, in the order of calls
	Errno   []int
}

// runChild has a fresh process carry an order out. Nothing but the filter that it installs lies between two children.
func runChild(o order) (r report, err error) {
	in, err := json.Marshal(o)
	if err != nil {
		return r, err
	}
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	var out, stderr bytes.Buffer
	cmd := exec.Command(self, childArg)
	// No garbage collection and no signals between goroutines while the child measures.
	cmd.Env = append(os.Environ(), "GOGC=off", "GODEBUG=asyncpreemptoff=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &stderr
	timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Run(); err != nil {
		return r, fmt.Errorf("behind the filter: %w: %s", err, firstLine(stderr.Bytes()))
	}
	return r, json.Unmarshal(out.Bytes(), &r)
}

func firstLine(b []byte) []byte {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return line
}

// child is the other side of runChild.
func child() error {
	var o order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		return err
	}
	var r report
	var err error
	if o.Program == nil {
		ptrace.OwnThread(func() {
			if err = pin(o.CPU); err == nil {
				r.measure(o)
			}
		})
	} else {
		err = behind(o, &r)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// behind installs the filter on one new thread after another, and measures calls on the last.
func behind(o order, r *report) error {
	p, err := bpf.Decode(o.Program, binary.LittleEndian)
	if err != nil {
		return err
	}
	for i := range o.Installs {
		ptrace.OwnThread(func() {
			if err = errors.Join(pin(o.CPU), seccomp.NoNewPrivs()); err != nil {
				return
			}
			start := time.Now()
			// As runc does, without the mitigation against speculative stores, which would make every load dearer.
			if err = seccomp.Install(p, seccomp.SpecAllow); err != nil {
				return
			}
			r.Install = append(r.Install, float64(time.Since(start))/float64(time.Microsecond))
			if i == o.Installs-1 {
				r.measure(o)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func pin(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	return unix.SchedSetaffinity(0, &set)
}

func (r *report) measure(o order) {
	runtime.LockOSThread()
	for _, c := range calls {
		best, errno := math.Inf(1), unix.Errno(0)
		for range o.Batches {
			start := time.Now()
			for range o.Repeat {
				_, _, errno = unix.RawSyscall6(uintptr(c.Nr), uintptr(c.Args[0]), uintptr(c.Args[1]),
					uintptr(c.Args[2]), uintptr(c.Args[3]), 0, 0)
			}
			best = min(best, float64(time.Since(start))/float64(o.Repeat))
		}
		r.Calls = append(r.Calls, best)
		r.Errno = append(r.Errno, int(errno))
	}
}
