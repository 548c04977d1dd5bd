package load

import (
	"path/filepath"
	"slices"
	"strings"

	"monban/internal/regular"
	"monban/scan/internal/image"
)

// maxConfig is the largest file of the loader's or the name service's configuration that is read, in bytes.
const maxConfig = 1 << 20

// configured are the directories of the loader's configuration, and its own.
func (l *Program) configured(m, interp *image.Image) (dirs []string) {
	if interp != nil && strings.HasPrefix(filepath.Base(interp.Name), "ld-musl-") {
		if p, err := l.path("/etc/ld-musl-" + m.Machine.Arch.String() + ".path"); err == nil {
			if b, err := regular.Read(p, maxConfig); err == nil {
				return strings.FieldsFunc(string(b), func(r rune) bool { return r == ':' || r == '\n' })
			}
		}
		return []string{"/lib", "/usr/local/lib", "/usr/lib"}
	}
	dirs = l.config("/etc/ld.so.conf", map[string]bool{})
	for _, d := range []string{"/lib/" + m.Machine.Multiarch, "/usr/lib/" + m.Machine.Multiarch, "/lib64", "/usr/lib64", "/lib", "/usr/lib"} {
		if !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	if interp != nil { // a cross compiler's file system has its libraries beside the loader
		dirs = append(dirs, filepath.Dir(interp.Name))
	}
	return dirs
}

// config reads ld.so.conf and what it includes, each file once.
func (l *Program) config(name string, seen map[string]bool) (dirs []string) {
	p, err := l.path(name)
	if err != nil || seen[p] {
		return nil
	}
	seen[p] = true
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
			files, _ := filepath.Glob(filepath.Join(l.options.Root, pattern))
			for _, f := range files {
				dirs = append(dirs, l.config("/"+strings.TrimPrefix(strings.TrimPrefix(f, l.options.Root), "/"), seen)...)
			}
		case filepath.IsAbs(line):
			dirs = append(dirs, strings.TrimSpace(line))
		}
	}
	return dirs
}
