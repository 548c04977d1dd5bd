package sys

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

const status = "Name:\tx) S 1\\nTgid:\t7 \n" + `Umask:	0022
State:	D (disk sleep)
Tgid:	40
Ngid:	0
Pid:	41
PPid:	3
TracerPid:	9
Uid:	1000	1001	1002	1003
Gid:	1	2	3	4
Threads:	12
SigPnd:	0000000000000100
SigIgn:	0000000000380004
SigCgt:	00000001cb817eff
NoNewPrivs:	1
Seccomp:	2
Seccomp_filters:	3
`

func TestParseStatus(t *testing.T) {
	whole := Status{
		Name: `x) S 1\nTgid:` + "\t7 ", State: 'D', TGID: 40, TracerPID: 9, UID: 1001, Threads: 12, NoNewPrivs: true,
		Seccomp: SeccompFilter, SeccompFilters: 3, PendingSignals: 0x100, IgnoredSignals: 0x380004, CaughtSignals: 0x1cb817eff,
	}
	old := whole // Linux 5.8 without seccomp
	old.Seccomp, old.SeccompFilters = -1, -1
	for text, want := range map[string]*Status{
		status: &whole,
		strings.TrimSuffix(status, "Seccomp:\t2\nSeccomp_filters:\t3\n"): &old,
		"": nil,
		strings.Replace(status, "Tgid:\t40", "Tgid:\tx", 1):                  nil,
		strings.Replace(status, "Tgid:\t40\n", "", 1):                        nil,
		strings.Replace(status, "State:\tD (disk sleep)", "State:\t", 1):     nil,
		strings.Replace(status, "1000\t1001", "1000", 1):                     nil,
		strings.Replace(status, "Seccomp:\t2", "Seccomp:\t", 1):              nil,
		strings.Replace(status, "SigCgt:\t00000001cb", "SigCgt:\t-1cb", 1):   nil,
		strings.Replace(status, "Uid:\t1000\t1001", "Uid:\t1000\tnobody", 1): nil,
	} {
		got, ok := parseStatus([]byte(text))
		if ok != (want != nil) || ok && got != *want {
			t.Errorf("%v, %+v of\n%s", ok, got, text)
		}
	}
}

func TestParseStat(t *testing.T) {
	for text, want := range map[string]*Stat{
		"41 (cat) R 40 41 3 34816 41 4194304 124 0\n": {State: 'R', Parent: 40, Flags: 4194304},
		// A program that names itself so would be somebody else's child.
		"41 (a) S 1 2 3 4 5) Z 40 41 3 34816 41 1024 124\n": {State: 'Z', Parent: 40, Flags: 0x400},
		"41 (\n)) T 40 41 3 34816 41 4194304":               {State: 'T', Parent: 40, Flags: 4194304},
		"":                                                  nil,
		"41 (cat) R 40 41 3 34816 41":                       nil,
		"41 (cat) R x 41 3 34816 41 0":                      nil,
		"41 (cat) R 40 41 3 34816 41 x":                     nil,
		"41 (cat) RR 40 41 3 34816 41 0":                    nil,
	} {
		got, ok := parseStat([]byte(text))
		if ok != (want != nil) || ok && got != *want {
			t.Errorf("%v, %+v of %q", ok, got, text)
		}
	}
	if !(Stat{Flags: 0x400}).Signaled() || (Stat{Flags: 0xfffffbff}).Signaled() {
		t.Error("PF_SIGNALED is another bit")
	}
}

func TestParseMaps(t *testing.T) {
	const text = `55d0c0000000-55d0c0010000 r-xp 00001000 fd:0a 1234567                    /usr/bin/x y\012z
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
7f0000000000-7f0000001000 rw-p 00000000 00:00 0 
`
	want := []Mapping{
		{0x55d0c0000000, 0x55d0c0010000, true, unix.Mkdev(0xfd, 0xa), 1234567},
		{0xffffffffff600000, 0xffffffffff601000, true, 0, 0},
		{0x7f0000000000, 0x7f0000001000, false, 0, 0},
	}
	if got, ok := parseMaps([]byte(text)); !ok || !slices.Equal(got, want) {
		t.Errorf("%v, %+v", ok, got)
	}
	for _, line := range []string{"\n", "1-2 r-xp 0 0:0", "1-2 r- 0 0:0 0", "1 r-xp 0 0:0 0", "x-2 r-xp 0 0:0 0", "1-2 r-xp 0 0 0", "1-2 r-xp 0 0:0 a"} {
		if got, ok := parseMaps([]byte(line)); ok {
			t.Errorf("%q: %+v", line, got)
		}
	}
}

func TestParseAuxv(t *testing.T) {
	words := []uint64{AtSecure, 1, AtEntry, 0x12345678, 0, 0, AtPhdr, 5}
	for _, wide := range []bool{true, false} {
		var b []byte
		for _, w := range words {
			if wide {
				b = binary.NativeEndian.AppendUint64(b, w)
			} else {
				b = binary.NativeEndian.AppendUint32(b, uint32(w))
			}
		}
		want := map[uint64]uint64{AtSecure: 1, AtEntry: 0x12345678}
		if got, ok := parseAuxv(b, wide); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%v, %v", got, ok)
		}
		if got, ok := parseAuxv(b[:len(b)/2-1], wide); ok {
			t.Errorf("cut off: %v", got)
		}
	}
}

