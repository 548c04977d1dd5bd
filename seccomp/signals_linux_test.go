package seccomp

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// alarmed sleeps for two seconds behind a gate that kills restart_syscall, and handles a signal every few milliseconds
// meanwhile.
const alarmed = `
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
static void handler(int s) {}
static long now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000 + t.tv_nsec / 1000000; }
int main(int n, char **v) {
	struct sock_filter code[] = {
		{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, sizeof(long) == 8 ? 219 : 0},
		{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS}, {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
	struct sock_fprog prog = {4, code};
	struct sigaction a = {0};
	struct itimerval every = {{0, 3000}, {0, 3000}};
	a.sa_handler = handler;
	sigaction(SIGALRM, &a, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) || setitimer(ITIMER_REAL, &every, 0))
		return 1;
	puts("ready");
	fflush(stdout);
	for (long end = now() + 2000; now() < end;) {
		struct timespec left = {2, 0};
		int r = strcmp(v[1], "poll") ? nanosleep(&left, 0) : poll(0, 0, 2000);
		if (r < 0 && errno != EINTR)
			return 2;
	}
	return 0;
}
`

// TestStopAmongSignals: a signal with a handler comes at each place on the way into and out of a stop; the sleep ends
// by EINTR then, and restart_syscall is never made.
func TestStopAmongSignals(t *testing.T) {
	if os.Geteuid() != 0 || runtime.GOARCH != "amd64" {
		t.Skip("needs root on amd64")
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "alarmed.c")
	if err := os.WriteFile(source, []byte(alarmed), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, width := range []string{"-m64", "-m32"} {
		for _, call := range []string{"nanosleep", "poll"} {
			t.Run(call+width, func(t *testing.T) {
				t.Parallel()
				program := filepath.Join(dir, "alarmed"+width+call)
				if out, err := exec.Command("gcc", width, "-o", program, source).CombinedOutput(); err != nil {
					t.Skipf("needs gcc %s: %v %s", width, err, out)
				}
				cmd := exec.Command(program, call)
				out, err := cmd.StdoutPipe()
				if err == nil {
					err = cmd.Start()
				}
				if err != nil {
					t.Fatal(err)
				}
				defer cmd.Process.Kill()
				if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
					t.Fatalf("%q, %v", line, err)
				}
				looked := 0
				for begin := time.Now(); time.Since(begin) < 1500*time.Millisecond; looked++ {
					if p, err := dumpStopped(cmd.Process.Pid); err != nil || len(p) != 1 {
						t.Fatalf("look %d: %d filters, %v", looked, len(p), err)
					}
				}
				if err := cmd.Wait(); err != nil {
					t.Errorf("after %d looks: %v", looked, err)
				}
			})
		}
	}
}
