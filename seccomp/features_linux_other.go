//go:build linux && !amd64

package seccomp

// foreignCalls is empty: a process of this architecture has one calling convention.
var foreignCalls []probe
