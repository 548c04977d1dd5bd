package record

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"monban/abi"
	"monban/bpf"
)

// A file in a recording is the very file, not another that has its name by now; two that had the name say nothing.
func TestIs(t *testing.T) {
	dir := t.TempDir()
	name, other := filepath.Join(dir, "x"), filepath.Join(dir, "y")
	if err := errors.Join(os.WriteFile(name, []byte("x"), 0o600), os.WriteFile(other, []byte("y"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for what, id := range map[string]func(string) FileID{"as a file": statID, "as mapped": mappedID} {
		r := New(nil, "")
		if r.takes(name, id(name), "", FileID{}); !r.Is(name) || r.Is(other) {
			t.Errorf("%s: it is not known again: %v", what, r.ids)
		}
		r.takes("/bin/program", FileID{}, name, id(name))
		if !r.Is(name) || !r.Files["/bin/program"][name] || r.Is("/bin/program") {
			t.Errorf("%s: %v", what, r.ids)
		}
		r.takes(other, id(name), "", FileID{})
		if r.Is(other) {
			t.Errorf("%s: another file of the name is taken for it", what)
		}
		r.takes(name, id(other), "", FileID{})
		if r.Is(name) {
			t.Errorf("%s: two files had the name", what)
		}
	}
	for _, name := range []string{dir, filepath.Join(dir, "none"), "/dev/null"} {
		if id := statID(name); id != (FileID{}) {
			t.Errorf("%s: %v", name, id)
		}
		if id := mappedID(name); id != (FileID{}) {
			t.Errorf("%s, mapped: %v", name, id)
		}
	}
}

// A call that maps a file to run code from, by the descriptor's and the protection's places on each architecture.
func TestMapped(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lib")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	fd, none := uint64(f.Fd()), uint64(1<<32-1)
	for _, c := range []struct {
		arch abi.Arch
		call string
		prot uint64
		fd   uint64
		ok   bool
	}{
		{abi.X86_64, "mmap", unix.PROT_READ | unix.PROT_EXEC, fd, true},
		{abi.X86_64, "mmap", unix.PROT_EXEC, fd | 1<<32, true}, // the kernel looks at 32 bits
		{abi.X86_64, "mmap", unix.PROT_READ | unix.PROT_WRITE, fd, false},
		{abi.X86_64, "mmap", unix.PROT_EXEC, none, false},
		{abi.X86_64, "mmap", unix.PROT_EXEC, 1 << 20, false},
		{abi.X86_64, "mprotect", unix.PROT_EXEC, fd, false},
		{abi.X86, "mmap2", unix.PROT_EXEC, fd, true},
	} {
		program, file, ok := mapped(unix.Getpid(), c.arch, c.call, &bpf.Data{Args: [6]uint64{2: c.prot, 4: c.fd}})
		if ok != c.ok || ok && (program.name != exe || program.id != statID(exe) || file.name != name || file.id != statID(name)) {
			t.Errorf("%+v: %v, %v, %v", c, program, file, ok)
		}
	}
	// What has no name in the file system is not a library.
	pipe, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer w.Close()
	if _, file, ok := mapped(unix.Getpid(), abi.X86_64, "mmap", &bpf.Data{Args: [6]uint64{2: unix.PROT_EXEC, 4: uint64(pipe.Fd())}}); ok {
		t.Errorf("%v", file)
	}
	r := New(nil, "")
	if got := r.runs(executableOf(unix.Getpid())); got != filepath.Base(exe) || !r.Is(exe) {
		t.Errorf("%s, %v", got, r.ids)
	}
	if got := r.runs(executableOf(1 << 30)); got != unknownProgram || len(r.Files) != 1 {
		t.Errorf("%s, %v", got, r.Files)
	}
}
