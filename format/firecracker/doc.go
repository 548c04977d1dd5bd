// Package firecracker reads the JSON filters of Firecracker and of rust-vmm's seccompiler: a map of thread names to
// filters. firecracker:FILE#thread says which of them is meant.
//
// A filter means what seccompiler's compiler makes of it: the rules are alternatives, and so are those of one call; the
// tests of a rule all have to hold; a dword looks at the low 32 bits of a register and of the value, a qword at the
// whole register; order is unsigned. Every number of the architecture that no rule matches gets mismatch_action, those
// of x32 included, for the program looks at the architecture's token only; another token gets kill_process.
package firecracker
