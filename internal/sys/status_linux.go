package sys

import (
	"bytes"
	"strconv"
	"strings"
)

// A Status is what /proc/PID/status says of a thread, as far as anybody here asks. A field that the kernel leaves out
// is -1 if it is a number; those of the zero Status are what is known of nobody.
type Status struct {
	Name           string // the thread's own, which programs choose; line breaks are escaped
	State          byte   // R, S, D, T …
	TGID           int    // the process
	TracerPID      int    // 0: none
	UID            int    // the effective user
	Threads        int    // of the process
	NoNewPrivs     bool
	Seccomp        int    // one of the modes
	SeccompFilters int    // Linux 5.9
	PendingSignals uint64 // of the thread; bit n-1 is signal n
	IgnoredSignals uint64
	CaughtSignals  uint64
}

// Modes of seccomp (linux/seccomp.h, kernel/seccomp.c).
const (
	SeccompOff    = 0
	SeccompStrict = 1
	SeccompFilter = 2
	SeccompDead   = 3 // seccomp has killed the thread (Linux 5.17)
)

// ReadStatus reads a thread's status; a process's number stands for its first thread.
func ReadStatus(tid int) (Status, error) { return readStatus(Path(tid, "status")) }

// ThreadStatus reads the status of a thread of a process: another process's, which has got the number since, is ESRCH.
func ThreadStatus(pid, tid int) (Status, error) {
	return readStatus(Path(pid, "task/"+strconv.Itoa(tid)+"/status"))
}

// OwnStatus is the status of the calling thread, which must be locked: another thread may have ended before it is read.
func OwnStatus() (Status, error) { return readStatus(proc + "/thread-self/status") }

func readStatus(name string) (Status, error) {
	b, err := read(name, maxStatus)
	if err != nil {
		return Status{}, err
	}
	s, ok := parseStatus(b)
	if !ok {
		return Status{}, malformed(name)
	}
	return s, nil
}

// parseStatus reads lines of a field's name, a colon and its value. No name that a program has chosen can look like
// another line: the kernel escapes line breaks.
func parseStatus(b []byte) (s Status, ok bool) {
	s = Status{Seccomp: -1, SeccompFilters: -1, UID: -1, TracerPID: -1, Threads: -1}
	ok = true
	for line := range bytes.Lines(b) {
		field, value, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), ":")
		value = strings.TrimPrefix(value, "\t")
		number := func() int {
			n, err := strconv.Atoi(strings.TrimSpace(value))
			ok = ok && err == nil
			return n
		}
		set := func() uint64 {
			n, err := strconv.ParseUint(value, 16, 64)
			ok = ok && err == nil
			return n
		}
		switch field {
		case "Name":
			s.Name = value
		case "State":
			if value == "" {
				return s, false
			}
			s.State = value[0]
		case "Tgid":
			s.TGID = number()
		case "TracerPid":
			s.TracerPID = number()
		case "Uid": // real, effective, saved, of the file system
			uids := strings.Fields(value)
			if len(uids) != 4 {
				return s, false
			}
			value = uids[1]
			s.UID = number()
		case "Threads":
			s.Threads = number()
		case "NoNewPrivs":
			s.NoNewPrivs = number() == 1
		case "Seccomp":
			s.Seccomp = number()
		case "Seccomp_filters":
			s.SeccompFilters = number()
		case "SigPnd":
			s.PendingSignals = set()
		case "SigIgn":
			s.IgnoredSignals = set()
		case "SigCgt":
			s.CaughtSignals = set()
		}
	}
	return s, ok && s.State != 0 && s.TGID > 0
}

// A Stat is what /proc/PID/stat says and status does not, or at a higher price.
type Stat struct {
	State  byte
	Parent int    // process
	Flags  uint64 // PF_* (linux/sched.h)
}

// Signaled says that a signal is what ends the thread (PF_SIGNALED).
func (s Stat) Signaled() bool { return s.Flags&0x400 != 0 }

// ReadStat reads a thread's stat; a process's number stands for its first thread.
func ReadStat(tid int) (Stat, error) {
	name := Path(tid, "stat")
	b, err := read(name, maxStatus)
	if err != nil {
		return Stat{}, err
	}
	s, ok := parseStat(b)
	if !ok {
		return Stat{}, malformed(name)
	}
	return s, nil
}

// parseStat reads the fields behind the thread's name: that is in parentheses, and may have anything in it, parentheses
// and line breaks too. No field behind it has a parenthesis.
func parseStat(b []byte) (s Stat, ok bool) {
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 7 || len(fields[0]) != 1 {
		return s, false
	}
	s.State = fields[0][0]
	parent, err := strconv.Atoi(fields[1])
	flags, err2 := strconv.ParseUint(fields[6], 10, 64)
	s.Parent, s.Flags = parent, flags
	return s, err == nil && err2 == nil
}
