//go:build unix

package main

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// umask reads the process's file mode creation mask, which can only be read by setting it.
func umask() fs.FileMode {
	old := syscall.Umask(0o077)
	syscall.Umask(old)
	return fs.FileMode(old)
}

// chownLike gives a file the owner of another where it may: root that formats a user's file leaves it the user's.
func chownLike(f *os.File, old fs.FileInfo) {
	if st, ok := old.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(st.Uid), int(st.Gid))
	}
}

// mayWrite says whether the file may be opened for writing. Root may always, unless the file system is read-only.
func mayWrite(name string) bool {
	return unix.Faccessat(unix.AT_FDCWD, name, unix.W_OK, unix.AT_EACCESS) == nil
}

// mayFollow says whether a symbolic link in a directory is followed when something is written. As the kernel does by
// fs.protected_symlinks, others' links are not followed where everybody may put them, as in /tmp.
func mayFollow(link, dir fs.FileInfo) bool {
	l, ok := link.Sys().(*syscall.Stat_t)
	d, ok2 := dir.Sys().(*syscall.Stat_t)
	if !ok || !ok2 || dir.Mode()&fs.ModeSticky == 0 || dir.Mode().Perm()&0o002 == 0 {
		return true
	}
	return int(l.Uid) == os.Geteuid() || l.Uid == d.Uid
}

// discards says whether a descriptor was closed when the program began, as far as can be seen: the Go runtime then
// opens /dev/null there, for reading and writing, before any code of ours. A shell's >/dev/null opens it for writing
// only.
func discards(f *os.File) bool {
	here, err := f.Stat()
	if err != nil {
		return true
	}
	null, err := os.Stat(os.DevNull)
	if err != nil || !os.SameFile(here, null) {
		return false
	}
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_ACCMODE == unix.O_RDWR
}

// inForeground says whether what the terminal's keys send reaches us, and so the programs that we start, too.
func inForeground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
