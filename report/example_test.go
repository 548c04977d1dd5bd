package report_test

import (
	"log"
	"os"

	"monban/abi"
	"monban/gate"
	"monban/inspect"
	"monban/policy/lang"
	"monban/report"
)

// A policy's text is explained as the command does it.
func ExampleExplanationText() {
	text := []byte(`arch x86_64
default kill_process
allow   read write close exit exit_group rt_sigreturn
allow   socket(family == AF_UNIX)
errno(EACCES) socket
`)
	p, err := lang.Load("web.gate", text, lang.Options{Native: abi.X86_64})
	if err != nil {
		log.Fatal(err)
	}
	e, err := inspect.Explain(gate.OfPolicy("web.gate", p))
	if err != nil {
		log.Fatal(err)
	}
	if err := report.ExplanationText(os.Stdout, e, report.Options{Width: 80}); err != nil {
		log.Fatal(err)
	}
	// Output:
	// web.gate: policy
	//   x86_64  6 of 385 calls pass, 1 for some arguments
	//   numbers that no call has: errno(ENOSYS) (the call fails)
	//   other architectures: kill_process (the process dies by SIGSYS)
	//
	// 1 call for which the arguments decide
	//   socket           allow if family == AF_UNIX
	//                    errno(EACCES) otherwise
	//
	// allow: 6 calls
	//   reading and writing         3  read write close
	//   processes and threads       2  exit exit_group
	//   signals                     1  rt_sigreturn
	//
	// kill_process: 378 calls
	//   reading and writing 30, file system 71, sockets 17, waiting 25, memory 25,
	//   processes and threads 34, signals 16, time 20, scheduling and limits 28,
	//   identity 19, shared memory and queues 18, system 3, sandboxing 7, io_uring 3,
	//   keys 3, debugging 5, mounts and namespaces 17, kernel 28, other 9
	//
	// compared with @container on x86_64
	//   passes here only     1  socket*
	//   passes there only  303  open stat fstat lstat poll lseek mmap mprotect +295
	//   * for some arguments
}

// What two gates disagree on, for a person.
func ExampleDifferenceText() {
	read := func(name, text string) *gate.Gate {
		p, err := lang.Load(name, []byte(text), lang.Options{})
		if err != nil {
			log.Fatal(err)
		}
		return gate.OfPolicy(name, p)
	}
	d, err := inspect.Diff(read("old.gate", "arch x86_64\nallow read write\n"), read("new.gate", "arch x86_64\nallow read socket(family == AF_UNIX)\n"))
	if err != nil {
		log.Fatal(err)
	}
	if err := report.DifferenceText(os.Stdout, d, report.Options{}); err != nil {
		log.Fatal(err)
	}
	// Output:
	// different: from old.gate to new.gate
	//
	// newly allowed on x86_64: kill_process -> allow, 1 call
	//   socket if family == AF_UNIX
	//   witness: socket(family=AF_UNIX, type=0, protocol=0)
	//
	// newly denied on x86_64: allow -> kill_process, 1 call
	//   write
	//   witness: write(fd=0, buf=0, count=0)
}
