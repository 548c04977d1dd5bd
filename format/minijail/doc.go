// Package minijail reads and writes the policies of minijail, which crosvm, ChromiumOS and Android use.
//
// A policy is written for one architecture, and means what minijail's own compiler (compile_seccomp_policy) makes of it
// when a kill is kill-process: calls that are not named, and numbers that nobody has, get the default; threads of
// foreign architectures are killed; x32 is no architecture of its own, its numbers get the default; comparisons are
// unsigned and look at the whole register; of several filters for a call the first that matches decides. Read for
// several architectures it speaks for each, by itself.
package minijail
