package load

import (
	"debug/elf"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/cpu"

	securejoin "github.com/cyphar/filepath-securejoin" // symlinks inside another root, as container runtimes resolve them

	"monban/abi"
	"monban/internal/regular"
	"monban/scan/internal/image"
)

// path is where a file of the root lies here.
func (l *Program) path(name string) (string, error) {
	if l.options.Root == "" || l.options.Root == "/" {
		return name, nil
	}
	return securejoin.SecureJoin(l.options.Root, name)
}

func (l *Program) exists(name string) bool {
	p, err := l.path(name)
	if err != nil {
		return false
	}
	st, err := os.Stat(p)
	return err == nil && st.Mode().IsRegular()
}

// foreign says whether an ELF file is for another machine than an image.
func foreign(file string, to *image.Image) bool {
	in, err := regular.Open(file)
	if err != nil {
		return false
	}
	defer in.Close()
	f, err := elf.NewFile(in)
	return err == nil && (f.Machine != to.File.Machine || f.Class != to.File.Class)
}

// find looks for a library where ld.so(8) does; the path is empty where it is the interpreter itself.
func (l *Program) find(lib string, from, first, interp *image.Image) (string, bool) {
	if interp != nil && (lib == filepath.Base(interp.Name) || strings.HasPrefix(filepath.Base(interp.Name), "ld-musl-") &&
		(lib == "libc.so" || strings.HasPrefix(lib, "libc.musl-"))) {
		return "", true
	}
	if strings.Contains(lib, "/") {
		return lib, l.exists(lib)
	}
	var dirs []string
	if len(from.RunPath) == 0 {
		for _, m := range []*image.Image{from, first} {
			dirs = append(dirs, split(m.RPath, m)...)
		}
	}
	dirs = append(dirs, l.options.LibraryPath...)
	dirs = append(dirs, split(from.RunPath, from)...)
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

// levels are the subdirectories with libraries for better processors that fit the one this runs on, best first (the
// x86-64 psABI's levels).
func levels(m *image.Image) (out []string) {
	if m.Machine.Arch != abi.X86_64 {
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
func split(paths []string, m *image.Image) (dirs []string) {
	for _, p := range paths {
		for d := range strings.SplitSeq(p, ":") {
			d = strings.NewReplacer("$ORIGIN", filepath.Dir(m.Name), "${ORIGIN}", filepath.Dir(m.Name), "$LIB", "lib/"+m.Machine.Multiarch,
				"${LIB}", "lib/"+m.Machine.Multiarch).Replace(d)
			if filepath.IsAbs(d) {
				dirs = append(dirs, d)
			}
		}
	}
	return dirs
}
