package seccomp

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"monban/bpf"
)

// InstallStack is [Install] for several filters, in the order in which they bind: what compile.Programs makes of a
// policy that does not fit one. Those before the last must let seccomp(2) through.
//
// Nothing is installed if the kernel would not admit one of them, or all together are too long. Where installing fails
// later (something around this process has installed filters, too), those that are there stay; each only takes away.
func InstallStack(programs []bpf.Program, f Flags) error {
	if len(programs) == 0 {
		return errors.New("there is no filter to install")
	}
	total := 0
	for i, p := range programs {
		if err := p.Check(); err != nil {
			return fmt.Errorf("filter %d of %d: the kernel does not admit it: %w", i+1, len(programs), err)
		}
		total += p.KernelLen()
		if i > 0 {
			total += bpf.StackedExtra
		}
	}
	if total > bpf.MaxStacked {
		return fmt.Errorf("%d filters amount to %d instructions, as the kernel counts, and it takes %d together: %w",
			len(programs), total, bpf.MaxStacked, unix.ENOMEM)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i, p := range programs {
		if err := Install(p, f); err != nil {
			if len(programs) > 1 {
				err = fmt.Errorf("filter %d of %d: %w", i+1, len(programs), err)
			}
			return err
		}
	}
	return nil
}
