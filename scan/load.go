package scan

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/cpu"

	securejoin "github.com/cyphar/filepath-securejoin" // symlinks inside another root, as container runtimes resolve them

	"monban/internal/regular"
)

// maxConfig is the largest file of the loader's or the name service's configuration that is read, in bytes.
const maxConfig = 1 << 20

// A loader finds libraries as ld.so does.
type loader struct {
	root    string
	paths   []string // LD_LIBRARY_PATH
	preload []string // LD_PRELOAD
	images  []*image // in the order in which symbols are looked up
	shared  int      // how many of them belong to the program itself, not to modules that it loads
	byPath  map[string]*image
	interp  *image // glibc's loader, where the program names it as its interpreter
}

// path is where a file of the root lies here.
func (l *loader) path(name string) (string, error) {
	if l.root == "" || l.root == "/" {
		return name, nil
	}
	return securejoin.SecureJoin(l.root, name)
}

func (l *loader) exists(name string) bool {
	p, err := l.path(name)
	if err != nil {
		return false
	}
	st, err := os.Stat(p)
	return err == nil && st.Mode().IsRegular()
}

// open reads a file once, under the name that it is known by.
func (l *loader) open(name string) (m *image, isNew bool, err error) {
	p, err := l.path(name)
	if err != nil {
		return nil, false, err
	}
	real, err := filepath.EvalSymlinks(p)
	if err != nil {
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			return nil, false, fmt.Errorf("%s: %w", name, pe.Err)
		}
		return nil, false, err
	}
	if m := l.byPath[real]; m != nil {
		return m, false, nil
	}
	m, err = openImage(real, name)
	if err != nil {
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			err = fmt.Errorf("%s: %w", name, pe.Err)
		}
		return nil, false, err
	}
	l.byPath[real] = m
	return m, true, nil
}

// load reads a program, its interpreter and its libraries, breadth first.
func (l *loader) load(name string) (*image, error) {
	first, isNew, err := l.open(name)
	if err != nil || !isNew {
		return first, err
	}
	var interp *image
	if b, _ := first.section(".interp"); b != nil {
		path := strings.TrimRight(string(b), "\x00")
		if interp, isNew, err = l.open(path); err != nil {
			return nil, fmt.Errorf("%s: its interpreter %w", name, err)
		}
		if isNew {
			interp.roots = append(interp.roots, interp.file.Entry)
			if interp.isLoader() {
				l.interp = interp
			}
			defer func() { l.images = append(l.images, interp) }()
		}
	}
	queue := []*image{first}
	if interp != nil {
		more, err := l.preloaded(first, interp)
		if err != nil {
			return nil, err
		}
		queue = append(queue, more...)
	}
	for len(queue) > 0 {
		m := queue[0]
		queue = queue[1:]
		l.images = append(l.images, m)
		if m.mach != first.mach {
			return nil, fmt.Errorf("%s: for %v, and %s is for %v", m.name, m.file.Machine, first.name, first.file.Machine)
		}
		needed, _ := m.file.DynString(elf.DT_NEEDED)
		for _, lib := range needed {
			if l.has(lib) {
				continue
			}
			path, ok := l.find(lib, m, first, interp)
			if !ok {
				return nil, fmt.Errorf("%s: its library %s was not found (name the file system it is for with --root, or its directory in LD_LIBRARY_PATH)", m.name, lib)
			}
			if path == "" {
				continue
			}
			n, isNew, err := l.open(path)
			if err != nil {
				return nil, fmt.Errorf("%s: its library %w", m.name, err)
			}
			if isNew {
				queue = append(queue, n)
			}
		}
	}
	return first, nil
}

