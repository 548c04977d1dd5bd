package scan

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"monban/abi"
	"monban/scan/internal/elftest"
)

// root is a file system of ELF files, and of text that can be executed.
func root(t *testing.T, files map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		data := []byte(fmt.Sprint(content))
		if f, ok := content.(elftest.File); ok {
			data = f.Bytes()
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const loader = "/lib64/ld-linux-x86-64.so.2"

// dynamic is a program that calls a function of a library through a pointer, behind other code, and mentions a text.
func dynamic(symbol, text string, pieces ...elftest.Piece) elftest.File {
	return elftest.File{Type: elf.ET_DYN, Entry: 0x1000, Interp: loader, Needed: []string{"libc.so.6"},
		Sections: []elftest.Section{elftest.Exec(0x1000, elftest.Asm(0x1000, append(pieces, elftest.LeaFirst(0x3000), elftest.CallSlot(0x4000), elftest.Ret)...)), elftest.ReadOnly(0x3000, []byte(text+"\x00")), elftest.Data(0x4000, elftest.Words(0))},
		Exports:  []elftest.Symbol{{Name: symbol}}, Relocs: []elftest.Reloc{{At: 0x4000, Type: uint32(elf.R_X86_64_JMP_SLOT), Symbol: symbol}}, Symbols: []elftest.Symbol{{Name: "main", Addr: 0x1000}}}
}

// library has functions that make one call each.
func library(soname string, calls map[string]uint32) elftest.File {
	f := elftest.File{Type: elf.ET_DYN, Soname: soname}
	at := uint64(0x1000)
	var code []byte
	for name, nr := range calls {
		f.Exports = append(f.Exports, elftest.Symbol{Name: name, Addr: at})
		body := elftest.Asm(at, elftest.Number(nr), elftest.Syscall, elftest.Ret, elftest.Align(16))
		code, at = append(code, body...), at+uint64(len(body))
	}
	f.Sections = []elftest.Section{elftest.Exec(0x1000, code)}
	return f
}

// A program, its library and its loader, and the way to each call.
func TestFiles(t *testing.T) {
	dir := root(t, map[string]any{"app": dynamic("wrapper", "/bin/sh", elftest.Number(39), elftest.Syscall), "bin/sh": "#!/bin/busybox\n",
		"lib64/libc.so.6": library("libc.so.6", map[string]uint32{"wrapper": 59, "unused": 102}), loader: elftest.File{Type: elf.ET_DYN, Entry: 0x1000, Sections: []elftest.Section{elftest.Exec(0x1000, elftest.Asm(0x1000, elftest.Number(9), elftest.Syscall, elftest.Ret))}}})
	r, err := Files(t.Context(), []string{"/app"}, Options{Root: dir})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"/app", "/lib64/libc.so.6", loader}; !slices.Equal(r.Files, want) || r.Arch != abi.X86_64 {
		t.Errorf("files %q for %v; want %q", r.Files, r.Arch, want)
	}
	ways := map[string]string{}
	for _, c := range r.Calls {
		var steps []string
		for _, s := range c.Path {
			steps = append(steps, strings.TrimSpace(s.How+" "+s.Function+" "+s.File))
		}
		ways[c.Name] = strings.Join(steps, ", ")
	}
	for name, want := range map[string]string{"getpid": "the loader calls it main /app", "execve": "the loader calls it main /app, calls wrapper /lib64/libc.so.6",
		"mmap": "the loader calls it 0x1000 " + loader, "rt_sigreturn": "", "restart_syscall": ""} {
		if got, ok := ways[name]; !ok || got != want {
			t.Errorf("the way to %s is %q; want %q", name, got, want)
		}
	}
	if len(ways) != 5 || len(r.Unresolved) != 0 {
		t.Errorf("calls %v, not traced %v", ways, r.Unresolved)
	}
	if !slices.Equal(r.Programs, []string{"/bin/sh"}) {
		t.Errorf("programs %q", r.Programs)
	}
}

// What a program loads and looks up while it runs.
func TestNotes(t *testing.T) {
	libc := library("libc.so.6", map[string]uint32{"dlopen": 2, "dlsym": 3, "write": 1})
	dir := root(t, map[string]any{"app": dynamic("dlopen", "libnss_x"), "looks": dynamic("dlsym", "x", elftest.Raw("\xf7\xd6")), "lib64/libc.so.6": libc, loader: library("ld", map[string]uint32{"x": 0}),
		"etc/nsswitch.conf": "passwd: x y\n", "lib64/libnss_x.so.2": library("libnss_x.so.2", map[string]uint32{"lookup": 41}), "text": "text"})
	r, err := Files(t.Context(), []string{"/app"}, Options{Root: dir, Follow: []string{"/looks"}, Also: []string{"/lib64/libnss_x.so.2"}, Mapped: []string{"/text", "/lib64/libc.so.6"}})
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct{ got, want []string }{
		"loaders": {r.Loaders, []string{"/app"}}, "lookups": {r.Lookups, []string{"/looks"}}, "missed": {r.Missed, []string{"/text"}}, "modules": {r.Modules, nil}, "programs": {r.Programs, nil},
		"calls": {names(r), []string{"close", "open", "read", "restart_syscall", "rt_sigreturn", "socket"}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: %q; want %q", what, c.got, c.want)
		}
	}
	if r, err = Files(t.Context(), []string{"/app"}, Options{Root: dir}); err != nil || !slices.Equal(r.Modules, []string{"/lib64/libnss_x.so.2"}) {
		t.Errorf("modules of the name service: %v, %v", r, err)
	}
}

func TestErrors(t *testing.T) {
	dir := root(t, map[string]any{"x86": tinyFile(elf.EM_X86_64), "arm": tinyFile(elf.EM_AARCH64), "text": "text", "lost": dynamic("f", ""), loader: tinyFile(elf.EM_X86_64)})
	files := func(o Options, names ...string) error {
		o.Root = dir
		_, err := Files(t.Context(), names, o)
		return err
	}
	if e, ok := errors.AsType[*ArchError](files(Options{}, "/x86", "/arm")); !ok || *e != (ArchError{"/arm", "/x86", abi.AArch64, abi.X86_64}) || e.Error() != "/arm: for aarch64, and /x86 is for x86_64" {
		t.Errorf("two architectures: %v", e)
	}
	if e, ok := errors.AsType[*BadFileError](files(Options{}, "/text")); !ok || e.File != "/text" {
		t.Errorf("a text: %v", e)
	}
	if e, ok := errors.AsType[*MissingLibraryError](files(Options{}, "/lost")); !ok || e.Library != "libc.so.6" {
		t.Errorf("a missing library: %v", e)
	}
	for name, err := range map[string]error{"a program": files(Options{}, "/none"), "a module": files(Options{Also: []string{"/none"}}, "/x86"), "an executed one": files(Options{Follow: []string{"/none"}}, "/x86")} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s that is not there: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Files(ctx, []string{"/x86"}, Options{Root: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled scan: %v", err)
	}
}

func tinyFile(m elf.Machine) elftest.File {
	return elftest.File{Machine: m, Sections: []elftest.Section{elftest.Exec(0x400000, []byte("\xc3\xc3\xc3\xc3"))}}
}

// Joining keeps what was there, in its order, and each thing once.
func TestAdd(t *testing.T) {
	a := &Result{Arch: abi.X86_64, Files: []string{"/a"}, Calls: []Call{{Nr: 1, Name: "write"}}, Programs: []string{"/b", "/c"}, Unresolved: []Site{{File: "/a"}}}
	b := &Result{Arch: abi.X86_64, Files: []string{"/b", "/a"}, Calls: []Call{{Nr: 0, Name: "read"}, {Nr: 1, Name: "write", Path: []Step{{}}}}, Loaders: []string{"/b"}, Unresolved: []Site{{File: "/a"}, {File: "/b"}}}
	sum := &Result{Arch: abi.AArch64}
	for _, r := range []*Result{a, b, b} {
		if err := sum.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(sum.Files, []string{"/a", "/b"}) || !slices.Equal(sum.Programs, []string{"/c"}) || !slices.Equal(sum.Loaders, []string{"/b"}) || len(sum.Unresolved) != 2 {
		t.Errorf("joined: %+v", sum)
	}
	if len(sum.Calls) != 2 || sum.Calls[0].Name != "read" || sum.Calls[1].Path != nil {
		t.Errorf("calls: %+v", sum.Calls)
	}
}
