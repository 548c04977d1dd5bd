// Package scan finds, without running anything, which system calls an ELF program can reach. It loads the program and
// its libraries as the dynamic loader would, follows calls, jumps and function pointers from the entry point, and
// traces the call's number back from each system call instruction, through as many functions as pass it on.
//
//	r, err := scan.Files(ctx, []string{"/usr/bin/ls"}, scan.Options{})
//	if err != nil {
//		return err
//	}
//	for _, c := range r.Calls {
//		fmt.Println(c.Name)
//	}
//
// The result is a superset of what a run can do, except for the sites in Result.Unresolved, what the program executes
// or loads by itself, and what package graph (facts.go) says of glibc. Three things are taken for granted: a function
// does not change its caller's frame other than through pointers that it was given, functions keep the registers that
// their convention makes them keep, and code is neither made nor changed at run time.
//
// Each of its internal packages does one step: decode (instructions), image (an ELF file), load (which files), code
// (functions and what leads out of them), graph (what is reached), flow (what a function's registers hold), trace
// (where numbers come from).
package scan
