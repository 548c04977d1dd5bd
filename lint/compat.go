package lint

import (
	"monban/bpf"
	"monban/verdict"
)

// probeErrno looks at the answer to numbers that no call has yet: what a newer libc hears when it tries a newer call.
func probeErrno(s *subject) []Finding {
	next := uint32(0)
	for nr := range s.arch.Calls() {
		if nr >= next {
			next = nr + 1
		}
	}
	enosys, _ := s.arch.Errno("ENOSYS")
	do, ok := s.own.Restrict(verdict.Nr, next).Constant()
	if !ok || !refuses(do) || do == bpf.Errno|bpf.Action(enosys) {
		return nil
	}
	return s.found("", nil, bpf.Data{Arch: s.arch.Token(), Nr: next})
}

// refusesAll looks for a call that is never let pass.
func refusesAll(call string) func(*subject) []Finding {
	return func(s *subject) []Finding {
		if s.how(call, refuses) != always {
			return nil
		}
		return s.finding("", []string{call}, call, refuses)
	}
}

// vdso looks for the clock of programs that do more than compute: those that open files.
func vdso(s *subject) []Finding {
	if s.how("openat", passes) == never {
		return nil
	}
	var refused []string
	for _, name := range []string{"clock_gettime", "clock_gettime64", "gettimeofday", "time", "getcpu"} {
		if s.how(name, refuses) == always {
			refused = append(refused, name)
		}
	}
	return s.listing(refused, refuses)
}

func uretprobe(s *subject) []Finding {
	kills := bpf.Action.Kills
	killed := s.which([]string{"uretprobe", "uprobe"}, kills)
	if killed == nil {
		return nil
	}
	return s.finding("answered by a kill: "+some(killed), killed, killed[0], kills)
}

// A form is a call and the newer one that libraries make in its place.
type form struct{ old, newer string }

// newer are the forms that glibc and musl have moved to.
var newer = []form{
	{"open", "openat"}, {"stat", "newfstatat"}, {"lstat", "newfstatat"}, {"newfstatat", "statx"}, {"fork", "clone"},
	{"epoll_create", "epoll_create1"}, {"epoll_wait", "epoll_pwait"}, {"epoll_pwait", "epoll_pwait2"}, {"select", "pselect6"},
	{"poll", "ppoll"}, {"dup2", "dup3"}, {"pipe", "pipe2"}, {"access", "faccessat"}, {"faccessat", "faccessat2"}, {"chmod", "fchmodat"},
	{"fchmodat", "fchmodat2"}, {"rename", "renameat2"}, {"accept", "accept4"}, {"getdents", "getdents64"}, {"getrlimit", "prlimit64"},
	{"eventfd", "eventfd2"}, {"signalfd", "signalfd4"}, {"inotify_init", "inotify_init1"}, {"readlink", "readlinkat"},
	{"mkdir", "mkdirat"}, {"unlink", "unlinkat"}, {"utimes", "utimensat"},
}

// in64 are the forms with 64-bit times of 32-bit architectures.
var in64 = []form{
	{"clock_gettime", "clock_gettime64"}, {"clock_settime", "clock_settime64"}, {"clock_adjtime", "clock_adjtime64"},
	{"clock_getres", "clock_getres_time64"}, {"clock_nanosleep", "clock_nanosleep_time64"}, {"nanosleep", "clock_nanosleep_time64"},
	{"timer_gettime", "timer_gettime64"}, {"timer_settime", "timer_settime64"}, {"timerfd_gettime", "timerfd_gettime64"},
	{"timerfd_settime", "timerfd_settime64"}, {"utimensat", "utimensat_time64"}, {"pselect6", "pselect6_time64"}, {"ppoll", "ppoll_time64"},
	{"io_pgetevents", "io_pgetevents_time64"}, {"recvmmsg", "recvmmsg_time64"}, {"mq_timedsend", "mq_timedsend_time64"},
	{"mq_timedreceive", "mq_timedreceive_time64"}, {"semtimedop", "semtimedop_time64"}, {"rt_sigtimedwait", "rt_sigtimedwait_time64"},
	{"futex", "futex_time64"}, {"sched_rr_get_interval", "sched_rr_get_interval_time64"},
}

func time64(s *subject) []Finding {
	if s.arch.Bits() == 64 {
		return nil
	}
	return lacksForms(in64)(s)
}

// lacksForms looks for forms of which the old one passes and the newer one gets an answer after which nobody falls
// back. What a deny-list refuses it means to.
func lacksForms(forms []form) func(*subject) []Finding {
	return func(s *subject) []Finding {
		if s.denyList() {
			return nil
		}
		enosys, _ := s.arch.Errno("ENOSYS")
		fatal := func(a bpf.Action) bool { return refuses(a) && a != bpf.Errno|bpf.Action(enosys) }
		var lacking []string
		for _, f := range forms {
			if s.how(f.old, passes) == always && s.how(f.newer, fatal) == always {
				lacking = append(lacking, f.newer)
			}
		}
		return s.listing(lacking, refuses)
	}
}
