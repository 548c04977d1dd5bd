//go:build linux

// Command first-go is the classic first example of seccomp, in Go: everything is forbidden but writing and ending. The
// write works; the fork after it kills the process with SIGSYS.
package main

import (
	"fmt"
	"log"
	"os"
	"syscall"

	"monban"
)

func main() {
	policy, err := monban.Parse(`
		default  kill_process
		include  @go-runtime            # threads, memory, timers: what any Go program needs
		allow    write exit exit_group
	`, monban.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := monban.Enforce(policy); err != nil {
		log.Fatal(err)
	}
	fmt.Println("write: allowed")

	// A new process is clone with SIGCHLD; the clone that makes a thread is one of the things that the runtime needs.
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno == 0 && pid == 0 {
		syscall.RawSyscall(syscall.SYS_EXIT, 0, 0, 0) // the child; never reached
	}
	fmt.Println("fork: not stopped")
	os.Exit(1)
}
