package record

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// makesChildren makes one child by each argument: the calling convention, the number, U for CLONE_UNTRACED or E for an
// error. Its status is how many of the untraced it made.
const makesChildren = `
#include <sys/wait.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static struct { unsigned long long flags, pidfd, child, parent, exit_signal, stack, size, tls; } args;
static long narrow(long nr, long a, long b) {
	long r;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(nr), "b"(a), "c"(b), "d"(0L), "S"(0L), "D"(0L) : "memory", "r8", "r9", "r10", "r11");
	return (int)r;
}
static long wide(long nr, long a, long b) {
	long r;
	register long r10 __asm__("r10") = 0, r8 __asm__("r8") = 0;
	__asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(0L), "r"(r10), "r"(r8) : "memory", "rcx", "r11");
	return r;
}
int main(int n, char **v) {
	int made = 0;
	for (int i = 1; i < n; i++) {
		char *end;
		long nr = strtol(v[i] + 1, &end, 0), flags = *end == 'U' ? 0x00800000 : *end == 'E' ? 0x00010000 : 0; // E: CLONE_THREAD alone
		memset(&args, 0, sizeof args);
		args.flags = flags;
		args.exit_signal = *end == 'E' ? 0 : SIGCHLD;
		long (*call)(long, long, long) = v[i][0] == 'w' ? wide : narrow;
		long pid = (nr & 0xffff) == 435 ? call(nr, (long)&args, sizeof args) : call(nr, flags | SIGCHLD, 0);
		if (pid == 0)
			call(v[i][0] == 'w' ? 231 : 252, 0, 0); // exit_group
		if (pid > 0)
			waitpid(pid, 0, 0x40000000); // __WALL
		made += pid > 0 && *end == 'U';
	}
	return made;
}
`

// A child that is kept from us is counted, by whichever call it was made: what it does is not in the recording.
func TestUntracedChildren(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "children")
	source := program + ".c"
	if err := os.WriteFile(source, []byte(makesChildren), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-static", "-no-pie", "-O1", "-o", program, source).CombinedOutput(); err != nil {
		t.Skipf("needs gcc for x86_64, with a static libc: %v %s", err, out)
	}
	for _, tt := range []struct {
		calls   string
		mayLack bool // the kernel may not have them
		lost    uint64
	}{
		{"w56 w435 w57 n120 n435 n2", false, 0},
		{"w56E w435E n120E n435E", false, 0},
		{"w56U", false, 1},
		{"w435U", false, 1},
		{"n120U", true, 1},
		{"n435U", true, 1},
		{"w0x40000038U", true, 1}, // x32
		{"w0x400001b3U", true, 1},
		{"w56 w56U w435 w435U w57 w435E w435U w56U", false, 4},
	} {
		calls := strings.Fields(tt.calls)
		rec, result, err := Ptrace(t.Context(), Run{Path: program, Args: append([]string{program}, calls...)})
		if err != nil {
			t.Fatal(err)
		}
		if result.ExitCode == 0 && tt.mayLack {
			t.Logf("%s: not on this kernel", tt.calls)
			continue
		}
		if rec.Lost != tt.lost || result.ExitCode != int(tt.lost) {
			t.Errorf("%s: %d lost, want %d (it made %d)", tt.calls, rec.Lost, tt.lost, result.ExitCode)
		}
	}
}
