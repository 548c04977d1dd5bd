package seccomp_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"runtime"

	"golang.org/x/sys/unix"

	"monban/compile"
	"monban/policy/lang"
	"monban/seccomp"
	"monban/verdict"
)

// A thread asks for its priority, and this process says what it is. (As a rule the thread is another process's: see the
// warning at Listener.)
func ExampleListener() {
	p, err := lang.Load("ask.gate", []byte("default allow\nnotify getpriority\n"), lang.Options{})
	if err != nil {
		log.Fatal(err)
	}
	v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		log.Fatal(err)
	}
	filter, err := compile.Program(v, binary.NativeEndian, compile.Options{})
	if err != nil {
		log.Fatal(err)
	}

	listeners := make(chan *seccomp.Listener)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the filter ends with the thread
		if err := seccomp.NoNewPrivs(); err != nil {
			log.Fatal(err)
		}
		l, err := seccomp.InstallListener(filter, 0)
		if err != nil {
			log.Fatal(err)
		}
		listeners <- l
		priority, _, _ := unix.Syscall(unix.SYS_GETPRIORITY, unix.PRIO_PROCESS, 0, 0)
		fmt.Println("the kernel says", priority)
	}()

	l := <-listeners
	defer l.Close()
	n, err := l.Receive(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("asked for process", n.Call.Args[1])
	if err := n.Return(42); err != nil {
		log.Fatal(err)
	}
	<-done
	// Output:
	// asked for process 0
	// the kernel says 42
}

// A program that wants notifications to be answered by more than yes and no asks before it begins.
func ExampleHave() {
	if err := seccomp.Have(seccomp.FeatureAddFD); err != nil {
		log.Fatal(err) // there is no add descriptors here: … (it takes Linux 5.9)
	}
	fmt.Println("ready")
	// Output: ready
}
