package oci

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"monban/internal/nearest"
)

// allCaps are the capabilities of linux/capability.h in the order of their numbers, without their CAP_.
var allCaps = strings.Fields(`
	CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST
	NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE
	SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM
	BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`)

// dockerCaps are what Docker grants a container that asks for nothing (its "default capabilities").
var dockerCaps = strings.Fields(`
	AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID SYS_CHROOT`)

func capNames(short []string) []string {
	full := make([]string, len(short))
	for i, c := range short {
		full[i] = "CAP_" + c
	}
	return full
}

// DefaultCaps returns the 14 capabilities that Docker grants by default, as CAP_CHOWN.
func DefaultCaps() []string { return capNames(dockerCaps) }

// AllCaps returns every capability of Linux, as CAP_CHOWN, in the order of their numbers.
func AllCaps() []string { return capNames(allCaps) }

// ParseCaps reads capability names in any usual spelling (CAP_SYS_ADMIN, cap_sys_admin, sys_admin), and the words
// docker (what [DefaultCaps] returns), none and all. The result is sorted, without duplicates and never nil; the
// error suggests the nearest name.
func ParseCaps(names []string) ([]string, error) {
	caps := []string{}
	for _, name := range names {
		switch word := strings.ToUpper(strings.TrimSpace(name)); word {
		case "NONE":
		case "ALL":
			caps = append(caps, AllCaps()...)
		case "DOCKER":
			caps = append(caps, DefaultCaps()...)
		default:
			short := strings.TrimPrefix(word, "CAP_")
			if !slices.Contains(allCaps, short) {
				hint := cmp.Or(nearest.Hint(short, allCaps), " (want one like CAP_SYS_ADMIN, or docker, none, all)")
				return nil, fmt.Errorf("unknown capability %q%s", name, hint)
			}
			caps = append(caps, "CAP_"+short)
		}
	}
	slices.Sort(caps)
	return slices.Compact(caps), nil
}
