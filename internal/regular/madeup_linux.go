package regular

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// fileless are the file systems of which the files are made up, as statfs(2) calls them. Those of /proc claim to be
// regular.
var fileless = []uint32{
	unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.TRACEFS_MAGIC, unix.DEBUGFS_MAGIC, unix.SECURITYFS_MAGIC, unix.CGROUP_SUPER_MAGIC,
	unix.CGROUP2_SUPER_MAGIC, unix.BPF_FS_MAGIC, unix.PSTOREFS_MAGIC, unix.SELINUX_MAGIC, unix.EFIVARFS_MAGIC, unix.BINFMTFS_MAGIC,
	unix.NSFS_MAGIC, unix.RDTGROUP_SUPER_MAGIC,
}

// noWait has an open for reading return at once, whatever it is of.
const noWait = unix.O_NONBLOCK

func madeUp(name string) bool {
	var st unix.Statfs_t
	return unix.Statfs(name, &st) == nil && slices.Contains(fileless, uint32(st.Type))
}

func isMadeUp(f *os.File) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(int(f.Fd()), &st) == nil && slices.Contains(fileless, uint32(st.Type))
}
