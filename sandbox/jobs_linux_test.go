//go:build linux && (amd64 || arm64)

package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"monban/bpf"
)

// A terminal is a pseudo-terminal with an interactive shell in it.
type terminal struct {
	t      *testing.T
	master *os.File
	shell  *exec.Cmd
	lock   sync.Mutex
	screen bytes.Buffer
	seen   int // what expect has gone past
}

func newTerminal(t *testing.T, env ...string) *terminal {
	t.Helper()
	shell, err := exec.LookPath("dash")
	if err != nil {
		t.Skip("needs dash")
	}
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("needs /dev/ptmx: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	conn, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	conn.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, master: master, shell: exec.Command(shell, "-i")}
	term.shell.Stdin, term.shell.Stdout, term.shell.Stderr = slave, slave, slave
	term.shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	term.shell.Env = append(append(os.Environ(), "PS1=[prompt]", "ENV="), env...)
	if err := term.shell.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	t.Cleanup(func() {
		unix.Kill(-term.shell.Process.Pid, unix.SIGKILL)
		term.shell.Wait()
	})
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			term.lock.Lock()
			term.screen.Write(buf[:n])
			term.lock.Unlock()
			if err != nil {
				return
			}
		}
	}()
	term.expect(`\[prompt\]`)
	return term
}

func (term *terminal) typ(s string) {
	term.t.Helper()
	if _, err := term.master.WriteString(s); err != nil {
		term.t.Fatal(err)
	}
}

// expect waits for a match in what the terminal has shown since the last match, and returns its groups.
func (term *terminal) expect(pattern string) []string {
	term.t.Helper()
	re := regexp.MustCompile(pattern)
	for range 500 {
		term.lock.Lock()
		rest := term.screen.Bytes()[term.seen:]
		if loc := re.FindSubmatchIndex(rest); loc != nil {
			var groups []string
			for i := 0; i < len(loc); i += 2 {
				groups = append(groups, string(rest[loc[i]:loc[i+1]]))
			}
			term.seen += loc[1]
			term.lock.Unlock()
			return groups
		}
		term.lock.Unlock()
		time.Sleep(10 * time.Millisecond)
	}
	term.lock.Lock()
	defer term.lock.Unlock()
	term.t.Fatalf("the terminal doesn't show %q; it shows:\n%q", pattern, term.screen.Bytes()[term.seen:])
	return nil
}

// launch types the launcher's command line. The launcher's report is in the returned file in the end.
func (term *terminal) launch(p plan, after string) (report string) {
	term.t.Helper()
	dir := term.t.TempDir()
	raw, err := json.Marshal(p)
	if err != nil {
		term.t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/plan", raw, 0o600); err != nil {
		term.t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		term.t.Fatal(err)
	}
	report = filepath.Join(dir, "report")
	term.typ(fmt.Sprintf("%s=%s/plan %s 3>%s%s\r", launcherEnv, dir, exe, report, after))
	return report
}

func (term *terminal) result(report string) outcome {
	term.t.Helper()
	var o outcome
	if err := json.Unmarshal([]byte(eventually(term.t, report)), &o); err != nil {
		term.t.Fatal(err)
	}
	return o
}

// state is a process's state letter, and its parent.
func state(pid int) (string, int) {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(stat), ") ")
	f := strings.Fields(rest)
	if len(f) < 2 {
		return "", 0
	}
	parent, _ := strconv.Atoi(f[1])
	return f[0], parent
}