// preloaded are the libraries that are loaded into every program: LD_PRELOAD's and those of /etc/ld.so.preload. One that is not there is
// ignored.
func (l *loader) preloaded(first, interp *image) (out []*image, err error) {
	names := l.preload
	if p, err := l.path("/etc/ld.so.preload"); err == nil {
		b, _ := regular.Read(p, maxConfig)
		for line := range strings.Lines(string(b)) {
			line, _, _ = strings.Cut(line, "#")
			names = append(names, strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\n:", r) })...)
		}
	}
	for _, name := range names {
		path, ok := l.find(name, first, first, interp)
		if !ok || path == "" {
			continue
		}
		m, isNew, err := l.open(path)
		if err != nil {
			return nil, fmt.Errorf("preloaded: %w", err)
		}
		if isNew {
			out = append(out, m)
		}
	}
	return out, nil
}

// has says that a library of this name is there already, wherever it was found.
func (l *loader) has(soname string) bool {
	for _, m := range l.byPath {
		if m.isLibrary(soname) {
			return true
		}
	}
	return false
}

// foreign says whether an ELF file is for another machine than an image.
func foreign(file string, to *image) bool {
	in, err := regular.Open(file)
	if err != nil {
		return false
	}
	defer in.Close()
	f, err := elf.NewFile(in)
	return err == nil && (f.Machine != to.file.Machine || f.Class != to.file.Class)
}

// find looks for a library where ld.so(8) does; the path is empty where it is the interpreter itself.
func (l *loader) find(lib string, from, first, interp *image) (string, bool) {
	if interp != nil && (lib == filepath.Base(interp.name) || strings.HasPrefix(filepath.Base(interp.name), "ld-musl-") &&
		(lib == "libc.so" || strings.HasPrefix(lib, "libc.musl-"))) {
		return "", true
	}
	if strings.Contains(lib, "/") {
		return lib, l.exists(lib)
	}
	var dirs []string
	run, _ := from.file.DynString(elf.DT_RUNPATH)
	if len(run) == 0 {
		for _, m := range []*image{from, first} {
			old, _ := m.file.DynString(elf.DT_RPATH)
			dirs = append(dirs, split(old, m)...)
		}
	}
	dirs = append(dirs, l.paths...)
	dirs = append(dirs, split(run, from)...)
	dirs = append(dirs, l.configured(from, interp)...)
	var files []string
	for _, d := range dirs {
		for _, level := range levels(first) {
			files = append(files, filepath.Join(d, "glibc-hwcaps", level, lib))
		}
		files = append(files, filepath.Join(d, lib))
	}
	for _, p := range files {
		if !l.exists(p) {
			continue
		}
		real, err := l.path(p)
		if err != nil {
			continue
		}
		// One for another machine is ignored.
		if foreign(real, from) {
			continue
		}
		return p, true
	}
	return "", false
}

// levels are the subdirectories with libraries for better processors that fit the one this runs on, best first (the x86-64 psABI's levels).
func levels(m *image) (out []string) {
	if m.mach != &x86 {
		return nil
	}
	x := &cpu.X86
	v2 := x.HasCX16 && x.HasPOPCNT && x.HasSSE3 && x.HasSSSE3 && x.HasSSE41 && x.HasSSE42
	v3 := v2 && x.HasAVX && x.HasAVX2 && x.HasBMI1 && x.HasBMI2 && x.HasFMA && x.HasOSXSAVE
	v4 := v3 && x.HasAVX512F && x.HasAVX512BW && x.HasAVX512CD && x.HasAVX512DQ && x.HasAVX512VL
	for level, has := range map[string]bool{"x86-64-v2": v2, "x86-64-v3": v3, "x86-64-v4": v4} {
		if has {
			out = append(out, level)
		}
	}
	slices.Sort(out)
	slices.Reverse(out)
	return out
}

// split takes a search path apart; $ORIGIN is the directory of the file that has it.
func split(paths []string, m *image) (dirs []string) {
	for _, p := range paths {
		for d := range strings.SplitSeq(p, ":") {
			d = strings.NewReplacer("$ORIGIN", filepath.Dir(m.name), "${ORIGIN}", filepath.Dir(m.name), "$LIB", "lib/"+multiarch(m),
				"${LIB}", "lib/"+multiarch(m)).Replace(d)
			if filepath.IsAbs(d) {
				dirs = append(dirs, d)
			}
		}
	}
	return dirs
}

func multiarch(m *image) string {
	if m.mach == &arm64 {
		return "aarch64-linux-gnu"
	}
	return "x86_64-linux-gnu"
}

// configured are the directories of the loader's configuration, and its own.
func (l *loader) configured(m, interp *image) (dirs []string) {
	arch := "x86_64"
	if m.mach == &arm64 {
		arch = "aarch64"
	}
	if interp != nil && strings.HasPrefix(filepath.Base(interp.name), "ld-musl-") {
		if p, err := l.path("/etc/ld-musl-" + arch + ".path"); err == nil {
			if b, err := regular.Read(p, maxConfig); err == nil {
				return strings.FieldsFunc(string(b), func(r rune) bool { return r == ':' || r == '\n' })
			}
		}
		return []string{"/lib", "/usr/local/lib", "/usr/lib"}
	}
	dirs = l.config("/etc/ld.so.conf", 0)
	for _, d := range []string{"/lib/" + multiarch(m), "/usr/lib/" + multiarch(m), "/lib64", "/usr/lib64", "/lib", "/usr/lib"} {
		if !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	if interp != nil { // a cross compiler's file system has its libraries beside the loader
		dirs = append(dirs, filepath.Dir(interp.name))
	}
	return dirs
}

// config reads ld.so.conf and what it includes.
func (l *loader) config(name string, depth int) (dirs []string) {
	p, err := l.path(name)
	if err != nil || depth > 8 {
		return nil
	}
	b, err := regular.Read(p, maxConfig)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
		pattern, include := strings.CutPrefix(line, "include ")
		switch pattern = strings.TrimSpace(pattern); {
		case include:
			if !filepath.IsAbs(pattern) {
				pattern = filepath.Join(filepath.Dir(name), pattern)
			}
			files, _ := filepath.Glob(filepath.Join(l.root, pattern))
			for _, f := range files {
				dirs = append(dirs, l.config("/"+strings.TrimPrefix(strings.TrimPrefix(f, l.root), "/"), depth+1)...)
			}
		case filepath.IsAbs(line):
			dirs = append(dirs, strings.TrimSpace(line))
		}
	}
	return dirs
}

// A definition is what a symbol means.
type definition struct {
	image *image
	export
}

// lookup is where a symbol is defined: in the first image that has it, as at run time. Of several versions, the one that is asked for;
// where that is not there, all. Modules see each other's symbols only in part, so all that modules define counts where nothing else does.
func (l *loader) lookup(p pointer) (found []definition) {
	for k, m := range l.images {
		if k >= l.shared || len(found) == 0 {
			for _, e := range m.versions(p) {
				found = append(found, definition{m, e})
			}
		}
		if k+1 == l.shared && len(found) > 0 {
			break
		}
	}
	return found
}

// versions are the symbols of an image that a pointer may be to.
func (m *image) versions(p pointer) []export {
	all := m.exports[p.symbol]
	if p.ver != "" {
		if exact := slices.DeleteFunc(slices.Clone(all), func(e export) bool { return e.version != p.ver }); len(exact) > 0 {
			return exact
		}
	}
	return all
}
