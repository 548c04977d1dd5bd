package record

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
)

// offsets are places in struct task_struct, and live's in the signal_struct that signal points to, as the kernel's own
// type information gives them.
type offsets struct{ tgid, status, leader, start, comm, signal, live int16 }

func kernelOffsets(types *btf.Cache) (o offsets, err error) {
	kernel, err := types.Kernel()
	if err != nil {
		return o, fmt.Errorf("reading the kernel's type information: %w", err)
	}
	var task, info, signal *btf.Struct
	err = errors.Join(kernel.TypeByName("task_struct", &task), kernel.TypeByName("thread_info", &info), kernel.TypeByName("signal_struct", &signal))
	if err != nil {
		return o, fmt.Errorf("the kernel's type information: %w", err)
	}
	var thread int16
	var errs []error
	for _, m := range []struct {
		to   *int16
		in   *btf.Struct
		name string
	}{
		{&thread, task, "thread_info"}, {&o.status, info, "status"}, {&o.tgid, task, "tgid"}, {&o.leader, task, "group_leader"},
		{&o.start, task, "start_time"}, {&o.comm, task, "comm"}, {&o.signal, task, "signal"}, {&o.live, signal, "live"},
	} {
		*m.to, err = offset(m.in, m.name)
		errs = append(errs, err)
	}
	o.status += thread
	return o, errors.Join(errs...)
}

// offset is where in a structure its member begins, in bytes.
func offset(s *btf.Struct, member string) (int16, error) {
	for _, m := range s.Members {
		if m.Name != member {
			continue
		}
		at := m.Offset.Bytes()
		if at > math.MaxInt16 {
			return 0, fmt.Errorf("this kernel's %s has %s where no program reaches", s.Name, member)
		}
		return int16(at), nil
	}
	return 0, fmt.Errorf("this kernel's %s has no %s", s.Name, member)
}

// load loads and attaches the programs, each while the others are checked.
func (r *recorder) load(types *btf.Cache, o offsets) error {
	programs := []struct {
		at   string
		code asm.Instructions
	}{{"sys_enter", r.onEnter(o)}, {"sched_process_fork", r.passOn(o)}, {"sched_process_exit", r.takeBack(o)}}
	r.links, r.programs = make([]link.Link, len(programs)), make([]*ebpf.Program, len(programs))
	errs := make([]error, len(programs))
	var wg sync.WaitGroup
	for i, p := range programs {
		wg.Go(func() { r.programs[i], r.links[i], errs[i] = attach(types, p.at, p.code) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// attach has a program run at a raw tracepoint: it gets the kernel's own arguments, and may read the structures that
// they point to (tp_btf). Such a program is attached by the number of a type. A collection takes it from the types that
// are read already; a program by itself would have all of them indexed once more, which takes longer than all else at
// the start.
func attach(types *btf.Cache, at string, code asm.Instructions) (*ebpf.Program, link.Link, error) {
	c, err := ebpf.NewCollectionWithOptions(&ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{at: {
		Name: "monban_" + at, Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: at, Instructions: code,
		License: "Dual MIT/GPL", // the kernel's structures are for programs under the GPL or a licence that goes with it
	}}}, ebpf.CollectionOptions{Cache: types})
	if err != nil {
		return nil, nil, fmt.Errorf("loading the program for %s: %w", at, err)
	}
	p := c.DetachProgram(at)
	c.Close()
	l, err := link.AttachTracing(link.TracingOptions{Program: p})
	if err != nil {
		return p, nil, fmt.Errorf("attaching to %s: %w", at, err)
	}
	return p, l, nil
}
