package main

import (
	"fmt"
	"slices"

	"monban/abi"
	"monban/gate"
	"monban/inspect"
	"monban/internal/plain"
	"monban/policy"
	"monban/report"
	"monban/sandbox"
)

// explainKills says on standard error which calls were killed, and what would allow them; st is nil in strict mode.
func explainKills(r *sandbox.Result, c *sandbox.Command, st *gate.Gate) {
	calls, times := r.Calls()
	for i, k := range calls {
		more := ""
		if n := times[i] - 1; n > 0 {
			more = fmt.Sprintf(", and %s", plain.Count(n, "more such call"))
		}
		explainKill(&k, more, st)
		if (st == nil || k.Strict) && r.AtStart {
			say("strict mode began at its first instruction, since it is static, and its C library needs more to start;")
			say("linked dynamically (without -static) it reaches main first, where strict mode then begins")
		} else if st == nil || k.Strict {
			say("strict mode allows read, write, exit and sigreturn only, and returning from main is exit_group;")
			say("a program for it ends in syscall(SYS_exit, 0)")
		}
	}
	if len(r.Killed) == 0 && r.Signal.String() == "bad system call" {
		explainUnnamed(c, st)
	}
}

func explainKill(k *sandbox.Killed, more string, st *gate.Gate) {
	native := abi.Native()
	arch, ok := abi.Of(k.Data.Arch, k.Data.Nr)
	if !ok {
		arch = native
	}
	call := policy.FormatCall(arch, &k.Data)
	if arch != native {
		call += " of " + arch.String()
	}
	what := "killed"
	switch {
	case k.Thread:
		what = "thread killed"
	case k.Trap:
		what = "ended by SIGSYS"
	}
	say("%s: %s by %s (process %d)%s", styled(stderr, red, what), call, k.Comm, k.PID, more)
	if k.Thread {
		say("only that thread is dead: the gate says kill_thread, and the process went on without it")
	}
	if st == nil || k.Strict {
		return
	}
	culprits, err := inspect.Culprits(st, &k.Data)
	if err != nil {
		say("%v", err)
		return
	}
	for i := range culprits {
		for _, line := range report.RemedyLines(&culprits[i], style(stderr)) {
			say("%s", line)
		}
	}
	if len(culprits) == 0 {
		say("no gate given here kills it: it was a sandbox around monban, or the program's own filter")
	}
}

// explainUnnamed is for a program that SIGSYS has ended while nobody was attached to see the call.
func explainUnnamed(c *sandbox.Command, st *gate.Gate) {
	dead, native := styled(stderr, red, "killed"), abi.Native()
	switch {
	case st == nil:
	case !mayKill(st, native):
		foreign := slices.DeleteFunc(native.Family(), func(a abi.Arch) bool { return !mayKill(st, a) })
		if len(foreign) == 0 {
			say("%s: by SIGSYS, but no gate given here kills a call: it was a sandbox around monban, or the program itself", dead)
			return
		}
		say("%s: by SIGSYS; no call of %s is killed here, so it was one of %s (a 32-bit program?), or another sandbox's doing",
			dead, native, abi.Join(foreign, " or "))
		for _, g := range st.Members {
			if mayKill(g, foreign[0]) {
				say("%s", report.ArchRemedy(g, foreign[0], style(stderr)))
			}
		}
	case c.AllowExec:
		say("%s: by SIGSYS; which call it was cannot be seen with --allow-exec", dead)
	case c.Detach:
		say("%s: by SIGSYS; without --detach, run names the call", dead)
	}
}

// mayKill says whether a gate can end a program of an architecture with a signal; what is too complex to say may as
// well be.
func mayKill(g *gate.Gate, a abi.Arch) bool {
	kills, err := inspect.Kills(g, a)
	return kills || err != nil
}
