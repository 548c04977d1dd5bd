// Package nofile remembers the limit on open files that this process was started with.
//
// Package syscall raises the soft limit when a Go program begins and lowers it again for the children that it starts
// itself; it tells nobody what it was. This package is initialised before it, since it depends on nothing and its path
// sorts first (The Go Programming Language Specification, Program initialization, as the linker has done it since Go
// 1.21).
package nofile