// What the parsers make of this process is what the kernel says of it elsewhere.
func TestOwn(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tid, pid := unix.Gettid(), unix.Getpid()
	own, err := OwnStatus()
	if err != nil || own.TGID != pid || own.UID != os.Geteuid() || own.State != 'R' || own.Threads < 1 || own.Seccomp < 0 {
		t.Errorf("%+v, %v", own, err)
	}
	if s, err := ThreadStatus(pid, tid); err != nil || s.TGID != pid || s.Name != own.Name {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := ReadStat(tid); err != nil || s.Parent != os.Getppid() || s.Signaled() {
		t.Errorf("%+v, %v", s, err)
	}
	if tids, err := Threads(pid); err != nil || !slices.Contains(tids, tid) || !slices.IsSorted(tids) {
		t.Errorf("%v, %v", tids, err)
	}
	if pids, err := Processes(); err != nil || !slices.Contains(pids, pid) {
		t.Errorf("%v, %v", pids, err)
	}
	auxv, err := OwnAuxv()
	if secure, told := auxv[AtSecure]; err != nil || !told || secure != 0 || auxv[AtEntry] == 0 {
		t.Errorf("%v, %v", auxv, err)
	}
	maps, err := OwnMappings()
	code := uint64(reflect.ValueOf(TestOwn).Pointer())
	var exe unix.Stat_t
	if err := cmpErr(err, unix.Stat("/proc/self/exe", &exe)); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(maps, func(m Mapping) bool {
		return m.Begin <= code && code < m.End && m.Executable && m.Inode == exe.Ino
	}) {
		t.Errorf("where this code is nothing is mapped that runs: %+v", maps)
	}
	name, err := os.Executable()
	if link, err2 := Link(pid, "exe"); link != name || cmpErr(err, err2) != nil {
		t.Errorf("%s, %v; it is %s", link, err2, name)
	}
	if setting, err := Setting("kernel.pid_max"); err != nil || setting == "" || strings.TrimSpace(setting) != setting {
		t.Errorf("%q, %v", setting, err)
	}
	for kind, first := range map[string]uint64{"user": FirstUserNamespace, "pid": FirstPIDNamespace} {
		link, err := os.Readlink("/proc/self/ns/" + kind)
		in, err2 := InNamespace(kind, first)
		if want := strings.Contains(link, map[string]string{"user": "[4026531837]", "pid": "[4026531836]"}[kind]); in != want || cmpErr(err, err2) != nil {
			t.Errorf("%s: %v, %v, %v", link, in, err, err2)
		}
	}
	var word = uint64(0x1122334455667788)
	var b [8]byte
	addr := uint64(uintptr(unsafe.Pointer(&word)))
	if err := ReadMemory(pid, addr, b[:]); err != nil || binary.NativeEndian.Uint64(b[:]) != word {
		t.Errorf("%x, %v", b, err)
	}
	if err := WriteMemory(pid, addr, []byte{0, 0, 0, 0, 0, 0, 0, 0}); err != nil || word != 0 {
		t.Errorf("%x, %v", word, err)
	}
	if err := ReadMemory(pid, 0, b[:]); !errors.Is(err, unix.EFAULT) {
		t.Errorf("at address 0: %v", err)
	}
}

func cmpErr(errs ...error) error { return errors.Join(errs...) }

// Errors say what is wrong with a file, by kinds, and which it is.
func TestErrors(t *testing.T) {
	ended := exec.Command("/proc/self/exe", "-test.run=^$")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	pid := ended.Process.Pid
	var where *fs.PathError
	for what, read := range map[string]func() error{
		"status":   func() error { _, err := ReadStatus(pid); return err },
		"stat":     func() error { _, err := ReadStat(pid); return err },
		"thread":   func() error { _, err := ThreadStatus(unix.Getpid(), pid); return err },
		"threads":  func() error { _, err := Threads(pid); return err },
		"mappings": func() error { _, err := Mappings(pid); return err },
		"link":     func() error { _, err := Link(pid, "exe"); return err },
		"nobody":   func() error { _, err := ReadStatus(1 << 30); return err },
	} {
		if err := read(); !errors.Is(err, unix.ESRCH) && what != "thread" || !errors.As(err, &where) || !strings.HasPrefix(where.Path, "/proc/") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Setting("kernel.no_such_setting"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := Link(unix.Getpid(), "no such file"); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		t.Error(err)
	}
	long := filepath.Join(t.TempDir(), "long")
	if err := os.WriteFile(long, make([]byte, maxStatus+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readStatus(long); !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
	if _, err := readStatus("/dev/zero"); !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
	for name, read := range map[string]func(string) error{
		"status": func(name string) error { _, err := readStatus(name); return err },
		"maps":   func(name string) error { _, err := readMaps(name); return err },
	} {
		if err := read("/proc/self/comm"); !errors.Is(err, ErrMalformed) || !errors.As(err, &where) || where.Path != "/proc/self/comm" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Without /proc it is that, and not that there is no such process.
func TestNotMounted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be without /proc")
	}
	root, done := t.TempDir(), make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread, which alone has this root directory, ends
		if err := errors.Join(unix.Unshare(unix.CLONE_FS), unix.Chroot(root)); err != nil {
			t.Error(err)
			return
		}
		_, err := ReadStatus(unix.Getpid())
		_, err2 := Processes()
		_, err3 := Setting("kernel.pid_max")
		for _, err := range []error{err, err2, err3} {
			if !errors.Is(err, ErrNotMounted) {
				t.Error(err)
			}
		}
	}()
	<-done
}
