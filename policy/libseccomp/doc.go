// Package libseccomp makes policies by libseccomp's rule API: the calls of seccomp.h, with their meaning and their
// errors, on a [Builder].
package libseccomp
