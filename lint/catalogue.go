package lint

import (
	"iter"
	"slices"

	"monban/bpf"
	"monban/policy"
	"monban/policy/lang"
)

// A Check is a pitfall of the catalogue: what it is, and how it is found and fixed.
type Check struct {
	ID        string // MB001; never given to another pitfall
	Name      string // in words joined by hyphens
	Severity  Severity
	Title     string // what is the case, without the details of one gate
	Why       string // why it matters
	Fix       string // what to do
	Reference string // where it was met or is described

	run   func(*subject) []Finding        // on one architecture; of the whole gate where whole is set
	edit  func(*lang.File, *Finding) bool // fixes a finding in the gate's text, where it can; nil where only a person can tell how
	whole bool
}

// Checks are all pitfalls, by ID. docs/lint.md shows them.
func Checks() iter.Seq[Check] { return slices.Values(checks) }

// ByID finds a check.
func ByID(id string) (Check, bool) {
	for _, c := range checks {
		if c.ID == id {
			return c, true
		}
	}
	return Check{}, false
}

// Fixable says that there are findings of this check that an edit of the gate's text fixes.
func (c *Check) Fixable() bool { return c.edit != nil }

var checks = []Check{
	{ID: "MB001", Name: "arch-unchecked", Severity: High, Title: "calls of other architectures pass unchecked",
		Why:       "the same number is another call there (int 0x80 on x86_64), so whatever is refused by number can be done",
		Fix:       "look at the architecture first, and kill what is not expected: badarch kill_process",
		Reference: "https://docs.kernel.org/userspace-api/seccomp_filter.html#pitfalls",
		run:       archUnchecked, edit: setHeader("badarch", policy.Action{Kind: bpf.KillProcess})},
	{ID: "MB002", Name: "x32-bypass", Severity: High, Title: "what is refused passes as an x32 call",
		Why:       "x32 calls have x86_64's architecture token and bit 30 set in the number",
		Fix:       "refuse numbers from 0x40000000 on where x32 is not meant; Monban's policies do",
		Reference: "https://github.com/netblue30/firejail/issues/87",
		run:       x32Bypass},
	{ID: "MB003", Name: "upper-half", Severity: High, Title: "a refusal can be escaped by the upper half of a 32-bit argument",
		Why:       "the kernel looks at the lower half of the register only, the filter at all of it: with any bit set above, the call passes and does what was refused",
		Fix:       "compare at the argument's width, as the policy language does without u64(); in BPF, do not load the upper half",
		Reference: "CVE-2019-10063, CVE-2019-7303",
		run:       upperHalf},
	{ID: "MB004", Name: "lower-half-only", Severity: Medium, Title: "only the lower half of a 64-bit argument is looked at",
		Why:       "a value that differs above the 32nd bit passes for the one that is meant",
		Fix:       "compare both halves",
		Reference: "https://github.com/firedancer-io/firedancer/issues/9172",
		run:       lowerHalfOnly},
	{ID: "MB005", Name: "sign-extension", Severity: Medium, Title: "a negative value is compared with one of two upper halves only",
		Why:       "programs pass a negative int with the upper half of the register 0 or all ones, as their compiler likes; the kernel does not look",
		Fix:       "compare at the argument's width, as the policy language does without u64()",
		Reference: "https://github.com/seccomp/libseccomp/issues/383",
		run:       signExtension},
	{ID: "MB006", Name: "ordered-halves", Severity: High, Title: "an ordered comparison of a 64-bit argument lets its lower half decide under many upper halves",
		Why:       "of two 64-bit numbers the lower halves matter only where the upper ones are equal; otherwise values far beyond the bound pass or are refused",
		Fix:       "compile the comparison again with a compiler that proves it",
		Reference: "CVE-2019-9893",
		run:       orderedHalves},
	{ID: "MB007", Name: "repeated-argument", Severity: High, Title: "a rule tests one argument twice, and means either, not both",
		Why:       "container runtimes take several tests of one argument as alternatives, so that more passes than the rule seems to say",
		Fix:       "write the condition as one test, or as a rule for each range",
		Reference: "https://github.com/opencontainers/runc/issues/2735, CVE-2017-18367",
		run:       repeatedArgument, whole: true},
	{ID: "MB008", Name: "io-uring", Severity: Medium, Title: "io_uring is allowed, and does what is refused",
		Why:       "its operations (open, connect, send, unlink and many more) pass by every seccomp filter",
		Fix:       "refuse io_uring_setup, or set the sysctl kernel.io_uring_disabled",
		Reference: "https://github.com/containerd/containerd/issues/9048",
		run:       ioUring, edit: before("errno(ENOSYS) io_uring_setup")},
	{ID: "MB009", Name: "clone3-bypass", Severity: High, Title: "clone's flags are restricted, and clone3 is allowed",
		Why:       "clone3 takes its flags behind a pointer, where no filter can look",
		Fix:       "answer clone3 with errno(ENOSYS): libc falls back to clone",
		Reference: "CVE-2021-41133",
		run:       clone3Bypass, edit: before("errno(ENOSYS) clone3")},
	{ID: "MB010", Name: "clone3-errno", Severity: Medium, Title: "clone is allowed, and clone3 is refused with another error than ENOSYS",
		Why:       "libc tries clone3 first and falls back to clone on ENOSYS only: no thread can be started",
		Fix:       "answer clone3 with errno(ENOSYS)",
		Reference: "https://github.com/moby/moby/issues/42680",
		run:       clone3Errno, edit: before("errno(ENOSYS) clone3")},
	{ID: "MB011", Name: "new-mount-api", Severity: High, Title: "mount is refused, and the newer calls that mount are allowed",
		Why:       "fsopen, fsmount, open_tree, move_mount and mount_setattr do what mount does",
		Fix:       "refuse them with mount, or allow all",
		Reference: "CVE-2021-41133",
		run:       newMountAPI, edit: beforeAll("errno(EPERM)")},
	{ID: "MB012", Name: "multiplexer", Severity: Medium, Title: "what is refused passes through a multiplexer",
		Why:       "socketcall and ipc do the same with their arguments in memory, where no filter can look",
		Fix:       "refuse the subcall: errno(ENOSYS) socketcall(call == SYS_SOCKET)",
		Reference: "https://man7.org/linux/man-pages/man2/socketcall.2.html",
		run:       multiplexer},
	{ID: "MB013", Name: "tiocsti", Severity: Low, Title: "input can be pushed into a terminal",
		Why:       "ioctl's TIOCSTI and TIOCLINUX type into the terminal that the program shares with whoever started it",
		Fix:       "errno(EPERM) ioctl(request in {TIOCSTI, TIOCLINUX}) before ioctl is allowed, or a terminal of its own",
		Reference: "CVE-2017-5226",
		run:       tiocsti, edit: before("errno(EPERM) ioctl(request in {TIOCSTI, TIOCLINUX})")},
	{ID: "MB014", Name: "probe-errno", Severity: Low, Title: "a call of a newer kernel gets another answer than ENOSYS",
		Why:       "libraries try new calls and fall back when they hear ENOSYS; after another error they give up, and a kill ends the program after an update",
		Fix:       "unknown errno(ENOSYS)",
		Reference: "https://github.com/opencontainers/runc/pull/2750",
		run:       probeErrno, edit: setHeader("unknown", policy.Action{Kind: bpf.Errno, Errno: "ENOSYS"})},
	{ID: "MB015", Name: "old-ptrace", Severity: Medium, Title: "ptrace is allowed, and the gate is for kernels before 4.8",
		Why:       "there, a tracer can change a call after the filter has let it pass",
		Fix:       "refuse ptrace, or require kernel 4.8",
		Reference: "https://docs.kernel.org/userspace-api/seccomp_filter.html",
		run:       oldPtrace},
	{ID: "MB016", Name: "kernel-control", Severity: High, Title: "calls that change the kernel itself are allowed",
		Why:       "with the capability that they ask for, they replace the kernel, load code into it, or pass by its file permissions; nothing that is confined needs them",
		Fix:       "refuse them",
		Reference: "https://docs.docker.com/engine/security/seccomp/",
		run: allows("init_module", "finit_module", "delete_module", "create_module", "kexec_load", "kexec_file_load", "reboot", "iopl", "ioperm",
			"swapon", "swapoff", "open_by_handle_at", "acct", "settimeofday", "clock_settime", "clock_settime64", "stime", "pciconfig_read",
			"pciconfig_write", "pciconfig_iobase"), edit: beforeAll("errno(EPERM)")},
	{ID: "MB017", Name: "kernel-surface", Severity: Medium, Title: "calls with a history of kernel bugs are allowed",
		Why:       "few programs need them, and many exploits began there",
		Fix:       "refuse what the program does not use",
		Reference: "https://docs.docker.com/engine/security/seccomp/",
		run: allows("bpf", "userfaultfd", "perf_event_open", "add_key", "keyctl", "request_key", "quotactl", "lookup_dcookie", "nfsservctl",
			"_sysctl", "uselib", "ustat", "sysfs", "vm86", "vm86old")},
	{ID: "MB018", Name: "namespaces", Severity: Medium, Title: "namespaces and mounts can be made",
		Why:       "in a user namespace of its own a program has all capabilities, which opens kernel code that is otherwise for root only",
		Fix:       "refuse them, and clone(flags & CLONE_NEWUSER != 0)",
		Reference: "https://docs.docker.com/engine/security/seccomp/",
		run:       namespaces},
	{ID: "MB019", Name: "other-processes", Severity: Low, Title: "other processes can be read, changed or robbed of their files",
		Why:       "a process outside the gate that runs as the same user can be made to do what is refused inside",
		Fix:       "refuse them where no debugger runs",
		Reference: "https://docs.docker.com/engine/security/seccomp/",
		run:       allows("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "process_madvise", "kcmp")},
	{ID: "MB020", Name: "kill-thread", Severity: Medium, Title: "a refused call kills the calling thread only",
		Why:       "a process with more threads lives on without this one, often hung on a lock that it held; SCMP_ACT_KILL means this, kill_process (SCMP_ACT_KILL_PROCESS) is what people expect",
		Fix:       "kill_process in place of kill_thread",
		Reference: "https://github.com/systemd/systemd/issues/11967",
		run:       killThread, edit: replace(bpf.KillThread, bpf.KillProcess)},
	{ID: "MB021", Name: "sibling-bypass", Severity: High, Title: "a call is refused or restricted, and another one that does the same is allowed",
		Why:       "what one does not let pass, the other does",
		Fix:       "treat all of them in the same way",
		Reference: "https://man7.org/linux/man-pages/man2/seccomp.2.html",
		run:       siblings},
	{ID: "MB022", Name: "sibling-missing", Severity: Low, Title: "an old call is allowed, and its newer form is refused with another error than ENOSYS",
		Why:       "a newer libc makes the newer call, and falls back on ENOSYS only: the program fails after an update",
		Fix:       "allow both, or answer the newer one with errno(ENOSYS)",
		Reference: "https://github.com/opencontainers/runc/issues/2151",
		run:       lacksForms(newer), edit: beforeAll("errno(ENOSYS)")},
	{ID: "MB023", Name: "exit-group", Severity: Medium, Title: "exit_group is not allowed",
		Why:       "returning from main and exit(3) end in exit_group, so a program cannot end in the ordinary way; only the bare system call exit, which ends one thread, can be allowed in its place",
		Fix:       "allow exit_group",
		Reference: "https://man7.org/linux/man-pages/man2/exit_group.2.html",
		run:       refusesAll("exit_group"), edit: beforeAll("allow")},
	{ID: "MB024", Name: "sigreturn", Severity: Medium, Title: "rt_sigreturn is not allowed",
		Why:       "a signal handler cannot return: the first signal that is handled ends the program",
		Fix:       "allow rt_sigreturn",
		Reference: "https://man7.org/linux/man-pages/man2/sigreturn.2.html",
		run:       refusesAll("rt_sigreturn"), edit: beforeAll("allow")},
	{ID: "MB025", Name: "restart", Severity: Low, Title: "restart_syscall is not allowed",
		Why:       "a sleep or poll that a stopped and continued program resumes is this call",
		Fix:       "allow restart_syscall",
		Reference: "https://man7.org/linux/man-pages/man2/restart_syscall.2.html",
		run:       refusesAll("restart_syscall"), edit: beforeAll("allow")},
	{ID: "MB026", Name: "vdso", Severity: Advice, Title: "calls that the vDSO makes now and then are refused",
		Why:       "reading the clock is not a system call as long as the machine's clock can be read from user space; on others, virtual ones often, it is",
		Fix:       "allow them: clock_gettime, gettimeofday, time, getcpu",
		Reference: "https://docs.kernel.org/userspace-api/seccomp_filter.html#caveats",
		run:       vdso, edit: beforeAll("allow")},
	{ID: "MB027", Name: "time64", Severity: Low, Title: "a 32-bit call is allowed, and its form with 64-bit times is refused",
		Why:       "a libc made for the year 2038 makes the new call",
		Fix:       "allow both forms",
		Reference: "https://sourceware.org/glibc/wiki/Y2038ProofnessDesign",
		run:       time64, edit: beforeAll("errno(ENOSYS)")},
	{ID: "MB028", Name: "uretprobe", Severity: Advice, Title: "uretprobe or uprobe is answered by a kill",
		Why:       "the kernel puts these calls into programs that somebody traces; before Linux 6.13 the filter is asked, and the traced program dies",
		Fix:       "allow uretprobe uprobe: a program gains nothing by them",
		Reference: "https://github.com/systemd/systemd/issues/34615",
		run:       uretprobe, edit: beforeAll("allow")},
	{ID: "MB029", Name: "dead-rule", Severity: Low, Title: "a rule that no call reaches",
		Why:       "the rules before it decide all its calls, in another way: it does not do what it says",
		Fix:       "put it before them, or take it out",
		Reference: "https://man7.org/linux/man-pages/man3/seccomp_rule_add.3.html",
		run:       shadowed, whole: true},
	{ID: "MB030", Name: "repeated-rule", Severity: Advice, Title: "a rule that changes nothing",
		Why:       "other rules or the default give its calls the same answer",
		Fix:       "take it out",
		Reference: "https://man7.org/linux/man-pages/man3/seccomp_rule_add.3.html",
		run:       repeated, edit: takeOut, whole: true},
	{ID: "MB031", Name: "unknown-names", Severity: Advice, Title: "names that no architecture here has are ignored",
		Why:       "that is usual in a profile for many architectures, and hides a typing mistake in one for few",
		Fix:       "look at the names",
		Reference: "https://github.com/netblue30/firejail/issues/7063",
		run:       unknownNames, whole: true},
}
