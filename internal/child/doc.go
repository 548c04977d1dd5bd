// Package child starts a process that performs a list of system calls and nothing else: what happens between fork and
// exec, as data. The child runs one small loop on a stack of its own; no Go code of the program, no runtime, no second
// start of the executable. It shares the memory of its parent until it execs, so that the parent sees how far it has
// come, and stops at the first call whose result is not the one that was asked for.
//
// On amd64 and arm64 it is started as a thread is, without copying page tables, and the caller goes on meanwhile: that
// is what lets a parent trace or stop it before its exec, which syscall.ForkExec cannot. Elsewhere it is a plain fork.
package child
