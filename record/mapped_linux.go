package record

import (
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/abi"
	"monban/bpf"
	"monban/internal/regular"
	"monban/internal/sys"
)

// takes notes that a program is there, and perhaps a file that it maps to run code from. Each was this file, if that is
// known.
func (r *Recording) takes(program string, id FileID, file string, fileID FileID) {
	if r.Files[program] == nil {
		r.Files[program] = map[string]bool{}
	}
	r.identify(program, id)
	if file != "" && file != program {
		r.Files[program][file] = true
		r.identify(file, fileID)
	}
}

func (r *Recording) identify(name string, id FileID) {
	old, known := r.ids[name]
	switch {
	case id == (FileID{}):
	case known && old != id:
		r.ids[name] = FileID{} // two files had the name: it says nothing
	default:
		r.ids[name] = id
	}
}

// Is says whether a name in Files leads to the very file that took part in the run: it may have been replaced or
// removed since, or was one in another root directory.
func (r *Recording) Is(name string) bool {
	id := r.ids[name]
	if id == (FileID{}) {
		return false
	}
	if id.Mapped {
		return mappedID(name) == id
	}
	return statID(name) == id
}

// statID is the zero FileID where there is no regular file.
func statID(name string) FileID {
	var s unix.Stat_t
	if unix.Stat(name, &s) != nil || s.Mode&unix.S_IFMT != unix.S_IFREG {
		return FileID{}
	}
	return FileID{Device: uint64(s.Dev), Inode: s.Ino}
}

// mappedID is what the kernel says of a mapping of the file.
func mappedID(name string) (id FileID) {
	f, err := regular.Open(name)
	if err != nil {
		return FileID{}
	}
	defer f.Close()
	mem, err := unix.Mmap(int(f.Fd()), 0, 1, unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return FileID{}
	}
	defer unix.Munmap(mem)
	maps, err := sys.OwnMappings()
	if err != nil {
		return FileID{}
	}
	for _, m := range maps {
		if m.Begin == uint64(uintptr(unsafe.Pointer(&mem[0]))) {
			return FileID{m.Device, m.Inode, true}
		}
	}
	return FileID{}
}

// A namedFile is a file and the name that a process had for it.
type namedFile struct {
	name string
	id   FileID
}

// fileOf is where one of a thread's links leads.
func fileOf(tid int, link string) (namedFile, error) {
	name, err := sys.Link(tid, link)
	return namedFile{name, statID(sys.Path(tid, link))}, err
}

// unknownProgram stands for the program of a thread that is gone.
const unknownProgram = "?"

// executableOf is the file that a thread runs; the zero namedFile if it is gone.
func executableOf(tid int) namedFile {
	x, err := fileOf(tid, "exe")
	if err != nil {
		return namedFile{}
	}
	return x
}

// runs notes an executable, and is its name without its directory.
func (r *Recording) runs(x namedFile) string {
	if x.name == "" {
		return unknownProgram
	}
	r.takes(x.name, x.id, "", FileID{})
	return filepath.Base(x.name)
}

// mapped is the file that a call maps, if it maps one to run code from: a library, or a module that no table of the
// program names.
func mapped(tid int, a abi.Arch, name string, d *bpf.Data) (program, file namedFile, ok bool) {
	if name != "mmap" && name != "mmap2" {
		return program, file, false
	}
	args, _ := a.Args(name)
	descriptor, runs := -1, false
	for _, arg := range args {
		switch v := d.Args[arg.Index]; {
		case arg.Is("fd"):
			descriptor = int(int32(v))
		case arg.Is("prot"):
			runs = v&unix.PROT_EXEC != 0
		}
	}
	if !runs || descriptor < 0 {
		return program, file, false
	}
	program, err := fileOf(tid, "exe")
	file, err2 := fileOf(tid, "fd/"+strconv.Itoa(descriptor))
	return program, file, err == nil && err2 == nil && strings.HasPrefix(file.name, "/")
}
