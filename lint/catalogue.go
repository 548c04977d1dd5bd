package lint

import "fmt"

// A Severity says how much a finding matters.
type Severity int

// Severities, in ascending order.
const (
	Advice Severity = iota // worth knowing; nothing is wrong
	Low                    // some programs will stumble, or an attacker gains a little
	Medium                 // programs break, or a protection that people expect is not there
	High                   // what the gate refuses can be done all the same
)

var severities = []string{"advice", "low", "medium", "high"}

func (s Severity) String() string { return severities[s] }

// ParseSeverity reads a severity's name.
func ParseSeverity(name string) (Severity, error) {
	for i, s := range severities {
		if s == name {
			return Severity(i), nil
		}
	}
	return 0, fmt.Errorf("%q is no severity: there are advice, low, medium and high", name)
}

// An Entry is a pitfall of the catalogue.
type Entry struct {
	ID        string // MB001; never given to another pitfall
	Name      string // in words joined by hyphens
	Severity  Severity
	Title     string // what is the case, without the details of one gate
	Why       string // why it matters
	Mend      string // what to do
	Reference string // where it was met or is described
}

// Catalogue is all pitfalls, by ID. docs/lint.md shows it.
var Catalogue = []Entry{
	{"MB001", "arch-unchecked", High, "calls of other architectures pass unchecked",
		"the same number is another call there (int 0x80 on x86_64), so whatever is refused by number can be done",
		"look at the architecture first, and kill what is not expected: badarch kill_process",
		"https://docs.kernel.org/userspace-api/seccomp_filter.html#pitfalls"},
	{"MB002", "x32-bypass", High, "what is refused passes as an x32 call",
		"x32 calls have x86_64's architecture token and bit 30 set in the number",
		"refuse numbers from 0x40000000 on where x32 is not meant; Monban's policies do",
		"https://github.com/netblue30/firejail/issues/87"},
	{"MB003", "upper-half", High, "a refusal can be escaped by the upper half of a 32-bit argument",
		"the kernel looks at the lower half of the register only, the filter at all of it: with any bit set above, the call passes and does what was refused",
		"compare at the argument's width, as the policy language does without u64(); in BPF, do not load the upper half",
		"CVE-2019-10063, CVE-2019-7303"},
	{"MB004", "lower-half-only", Medium, "only the lower half of a 64-bit argument is looked at",
		"a value that differs above the 32nd bit passes for the one that is meant",
		"compare both halves",
		"https://github.com/firedancer-io/firedancer/issues/9172"},
	{"MB005", "sign-extension", Medium, "a negative value is compared with one of two upper halves only",
		"programs pass a negative int with the upper half of the register 0 or all ones, as their compiler likes; the kernel does not look",
		"compare at the argument's width, as the policy language does without u64()",
		"https://github.com/seccomp/libseccomp/issues/383"},
	{"MB006", "ordered-halves", High, "an ordered comparison of a 64-bit argument lets its lower half decide under many upper halves",
		"of two 64-bit numbers the lower halves matter only where the upper ones are equal; otherwise values far beyond the bound pass or are refused",
		"compile the comparison again with a compiler that proves it",
		"CVE-2019-9893"},
	{"MB007", "repeated-argument", High, "a rule tests one argument twice, and means either, not both",
		"container runtimes take several tests of one argument as alternatives, so that more passes than the rule seems to say",
		"write the condition as one test, or as a rule for each range",
		"https://github.com/opencontainers/runc/issues/2735, CVE-2017-18367"},
	{"MB008", "io-uring", Medium, "io_uring is allowed, and does what is refused",
		"its operations (open, connect, send, unlink and many more) pass by every seccomp filter",
		"refuse io_uring_setup, or set the sysctl kernel.io_uring_disabled",
		"https://github.com/containerd/containerd/issues/9048"},
	{"MB009", "clone3-bypass", High, "clone's flags are restricted, and clone3 is allowed",
		"clone3 takes its flags behind a pointer, where no filter can look",
		"answer clone3 with errno(ENOSYS): libc falls back to clone",
		"CVE-2021-41133"},
	{"MB010", "clone3-errno", Medium, "clone is allowed, and clone3 is refused with another error than ENOSYS",
		"libc tries clone3 first and falls back to clone on ENOSYS only: no thread can be started",
		"answer clone3 with errno(ENOSYS)",
		"https://github.com/moby/moby/issues/42680"},
	{"MB011", "new-mount-api", High, "mount is refused, and the newer calls that mount are allowed",
		"fsopen, fsmount, open_tree, move_mount and mount_setattr do what mount does",
		"refuse them with mount, or allow all",
		"CVE-2021-41133"},
	{"MB012", "multiplexer", Medium, "what is refused passes through a multiplexer",
		"socketcall and ipc do the same with their arguments in memory, where no filter can look",
		"refuse the subcall: errno(ENOSYS) socketcall(call == SYS_SOCKET)",
		"https://man7.org/linux/man-pages/man2/socketcall.2.html"},
	{"MB013", "tiocsti", Low, "input can be pushed into a terminal",
		"ioctl's TIOCSTI and TIOCLINUX type into the terminal that the program shares with whoever started it",
		"errno(EPERM) ioctl(request in {TIOCSTI, TIOCLINUX}) before ioctl is allowed, or a terminal of its own",
		"CVE-2017-5226"},
	{"MB014", "probe-errno", Low, "a call of a newer kernel gets another answer than ENOSYS",
		"libraries try new calls and fall back when they hear ENOSYS; after another error they give up, and a kill ends the program after an update",
		"unknown errno(ENOSYS)",
		"https://github.com/opencontainers/runc/pull/2750"},
	{"MB015", "old-ptrace", Medium, "ptrace is allowed, and the gate is for kernels before 4.8",
		"there, a tracer can change a call after the filter has let it pass",
		"refuse ptrace, or require kernel 4.8",
		"https://docs.kernel.org/userspace-api/seccomp_filter.html"},
	{"MB016", "kernel-control", High, "calls that change the kernel itself are allowed",
		"with the capability that they ask for, they replace the kernel, load code into it, or pass by its file permissions; nothing that is confined needs them",
		"refuse them",
		"https://docs.docker.com/engine/security/seccomp/"},
	{"MB017", "kernel-surface", Medium, "calls with a history of kernel bugs are allowed",
		"few programs need them, and many exploits began there",
		"refuse what the program does not use",
		"https://docs.docker.com/engine/security/seccomp/"},
	{"MB018", "namespaces", Medium, "namespaces and mounts can be made",
		"in a user namespace of its own a program has all capabilities, which opens kernel code that is else for root",
		"refuse them, and clone(flags & CLONE_NEWUSER != 0)",
		"https://docs.docker.com/engine/security/seccomp/"},
	{"MB019", "other-processes", Low, "other processes can be read, changed or robbed of their files",
		"a process outside the gate that runs as the same user can be made to do what is refused inside",
		"refuse them where no debugger runs",
		"https://docs.docker.com/engine/security/seccomp/"},
	{"MB020", "kill-thread", Medium, "a refused call kills the calling thread only",
		"a process with more threads lives on without this one, often hung on a lock that it held; SCMP_ACT_KILL means this, kill_process (SCMP_ACT_KILL_PROCESS) is what people expect",
		"kill_process in place of kill_thread",
		"https://github.com/systemd/systemd/issues/11967"},
	{"MB021", "sibling-bypass", High, "a call is refused or restricted, and another one that does the same is allowed",
		"what one does not let pass, the other does",
		"treat all of them alike",
		"https://man7.org/linux/man-pages/man2/seccomp.2.html"},
	{"MB022", "sibling-missing", Low, "an old call is allowed, and its newer form is refused with another error than ENOSYS",
		"a newer libc makes the newer call, and falls back on ENOSYS only: the program fails after an update",
		"allow both, or answer the newer one with errno(ENOSYS)",
		"https://github.com/opencontainers/runc/issues/2151"},
	{"MB023", "exit-group", Medium, "exit_group is not allowed",
		"returning from main and exit(3) end in exit_group, so a program cannot end in the ordinary way; only the bare system call exit, which ends one thread, can be allowed in its place",
		"allow exit_group",
		"https://man7.org/linux/man-pages/man2/exit_group.2.html"},
	{"MB024", "sigreturn", Medium, "rt_sigreturn is not allowed",
		"a signal handler cannot return: the first signal that is handled ends the program",
		"allow rt_sigreturn",
		"https://man7.org/linux/man-pages/man2/sigreturn.2.html"},
	{"MB025", "restart", Low, "restart_syscall is not allowed",
		"a sleep or poll that a stopped and continued program resumes is this call",
		"allow restart_syscall",
		"https://man7.org/linux/man-pages/man2/restart_syscall.2.html"},
	{"MB026", "vdso", Advice, "calls that the vDSO makes now and then are refused",
		"reading the clock is no system call as long as the machine's clock can be read from user space; on others, virtual ones often, it is",
		"allow them: clock_gettime, gettimeofday, time, getcpu",
		"https://docs.kernel.org/userspace-api/seccomp_filter.html#caveats"},
	{"MB027", "time64", Low, "a 32-bit call is allowed, and its form with 64-bit times is refused",
		"a libc made for the year 2038 makes the new call",
		"allow both forms",
		"https://sourceware.org/glibc/wiki/Y2038ProofnessDesign"},
	{"MB028", "uretprobe", Advice, "uretprobe or uprobe is answered by a kill",
		"the kernel puts these calls into programs that somebody traces; before Linux 6.13 the filter is asked, and the traced program dies",
		"allow uretprobe uprobe: a program gains nothing by them",
		"https://github.com/systemd/systemd/issues/34615"},
	{"MB029", "dead-rule", Low, "a rule that no call reaches",
		"the rules before it decide all its calls, in another way: it does not do what it says",
		"put it before them, or take it out",
		"https://man7.org/linux/man-pages/man3/seccomp_rule_add.3.html"},
	{"MB030", "repeated-rule", Advice, "a rule that changes nothing",
		"other rules or the default give its calls the same answer",
		"take it out",
		"https://man7.org/linux/man-pages/man3/seccomp_rule_add.3.html"},
	{"MB031", "unknown-names", Advice, "names that no architecture here has are ignored",
		"that is usual in a profile for many architectures, and hides a typing mistake in one for few",
		"look at the names",
		"https://github.com/netblue30/firejail/issues/7063"},
}

// ByID finds an entry.
func ByID(id string) (*Entry, bool) {
	for i := range Catalogue {
		if Catalogue[i].ID == id {
			return &Catalogue[i], true
		}
	}
	return nil, false
}
