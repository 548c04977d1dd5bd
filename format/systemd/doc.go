// Package systemd reads the system call settings of unit files, drop-ins included, and writes them.
//
//	SystemCallFilter=         calls and groups; the first makes an allow or (~) a deny list, later ones add and remove
//	SystemCallErrorNumber=    what denied calls get instead of being killed
//	SystemCallArchitectures=  the architectures that may be used; the native one always may
//	SystemCallLog=            calls that are logged
//
// They mean what systemd makes of them (src/shared/seccomp-util.c): the filter speaks for every architecture that the
// machine's kernel runs; others pass unless SystemCallArchitectures= is there, which kills their threads; @default is
// always in an allow list; names that nobody knows are ignored. Groups are Monban's, which have all that systemd's have
// and newer calls. Other settings that install filters (RestrictAddressFamilies= and so on) are not read; a note names
// them. For an allow list systemd from version 256 on may add write(2), for its own use.
package systemd
