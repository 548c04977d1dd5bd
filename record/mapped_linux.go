package record

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"monban/abi"
	"monban/bpf"
)

// takes notes that a program is there, and perhaps a file that it maps to run code from.
func (r *Recording) takes(program, file string) {
	if r.Files[program] == nil {
		r.Files[program] = map[string]bool{}
	}
	if file != "" && file != program {
		r.Files[program][file] = true
	}
}

// maps notes the file that a call maps, if it maps one to run code from: a library, or a module that no table of the program names.
func (r *Recording) maps(tid int, a abi.Arch, name string, d *bpf.Data) {
	if name != "mmap" && name != "mmap2" {
		return
	}
	args, _ := a.Args(name)
	file, runs := -1, false
	for _, arg := range args {
		switch v := d.Args[arg.Index]; {
		case arg.Is("fd"):
			file = int(int32(v))
		case arg.Is("prot"):
			runs = v&unix.PROT_EXEC != 0
		}
	}
	if !runs || file < 0 {
		return
	}
	proc := "/proc/" + strconv.Itoa(tid)
	program, err := os.Readlink(proc + "/exe")
	mapped, err2 := os.Readlink(proc + "/fd/" + strconv.Itoa(file))
	if err == nil && err2 == nil && strings.HasPrefix(mapped, "/") {
		r.takes(program, mapped)
	}
}
