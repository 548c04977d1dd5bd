package main

import (
	"fmt"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/format/oci"
	"monban/gate"
	"monban/internal/plain"
	"monban/policy"
	"monban/sandbox"
	"monban/verdict"
)

// explainKills says on standard error which calls were killed, and what would allow them; st is nil in strict mode.
func explainKills(r *sandbox.Result, c *sandbox.Command, st *gate.Gate) {
	type call struct{ arch, nr uint32 }
	times := map[call]int{}
	var first []sandbox.Killed
	for _, k := range r.Killed {
		if id := (call{k.Data.Arch, k.Data.Nr}); times[id] == 0 {
			first = append(first, k)
			times[id] = 1
		} else {
			times[id]++
		}
	}
	for _, k := range first {
		more := ""
		if n := times[call{k.Data.Arch, k.Data.Nr}] - 1; n > 0 {
			more = fmt.Sprintf(", and %s", plain.Count(n, "more such call"))
		}
		explainKill(&k, more, st)
		if (st == nil || k.Strict) && r.AtStart {
			say("strict mode began at its first instruction, since it is static, and its C library needs more to start;")
			say("linked dynamically (without -static) it comes to main first, where strict mode then begins")
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
	blamed := false
	for _, g := range st.Members {
		if kills(g, &k.Data) {
			blamed = true
			for _, line := range fix(g, arch, native, &k.Data) {
				say("%s", line)
			}
		}
	}
	if !blamed {
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
			dead, native, strings.ReplaceAll(archNames(foreign), ", ", " or "))
		for _, g := range st.Members {
			if mayKill(g, foreign[0]) {
				say("%s", addArch(g, foreign[0]))
			}
		}
	case c.AllowExec:
		say("%s: by SIGSYS; which call it was cannot be seen with --allow-exec", dead)
	case c.Detach:
		say("%s: by SIGSYS; without --detach, run names the call", dead)
	}
}

// fix says, line by line, what to change in a gate so that a call passes which it kills.
func fix(g *gate.Gate, arch, native abi.Arch, d *bpf.Data) []string {
	name, named := arch.Name(d.Nr)
	allow := "allow " + name
	if !named {
		allow = fmt.Sprintf("allow any(nr == %d)", d.Nr)
	}
	if g.Policy == nil {
		return []string{
			fmt.Sprintf("to allow it, write the program down as a policy: monban explain %s >my.gate", g.Name),
			"and put before its rules the line:  " + allow,
		}
	}
	decision, err := g.Decide(d)
	if err != nil {
		return nil
	}
	if decision.Header == "badarch" && !slices.Contains(g.Policy.Archs, arch) {
		return []string{addArch(g, arch)}
	}
	by := ""
	if at := decision.Pos(); at.Line > 0 {
		by = at.String()
	}
	switch {
	case g.Format == oci.Format.Name:
		entry := fmt.Sprintf(`{"names": [%q], "action": "SCMP_ACT_ALLOW"}`, name)
		if by != "" {
			return []string{fmt.Sprintf("to allow it, take %s out of the entry at %s, and add:  %s", name, by, entry)}
		}
		return []string{fmt.Sprintf("to allow it, add to the syscalls of %s:  %s", g.Name, entry)}
	case g.Preset:
		return []string{
			fmt.Sprintf("to allow it, write a gate of your own that says, in this order:  %s", allow),
			"                                                                 include " + g.Name,
		}
	case by != "":
		return []string{fmt.Sprintf("to allow it, put before %s the line:  %s", by, allow)}
	}
	return []string{fmt.Sprintf("to allow it, add to %s the line:  %s", g.Name, allow)}
}

// addArch says how a gate comes to speak for one more architecture.
func addArch(g *gate.Gate, a abi.Arch) string {
	switch {
	case g.Policy == nil:
		return fmt.Sprintf("%s does not let calls of %s through: it takes a program that knows both architectures", g.Name, a)
	case g.Format == oci.Format.Name:
		return fmt.Sprintf("%s does not speak for %s: add SCMP_ARCH_%s to its architectures, or try --arch %s", g.Name, a,
			strings.ToUpper(a.String()), archList(g.Policy.Archs, a, ","))
	}
	return fmt.Sprintf("%s does not speak for %s: give it the header  arch %s", g.Name, a, archList(g.Policy.Archs, a, " "))
}

func archList(archs []abi.Arch, more abi.Arch, sep string) string {
	var names []string
	for _, a := range append(slices.Clone(archs), more) {
		names = append(names, a.String())
	}
	return strings.Join(names, sep)
}

// mayKill is killers where what is too complex to say may as well be.
func mayKill(g *gate.Gate, a abi.Arch) bool {
	kills, err := killers(g, a)
	return kills || err != nil
}

// killers says whether a gate can end a program of an architecture with a signal.
func killers(g *gate.Gate, a abi.Arch) (bool, error) {
	return gate.Exact(g, func(v verdict.Verdict) (bool, error) {
		for do := range v.On(a, bpf.Allow).Actions() {
			if do.Kills() || do.Kind() == bpf.Trap {
				return true, nil
			}
		}
		return false, nil
	})
}
