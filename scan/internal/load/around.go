package load

import (
	"debug/elf"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"monban/internal/regular"
	"monban/scan/internal/image"
)

// Executable says that a path is that of a program or a script.
func (l *Program) Executable(name string) bool {
	if filepath.Clean(name) != name {
		return false
	}
	p, err := l.path(name)
	if err != nil || strings.HasPrefix(name, "/proc/") {
		return false
	}
	st, err := os.Stat(p)
	if err != nil || !st.Mode().IsRegular() || st.Mode()&fs.FileMode(0o111) == 0 {
		return false
	}
	f, err := regular.Open(p)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 4)
	n, _ := f.Read(head)
	return string(head[:n]) == elf.ELFMAG || strings.HasPrefix(string(head[:n]), "#!")
}

// NameService are the modules that nsswitch.conf(5) names and that are there but not loaded.
func (l *Program) NameService() (out []string) {
	p, err := l.path("/etc/nsswitch.conf")
	if err != nil {
		return nil
	}
	b, err := regular.Read(p, maxConfig)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		_, services, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		for s := range strings.FieldsSeq(services) {
			path, found := l.find("libnss_"+s+".so.2", l.First(), l.First(), nil)
			loaded := slices.ContainsFunc(l.Images, func(m *image.Image) bool { return filepath.Base(m.Name) == filepath.Base(path) })
			if found && !loaded && !slices.Contains(out, path) {
				out = append(out, path)
			}
		}
	}
	return out
}
