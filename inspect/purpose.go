package inspect

import (
	"strings"
	"sync"

	"monban/abi"
)

// purposes sort all calls by what they are for. A call belongs to the first line that has it, by name or by group, so
// each belongs to one; what no line has is of "other". The order is that of danger, not of display: what only an
// administrator needs is told apart first.
var purposes = []struct{ name, calls string }{
	{"kernel", "@module @reboot @swap @raw-io acct bpf quotactl quotactl_fd sethostname setdomainname vhangup syslog nfsservctl " +
		"perf_event_open settimeofday stime clock_settime clock_settime64 fanotify_init open_by_handle_at userfaultfd lookup_dcookie " +
		"_sysctl sysfs"},
	{"mounts and namespaces", "@mount setns unshare"},
	{"debugging", "ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd sys_debug_setcontext"},
	{"keys", "@keyring"},
	{"io_uring", "@io-uring"},
	{"sandboxing", "@sandbox"},
	{"sockets", "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 recvmsg " +
		"send sendmmsg sendmsg sendto setsockopt shutdown socket socketcall socketpair"},
	{"time", "@timer @clock clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 " +
		"gettimeofday nanosleep time ftime getpagesize"},
	{"waiting", "@io-event @aio fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch"},
	{"signals", "@signal kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal pause sgetmask ssetmask " +
		"restart_syscall"},
	{"memory", "brk mmap mmap2 mprotect munmap mremap madvise mincore msync mseal map_shadow_stack membarrier remap_file_pages " +
		"memfd_create memfd_secret process_mrelease process_madvise cachestat subpage_prot cacheflush @memlock @pkey"},
	{"shared memory and queues", "ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend " +
		"mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl " +
		"shmdt shmget"},
	{"scheduling and limits", "@resources get_mempolicy getcpu getpriority getrlimit setrlimit ugetrlimit prlimit64 ioprio_get " +
		"getrusage sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler " +
		"sched_rr_get_interval sched_rr_get_interval_time64 sched_yield rseq_slice_yield"},
	{"identity", "@setuid getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32 getresuid " +
		"getresuid32 getuid getuid32 capget capset personality"},
	{"processes and threads", "@process @exec exit exit_group futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake " +
		"get_robust_list set_robust_list set_tid_address get_thread_area set_thread_area get_tls set_tls rseq arch_prctl " +
		"getpgid getpgrp getpid getppid getsid gettid modify_ldt uprobe uretprobe set_zone_reclaim_mode"},
	{"file system", "access faccessat faccessat2 chdir fchdir getcwd chmod fchmod fchmodat fchmodat2 @chown creat open openat openat2 " +
		"truncate truncate64 file_getattr file_setattr getxattr getxattrat lgetxattr fgetxattr listxattr listxattrat llistxattr " +
		"flistxattr lremovexattr lsetxattr removexattr fremovexattr removexattrat setxattr fsetxattr setxattrat fstat fstat64 " +
		"fstatat64 fstatfs fstatfs64 lstat lstat64 newfstatat oldfstat oldlstat oldstat stat stat64 statfs statfs64 statx futimesat " +
		"utime utimensat utimensat_time64 utimes getdents getdents64 readdir link linkat mkdir mkdirat mknod mknodat readlink " +
		"readlinkat rename renameat renameat2 rmdir symlink symlinkat unlink unlinkat name_to_handle_at umask sync syncfs spu_create " +
		"ustat"},
	{"reading and writing", "@basic-io @sync fcntl fcntl64 ioctl sendfile sendfile64 splice tee vmsplice copy_file_range readahead " +
		"fadvise64 fadvise64_64 arm_fadvise64_64 flock fallocate ftruncate ftruncate64 pipe pipe2 eventfd eventfd2"},
	{"system", "uname olduname oldolduname sysinfo getrandom"},

	// Calls that are new, by their group.
	{"file system", "@file-system"},
	{"sockets", "@network-io"},
	{"memory", "@memory"},
	{"shared memory and queues", "@ipc"},
}

// Other is the purpose of the calls that are obsolete or of one architecture only.
const Other = "other"

var byCall = sync.OnceValue(func() map[string]string {
	of := map[string]string{}
	for _, p := range purposes {
		for word := range strings.FieldsSeq(p.calls) {
			calls := []string{word}
			if strings.HasPrefix(word, "@") {
				calls, _ = abi.Group(word, abi.Version{})
			}
			for _, call := range calls {
				if _, taken := of[call]; !taken {
					of[call] = p.name
				}
			}
		}
	}
	return of
})

// Purpose is what a call is for, in a word or two: "sockets", "file system", [Other].
func Purpose(call string) string {
	if p, ok := byCall()[call]; ok {
		return p
	}
	return Other
}

// Purposes are all purposes in the order in which people look for them.
func Purposes() []string {
	return []string{"reading and writing", "file system", "sockets", "waiting", "memory", "processes and threads", "signals", "time",
		"scheduling and limits", "identity", "shared memory and queues", "system", "sandboxing", "io_uring", "keys", "debugging",
		"mounts and namespaces", "kernel", Other}
}
