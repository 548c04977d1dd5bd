package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runc/libcontainer/seccomp"
	"github.com/opencontainers/runc/libcontainer/specconv"

	"monban/bpf"
	"monban/compile"
	"monban/internal/ptrace"
	"monban/internal/sys"
	"monban/policy/lang"
	gate "monban/seccomp"
	"monban/verdict"
)

// catcher is the gate of the thread that runs runc's code: loading a filter asks us instead of the kernel.
const catcher = "arch native\ndefault allow\nunknown allow\nnotify prctl(option == 22 && arg1 == 2) # PR_SET_SECCOMP, filter mode\n"

// runcCompiler is the code with which runc puts a container behind a filter, up to the moment of loading: libseccomp
// with a binary tree, and runc's patch that answers ENOSYS to numbers that are too new. The thread believes that it
// loaded its filter.
func runcCompiler() compiler {
	return compiler{"runc (libseccomp)", true, func(r *Rules) (built, error) {
		config, err := specconv.SetupSeccomp(r.profile())
		if err != nil {
			return built{}, err
		}
		b, err := catch(config)
		b.unknown = scmpGaps(r)
		return b, err
	}}
}

// runcEnabled says whether runc's code was built with seccomp, which is its build tag.
func runcEnabled() error {
	if !seccomp.Enabled {
		return errors.New("this was built without runc's seccomp code: add -tags seccomp")
	}
	return nil
}

// catch runs runc's InitSeccomp on a thread of its own and takes the program out of the call that would load it.
func catch(config *configs.Seccomp) (b built, err error) {
	if err := runcEnabled(); err != nil {
		return b, err
	}
	p, err := lang.Load("catcher", []byte(catcher), lang.Options{})
	if err != nil {
		return b, err
	}
	v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		return b, err
	}
	program, err := compile.Program(v, binary.LittleEndian, compile.Options{})
	if err != nil {
		return b, err
	}
	var caught error
	ptrace.OwnThread(func() {
		if err = gate.NoNewPrivs(); err != nil {
			return
		}
		l, e := gate.InstallListener(program, gate.SpecAllow)
		if err = e; err != nil {
			return
		}
		answered := make(chan struct{})
		var loaded time.Time
		go func() {
			defer close(answered)
			defer l.Close() // lets a call that got no answer fail
			b.program, loaded, caught = answer(l)
		}()
		start := time.Now()
		_, err = seccomp.InitSeccomp(config)
		<-answered
		b.took = loaded.Sub(start)
	})
	return b, errors.Join(err, caught)
}

// answer waits for the call that loads a filter, copies the program and tells the caller that it is loaded.
func answer(l *gate.Listener) (p bpf.Program, at time.Time, err error) {
	// Without a call within this time the thread has failed before it, and its error is the one to tell.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	n, err := l.Receive(ctx)
	if err != nil {
		return nil, at, fmt.Errorf("runc loaded no filter: %w", err)
	}
	at = time.Now()
	p, err = readProgram(n.Call.Args[2])
	return p, at, errors.Join(err, n.Return(0))
}

// readProgram copies a program that lies at a struct sock_fprog of ours. The kernel reads it, as the address came from
// there.
func readProgram(at uint64) (bpf.Program, error) {
	head := make([]byte, 16)
	if err := sys.ReadMemory(os.Getpid(), at, head); err != nil {
		return nil, err
	}
	code := make([]byte, bpf.InstructionSize*int(binary.LittleEndian.Uint16(head)))
	if err := sys.ReadMemory(os.Getpid(), binary.LittleEndian.Uint64(head[8:]), code); err != nil {
		return nil, err
	}
	return bpf.Read(bytes.NewReader(code), binary.LittleEndian)
}