// waitState waits until a process is stopped, or is not and has taken the signal that made it go on: a stop would
// discard that.
func waitState(t *testing.T, pid int, stopped bool) {
	t.Helper()
	var s string
	for range 1000 {
		if s, _ = state(pid); strings.Contains("Tt", s) == stopped && s != "" && (stopped || !continues(pid)) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("process %d is in state %q", pid, s)
}

// continues says that a SIGCONT waits to be taken.
func continues(pid int) bool {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for _, m := range regexp.MustCompile(`(?m)^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$`).FindAllSubmatch(status, -1) {
		if set, err := strconv.ParseUint(string(m[1]), 16, 64); err == nil && set>>(unix.SIGCONT-1)&1 == 1 {
			return true
		}
	}
	return false
}

// waitForeground waits until a process's job is the one that the terminal's keys reach.
func (term *terminal) waitForeground(t *testing.T, pid int) {
	t.Helper()
	job, err := unix.Getpgid(pid)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := term.master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	front := 0
	for range 1000 {
		cerr := conn.Control(func(fd uintptr) { front, err = unix.IoctlGetInt(int(fd), unix.TIOCGPGRP) })
		if cerr == nil && err == nil && front == job {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("job %d is not in the foreground, but %d (%v)", job, front, err)
}

func modes(t *testing.T, f func(t *testing.T, c Command)) {
	for name, c := range map[string]Command{"detached": {}, "watched": {Watch: true}, "allow exec": {AllowExec: true}} {
		t.Run(name, func(t *testing.T) {
			c.Gates = []bpf.Program{gate()}
			f(t, c)
		})
	}
}

// What the terminal sends arrives once, and so does what kill(1) sends to the launcher, in the foreground and without
// a terminal.
func TestSignalsArriveOnce(t *testing.T) {
	path := build(t, "gcc", "signals")
	modes(t, func(t *testing.T, c Command) {
		c.Path = path
		term := newTerminal(t)
		report := term.launch(plan{Command: c}, "")
		pid, _ := strconv.Atoi(term.expect(`ready (\d+)`)[1])
		_, launcher := state(pid)
		pause := func() { time.Sleep(50 * time.Millisecond) } // signals that are still pending would be one
		term.typ("\x03")
		pause()
		term.typ("\x1c")
		pause()
		if err := setSize(term.master, 30, 90); err != nil {
			t.Fatal(err)
		}
		for _, s := range []syscall.Signal{unix.SIGINT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGUSR1, unix.SIGWINCH, unix.SIGHUP, unix.SIGTERM} {
			pause()
			if err := unix.Kill(launcher, s); err != nil {
				t.Fatal(err)
			}
		}
		got := term.expect(`(?s)((?:[A-Z0-9]+ \d+\r\n)+)done`)[1]
		want := "HUP 1\r\nINT 2\r\nQUIT 1\r\nUSR1 2\r\nUSR2 1\r\nWINCH 2\r\nTERM 1\r\n"
		if got != want {
			t.Errorf("the program got\n%s\nwant\n%s", got, want)
		}
		term.expect(`\[prompt\]`)
		if o := term.result(report); o.Err != "" || o.Result.ExitCode != 0 || o.Result.Signal != 0 {
			t.Error(o)
		}
	})
}

func setSize(f *os.File, rows, cols uint16) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	cerr := conn.Control(func(fd uintptr) {
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
	})
	if cerr != nil {
		return cerr
	}
	return err
}

// ^Z stops the job as the shell sees it; fg and bg continue it.
func TestStopAndContinue(t *testing.T) {
	path := build(t, "gcc", "signals")
	modes(t, func(t *testing.T, c Command) {
		c.Path = path
		term := newTerminal(t)
		report := term.launch(plan{Command: c}, "")
		pid, _ := strconv.Atoi(term.expect(`ready (\d+)`)[1])
		_, launcher := state(pid)
		for range 3 {
			term.waitForeground(t, launcher)
			term.typ("\x1a")
			term.expect(`Stopped`)
			term.expect(`\[prompt\]`)
			waitState(t, pid, true)
			waitState(t, launcher, true)
			term.typ("bg\r")
			term.expect(`\[prompt\]`)
			waitState(t, pid, false)
			waitState(t, launcher, false)
			term.typ("fg\r")
			term.waitForeground(t, launcher)
			term.typ("\x1a")
			term.expect(`Stopped`)
			term.expect(`\[prompt\]`)
			waitState(t, pid, true)
			term.typ("fg\r")
			waitState(t, pid, false)
			waitState(t, launcher, false)
		}
		time.Sleep(100 * time.Millisecond)
		term.typ("\x03")
		time.Sleep(50 * time.Millisecond)
		unix.Kill(launcher, unix.SIGTERM)
		got := term.expect(`(?s)((?:[A-Z0-9]+ \d+\r\n)+)done`)[1]
		if !strings.Contains(got, "INT 1\r\n") || !strings.Contains(got, "TERM 1\r\n") {
			t.Errorf("the program got\n%s", got)
		}
		// dash sends one SIGCONT for each bg and fg, of which two in three find the job stopped. Close ones may merge.
		n := -1
		if m := regexp.MustCompile(`CONT (\d+)`).FindStringSubmatch(got); m != nil {
			n, _ = strconv.Atoi(m[1])
		}
		if n < 6 || n > 9 {
			t.Errorf("the program got\n%s\nand was sent SIGCONT 9 times", got)
		}
		if o := term.result(report); o.Err != "" || o.Result.ExitCode != 0 {
			t.Error(o)
		}
	})
}

// A program that ends by ^C is reported as ended by SIGINT, and the launcher lives to do so.
func TestInterrupt(t *testing.T) {
	modes(t, func(t *testing.T, c Command) {
		c.Path, c.Args = "sh", []string{"sh", "-c", "echo rea''dy; exec sleep 100"}
		term := newTerminal(t)
		report := term.launch(plan{Command: c}, "")
		term.expect(`ready`)
		time.Sleep(50 * time.Millisecond)
		term.typ("\x03")
		term.expect(`\[prompt\]`)
		if o := term.result(report); o.Err != "" || o.Result.Signal != unix.SIGINT {
			t.Error(o)
		}
	})
}

// An interactive shell behind the gate has job control of its own.
func TestShellInside(t *testing.T) {
	modes(t, func(t *testing.T, c Command) {
		c.Path, c.Args = "dash", []string{"dash", "-i"}
		c.Env = append(os.Environ(), "PS1=<inner>", "ENV=")
		term := newTerminal(t)
		report := term.launch(plan{Command: c}, "")
		term.expect(`<inner>`)
		term.typ("sh -c \"echo rea''dy; exec sleep 100\"\r")
		term.expect(`ready`)
		term.typ("\x1a")
		term.expect(`Stopped`)
		term.expect(`<inner>`)
		term.typ("fg\r")
		time.Sleep(200 * time.Millisecond)
		term.typ("\x03")
		term.expect(`<inner>`)
		term.typ("exit 5\r")
		term.expect(`\[prompt\]`)
		if o := term.result(report); o.Err != "" || o.Result.ExitCode != 5 {
			t.Error(o)
		}
		// The terminal is the outer shell's again.
		term.typ("echo ba''ck\r")
		term.expect(`back`)
	})
}

// A job in the background that reads the terminal stops, and the shell is told.
func TestBackgroundRead(t *testing.T) {
	modes(t, func(t *testing.T, c Command) {
		c.Path, c.Args = "sh", []string{"sh", "-c", "read line; echo got $line"}
		term := newTerminal(t)
		report := term.launch(plan{Command: c}, " &")
		term.expect(`\[prompt\]`)
		for range 50 { // dash reports with the next prompt
			time.Sleep(20 * time.Millisecond)
			term.typ("jobs\r")
			if strings.Contains(term.expect(`(?s)jobs\r\n(.*?)\[prompt\]`)[1], "Stopped") {
				break
			}
		}
		term.typ("fg\r")
		time.Sleep(100 * time.Millisecond)
		term.typ("something\r")
		term.expect(`got something`)
		if o := term.result(report); o.Err != "" || o.Result.ExitCode != 0 {
			t.Error(o)
		}
	})
}

// Without a terminal the launcher stays awake when the program is stopped, and SIGCONT to either continues it.
func TestStopWithoutTerminal(t *testing.T) {
	modes(t, func(t *testing.T, c Command) {
		c.Path, c.Args = "sleep", []string{"sleep", "100"}
		p := plan{Command: c}
		cmd, r := p.command(t)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pid := childOf(t, cmd.Process.Pid, "sleep")
		time.Sleep(50 * time.Millisecond) // the start itself stops and continues the program
		for _, to := range []int{pid, cmd.Process.Pid} {
			unix.Kill(pid, unix.SIGSTOP)
			waitState(t, pid, true)
			unix.Kill(to, unix.SIGCONT)
			waitState(t, pid, false)
			waitState(t, cmd.Process.Pid, false)
		}
		unix.Kill(cmd.Process.Pid, unix.SIGTERM)
		cmd.Wait()
		var o outcome
		if err := json.NewDecoder(r).Decode(&o); err != nil || o.Result.Signal != unix.SIGTERM {
			t.Error(o, err)
		}
	})
}

// childOf waits for a child of a process with the given name.
func childOf(t *testing.T, parent int, comm string) int {
	t.Helper()
	for range 300 {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
		for _, f := range tasks {
			list, _ := os.ReadFile(f)
			for _, s := range strings.Fields(string(list)) {
				name, _ := os.ReadFile("/proc/" + s + "/comm")
				if strings.TrimSpace(string(name)) == comm {
					pid, _ := strconv.Atoi(s)
					return pid
				}
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("process %d has no child %s", parent, comm)
	return 0
}
