// Package sys is where Monban and the kernel meet in bytes: seccomp's structures and its calls on a listener, a filter
// as an array of struct sock_filter, and what /proc says of threads. It decides nothing.
//
// Readers of /proc read a bounded number of bytes, and return a *fs.PathError that names the file. errors.Is tells what
// was wrong with it: unix.ESRCH (no such process or thread, or it ended meanwhile), [ErrNotMounted], [ErrTooLong],
// [ErrMalformed], or the errno of whoever denies it.
//
// All of it is for Linux.
package sys
