// Package seccomp is the door to the kernel: it installs filters, enters strict mode, answers the calls that filters
// hand over ([Listener]), reads the filters of a live process and probes what the kernel offers ([Have], [Features]).
// It takes [bpf.Program] as it comes and knows nothing of policies.
//
// A filter can't be taken off again, and it binds the calling thread unless [TSYNC] spreads it to all of them:
//
//	runtime.LockOSThread() // NoNewPrivs and Install must meet on one thread
//	defer runtime.UnlockOSThread()
//	if err := seccomp.NoNewPrivs(); err != nil {
//		log.Fatal(err)
//	}
//	if err := seccomp.Install(program, seccomp.TSYNC); err != nil {
//		log.Fatal(err)
//	}
//
// Where there is no Linux everything returns [ErrUnsupported].
package seccomp
