//go:build linux && (amd64 || arm64)

package ptrace

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/sys"
)

func TestOwnThread(t *testing.T) {
	for range 20 {
		tid := 0
		OwnThread(func() {
			tid = unix.Gettid()
			if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
				t.Error(err)
			}
		})
		if tid == unix.Getpid() {
			t.Fatal("on the first thread")
		}
		gone := false
		for range 200 {
			if gone = errors.Is(unix.Tgkill(unix.Getpid(), tid, 0), unix.ESRCH); gone {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		if !gone {
			t.Fatalf("thread %d lives on", tid)
		}
	}
}

// A thread that ends in the middle of f, as one that a filter kills, is noticed.
func TestThreadGone(t *testing.T) {
	for range 3 {
		began := time.Now()
		err := OwnThread(func() { unix.Syscall(unix.SYS_EXIT, 0, 0, 0) })
		if !errors.Is(err, ErrThreadKilled) {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	}
}

// A word of memory that a filter pretends to have read is none.
func TestFakedPeek(t *testing.T) {
	victim(t, "/proc/self/exe", func(p *Process) {
		regs, err := GetRegs(p.PID)
		if err != nil {
			t.Error(err)
			return
		}
		want, got := make([]byte, 37), make([]byte, 37)
		if err := errors.Join(Read(p.PID, regs.SP()+3, want), peek(p.PID, uintptr(regs.SP()+3), got)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v: %x, want %x", err, got, want)
		}
		fake, err := sys.Filter(bpf.Program{
			{Code: bpf.LD | bpf.W | bpf.ABS, K: bpf.OffsetNr},
			{Code: bpf.JMP | bpf.JEQ | bpf.K, Jt: 4, K: unix.SYS_PROCESS_VM_READV},
			{Code: bpf.JMP | bpf.JEQ | bpf.K, Jf: 2, K: unix.SYS_PTRACE},
			{Code: bpf.LD | bpf.W | bpf.ABS, K: 16},
			{Code: bpf.JMP | bpf.JEQ | bpf.K, Jt: 1, K: unix.PTRACE_PEEKDATA},
			{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)},
			{Code: bpf.RET | bpf.K, K: uint32(bpf.Errno)},
		})
		if err == nil {
			err = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		}
		if err == nil {
			_, err = Install(0, fake)
		}
		if err != nil {
			t.Error(err)
			return
		}
		if err := Read(p.PID, regs.SP(), got); !errors.Is(err, ErrAnswered) {
			t.Errorf("%v: %x", err, got)
		}
	})
}

// victim runs f with a child that stands before its first instruction.
func victim(t *testing.T, path string, f func(p *Process)) {
	t.Helper()
	OwnThread(func() {
		p, err := Start(path, []string{path}, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
		if err != nil {
			t.Error(err)
			return
		}
		defer p.Kill()
		f(p)
	})
}

func TestInjection(t *testing.T) {
	programs := map[string]string{"ourselves": "/proc/self/exe"}
	if runtime.GOARCH == "amd64" {
		programs["i386"] = tiny32(t)
	}
	for name, path := range programs {
		t.Run(name, func(t *testing.T) {
			victim(t, path, func(p *Process) {
				before, err := GetRegs(p.PID)
				if err != nil {
					t.Error(err)
					return
				}
				in, err := NewInjection(p.Image)
				if err != nil {
					t.Error(err)
					return
				}
				if p.Image.Wide == (name == "i386") {
					t.Errorf("wide %v", p.Image.Wide)
				}
				if pid, err := in.Call(Getpid); err != nil || int(pid) != p.PID {
					t.Errorf("getpid: %d, %v, want %d", pid, err, p.PID)
				}
				if _, err := in.Call(Prctl, ^uint64(0)); !errors.Is(err, unix.EINVAL) {
					t.Errorf("bad prctl: %v", err)
				}
				// SIGSTOP can't be blocked: it is held back, and still there in the end.
				if err := unix.Kill(p.PID, unix.SIGSTOP); err != nil {
					t.Error(err)
				}
				if pid, err := in.Call(Getpid); err != nil || int(pid) != p.PID {
					t.Errorf("getpid with SIGSTOP: %d, %v", pid, err)
				}
				if err := in.Do(Prctl, unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
					t.Errorf("no_new_privs: %v", err)
				}
				deny := bpf.Program{
					{Code: bpf.LD | bpf.W | bpf.ABS, K: bpf.OffsetNr},
					{Code: bpf.JMP | bpf.JEQ | bpf.K, Jf: 1, K: uint32(Getpid.Native)},
					{Code: bpf.RET | bpf.K, K: uint32(bpf.Errno) | 99},
					{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)},
				}
				if name == "i386" {
					deny[1].K = uint32(Getpid.I386)
				}
				if err := in.InstallFilter(deny, 0); err != nil {
					t.Errorf("install: %v", err)
				}
				if _, err := in.Call(Getpid); !errors.Is(err, syscall.Errno(99)) {
					t.Errorf("getpid, denied: %v", err)
				}
				in.SetMask(p.Mask)
				if err := in.End(); err != nil {
					t.Error(err)
				}
				after, err := GetRegs(p.PID)
				if err != nil || after != before {
					t.Errorf("registers\n%+v\nwere\n%+v (%v)", after, before, err)
				}
				if mask, err := GetSigMask(p.PID); err != nil || mask != p.Mask {
					t.Errorf("mask %#x, %v, want %#x", mask, err, p.Mask)
				}
				if err := p.Detach(); err != nil {
					t.Error(err)
				}
				if ev, err := Wait(p.PID, unix.WUNTRACED); err != nil || !ev.Status.Stopped() || ev.Status.StopSignal() != unix.SIGSTOP {
					t.Errorf("%v, %v, want the SIGSTOP", ev, err)
				}
			})
		})
	}
}

// Without a vDSO a system call instruction of the program's own text does.
func TestSiteInText(t *testing.T) {
	victim(t, "/proc/self/exe", func(p *Process) {
		inVDSO := p.Image.site
		delete(p.Image.Auxv, sys.AtSysinfoEhdr)
		site, err := p.Image.findSite()
		if err != nil || site == inVDSO {
			t.Errorf("%#x, %v; in the vDSO %#x", site, err, inVDSO)
			return
		}
		p.Image.site = site
		in, err := NewInjection(p.Image)
		if err != nil {
			t.Error(err)
			return
		}
		if pid, err := in.Call(Getpid); err != nil || int(pid) != p.PID {
			t.Errorf("getpid: %d, %v, want %d", pid, err, p.PID)
		}
	})
}

// tiny32 builds an i386 program.
func tiny32(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("needs gcc")
	}
	src := filepath.Join(t.TempDir(), "tiny.c")
	if err := os.WriteFile(src, []byte("void _start(void) { for (;;); }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := strings.TrimSuffix(src, ".c")
	if text, err := exec.Command("gcc", "-m32", "-static", "-nostdlib", "-o", out, src).CombinedOutput(); err != nil {
		t.Skipf("needs gcc -m32: %s", text)
	}
	return out
}

func TestMemory(t *testing.T) {
	victim(t, "/proc/self/exe", func(p *Process) {
		regs, err := GetRegs(p.PID)
		if err != nil {
			t.Error(err)
			return
		}
		want := bytes.Repeat([]byte("0123456789a"), 1000)
		at := regs.SP() - 40_000 + 3 // over pages, at an odd address
		got := make([]byte, len(want))
		if err := Write(p.PID, at, want); err != nil {
			t.Error(err)
		}
		if err := Read(p.PID, at, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("read back: %v", err)
		}
		// Text is read-only for the program, not for its tracer.
		if err := Write(p.PID, regs.PC(), []byte{1, 2, 3}); err != nil {
			t.Errorf("text: %v", err)
		}
		if err := Read(p.PID, 8, got[:8]); !errors.Is(err, unix.EIO) && !errors.Is(err, unix.EFAULT) {
			t.Errorf("address 8: %v", err)
		}
	})
}

// Wait sees the children of its own thread only.
func TestWaitOwnChildren(t *testing.T) {
	cmd := exec.Command("sh", "-c", "exit 3")
	if err := cmd.Start(); err != nil {
		t.Skipf("needs sh: %v", err)
	}
	time.Sleep(50 * time.Millisecond) // it is a zombie now
	OwnThread(func() {
		if ev, err := Wait(-1, unix.WNOHANG); !errors.Is(err, unix.ECHILD) {
			t.Errorf("%v, %v", ev, err)
		}
	})
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 3 {
		t.Error(err)
	}
}

func TestStartErrors(t *testing.T) {
	OwnThread(func() {
		for path, want := range map[string]error{"/no/such/file": unix.ENOENT, "/": unix.EACCES} {
			_, err := Start(path, []string{path}, &syscall.ProcAttr{})
			if refused := (*RefusedError)(nil); !errors.Is(err, want) || errors.As(err, &refused) {
				t.Errorf("%s: %v", path, err)
			}
		}
	})
}
