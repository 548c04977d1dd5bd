package load

import (
	"debug/elf"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"monban/scan/internal/elftest"
	"monban/scan/internal/image"
)

// A tree is a file system: text, or ELF files, by path. A text that begins with "-> " is a symbolic link.
type tree map[string]any

func (f tree) make(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range f {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		var data []byte
		switch c := content.(type) {
		case elftest.File:
			if c.Sections == nil {
				c.Sections = []elftest.Section{elftest.Exec(0x1000, []byte("\xc3\xc3\xc3\xc3"))}
			}
			data = c.Bytes()
		case string:
			if to, ok := strings.CutPrefix(c, "-> "); ok {
				if err := os.Symlink(to, path); err != nil {
					t.Skipf("needs symbolic links: %v", err)
				}
				continue
			}
			data = []byte(c)
		}
		if err := os.WriteFile(path, data, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func names(p *Program) (out []string) {
	for _, m := range p.Images {
		out = append(out, m.Name)
	}
	return out
}

// lib is a library of a name, which needs others.
func lib(soname string, needed ...string) elftest.File {
	return elftest.File{Type: elf.ET_DYN, Soname: soname, Needed: needed}
}

const loader = "/lib64/ld-linux-x86-64.so.2"

// app is a program that needs libraries.
func app(needed ...string) elftest.File {
	return elftest.File{Type: elf.ET_DYN, Entry: 0x1000, Interp: loader, Needed: needed}
}

// Where libraries are looked for, and in which order they are loaded.
func TestSearch(t *testing.T) {
	with := func(f elftest.File, change func(*elftest.File)) elftest.File {
		change(&f)
		return f
	}
	for _, c := range []struct {
		name  string
		files tree
		o     Options
		want  []string
	}{
		{"the standard directories, breadth first", tree{"app": app("liba.so", "libb.so"), loader: lib("ld-linux-x86-64.so.2"),
			"usr/lib/x86_64-linux-gnu/liba.so": lib("liba.so", "libc.so"), "lib64/libb.so": lib("libb.so"), "usr/lib/libc.so": lib("libc.so", "liba.so", "ld-linux-x86-64.so.2")},
			Options{}, []string{"/app", "/usr/lib/x86_64-linux-gnu/liba.so", "/lib64/libb.so", "/usr/lib/libc.so", loader}},
		{"a static program", tree{"app": elftest.File{}}, Options{}, []string{"/app"}},
		{"LD_LIBRARY_PATH before those", tree{"app": app("liba.so"), loader: lib("x"), "usr/lib/liba.so": lib("liba.so"), "opt/liba.so": lib("liba.so")},
			Options{LibraryPath: []string{"/none", "/opt"}}, []string{"/app", "/opt/liba.so", loader}},
		{"RPATH before that", tree{"bin/app": with(app("liba.so"), func(f *elftest.File) { f.RPath = "$ORIGIN/../own:relative" }), loader: lib("x"),
			"own/liba.so": lib("liba.so"), "opt/liba.so": lib("liba.so")}, Options{LibraryPath: []string{"/opt"}}, []string{"/bin/app", "/own/liba.so", loader}},
		{"RPATH of the program for its libraries' libraries", tree{"app": with(app("liba.so"), func(f *elftest.File) { f.RPath = "/own" }), loader: lib("x"),
			"own/liba.so": lib("liba.so", "libb.so"), "own/libb.so": lib("libb.so")}, Options{}, []string{"/app", "/own/liba.so", "/own/libb.so", loader}},
		{"RUNPATH after it, and no RPATH then", tree{"app": with(app("liba.so"), func(f *elftest.File) { f.RPath, f.RunPath = "/rpath", "/run/${LIB}" }), loader: lib("x"),
			"rpath/liba.so": lib("liba.so"), "run/lib/x86_64-linux-gnu/liba.so": lib("liba.so")}, Options{}, []string{"/app", "/run/lib/x86_64-linux-gnu/liba.so", loader}},
		{"a name with a slash", tree{"app": app("/own/liba.so"), loader: lib("x"), "own/liba.so": lib("liba.so")}, Options{}, []string{"/app", "/own/liba.so", loader}},
		{"ld.so.conf, with files that include each other", tree{"app": app("liba.so", "libb.so"), loader: lib("x"), "etc/ld.so.conf": "# none\ninclude ld.so.conf.d/*.conf\n",
			"etc/ld.so.conf.d/a.conf": "/opt/a # one\ninclude /etc/ld.so.conf\ninclude b.conf\n", "etc/ld.so.conf.d/b.conf": "/opt/b\nnot absolute\n",
			"opt/a/liba.so": lib("liba.so"), "opt/b/libb.so": lib("libb.so")}, Options{}, []string{"/app", "/opt/a/liba.so", "/opt/b/libb.so", loader}},
		{"what is for another machine is ignored", tree{"app": app("liba.so"), loader: lib("x"), "lib64/liba.so": with(lib("liba.so"), func(f *elftest.File) { f.Machine = elf.EM_AARCH64 }),
			"usr/lib/liba.so": lib("liba.so")}, Options{}, []string{"/app", "/usr/lib/liba.so", loader}},
		{"beside the loader", tree{"app": with(app("liba.so"), func(f *elftest.File) { f.Interp = "/cross/lib/ld-linux-x86-64.so.2" }), "cross/lib/ld-linux-x86-64.so.2": lib("x"),
			"cross/lib/liba.so": lib("liba.so")}, Options{}, []string{"/app", "/cross/lib/liba.so", "/cross/lib/ld-linux-x86-64.so.2"}},
		{"a library that is there under another name", tree{"app": app("libone.so", "liba.so"), loader: lib("x"), "lib64/libone.so": lib("liba.so"), "lib64/liba.so": lib("liba.so")},
			Options{}, []string{"/app", "/lib64/libone.so", loader}},
		{"one file under two names", tree{"app": app("liba.so", "libb.so"), loader: lib("x"), "lib64/liba.so": lib(""), "lib64/libb.so": "-> liba.so"}, Options{}, []string{"/app", "/lib64/liba.so", loader}},
		{"preloaded", tree{"app": app("liba.so"), loader: lib("x"), "lib64/liba.so": lib("liba.so"), "lib64/libp.so": lib("libp.so"), "opt/q.so": lib("q.so"),
			"etc/ld.so.preload": "/opt/q.so:/none # and none\n"}, Options{Preload: []string{"libp.so", "ld-linux-x86-64.so.2"}}, []string{"/app", "/lib64/libp.so", "/opt/q.so", "/lib64/liba.so", loader}},
		{"musl, which is its own libc", tree{"app": with(app("libc.so", "libc.musl-x86_64.so.1", "liba.so"), func(f *elftest.File) { f.Interp = "/lib/ld-musl-x86_64.so.1" }),
			"lib/ld-musl-x86_64.so.1": lib("libc.so"), "usr/local/lib/liba.so": lib("liba.so")}, Options{}, []string{"/app", "/usr/local/lib/liba.so", "/lib/ld-musl-x86_64.so.1"}},
		{"musl's own path", tree{"app": with(app("liba.so"), func(f *elftest.File) { f.Interp = "/lib/ld-musl-x86_64.so.1" }), "lib/ld-musl-x86_64.so.1": lib("libc.so"),
			"etc/ld-musl-x86_64.path": "/m1:/m2\n", "m2/liba.so": lib("liba.so"), "usr/lib/liba.so": lib("liba.so")}, Options{}, []string{"/app", "/m2/liba.so", "/lib/ld-musl-x86_64.so.1"}},
		{"ARM", tree{"app": elftest.File{Machine: elf.EM_AARCH64, Type: elf.ET_DYN, Interp: "/lib/ld-linux-aarch64.so.1", Needed: []string{"liba.so"}},
			"lib/ld-linux-aarch64.so.1": elftest.File{Machine: elf.EM_AARCH64, Type: elf.ET_DYN}, "usr/lib/aarch64-linux-gnu/liba.so": elftest.File{Machine: elf.EM_AARCH64, Type: elf.ET_DYN}},
			Options{}, []string{"/app", "/usr/lib/aarch64-linux-gnu/liba.so", "/lib/ld-linux-aarch64.so.1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Root = c.files.make(t)
			p, err := New(c.want[0], c.o)
			if err != nil {
				t.Fatal(err)
			}
			if got := names(p); !slices.Equal(got, c.want) {
				t.Errorf("loaded %q; want %q", got, c.want)
			}
			if p.Shared != len(c.want) || p.First().Name != c.want[0] {
				t.Errorf("%d belong to %s", p.Shared, p.First().Name)
			}
			if glibc := strings.Contains(p.First().Interpreter, "ld-linux"); (p.Interp != nil) != glibc {
				t.Errorf("glibc's loader is %v", p.Interp)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	arm := elftest.File{Machine: elf.EM_AARCH64, Type: elf.ET_DYN}
	root := tree{"static": elftest.File{}, "lost": app("libnone.so"), "nointerp": elftest.File{Interp: "/none"}, "bad": app("libbad.so"), "lib64/libbad.so": "text", "mixed": app("/arm.so"),
		"arm.so": arm, loader: lib("x"), "armed": elftest.File{Interp: "/arm.so"}, "loop": "-> loop", "preload/etc/ld.so.preload": "/bad.so\n", "preload/bad.so": "text", "preload/app": app(), "preload" + loader: lib("x")}.make(t)
	for _, c := range []struct{ root, name, want string }{
		{root, "/none", "/none: no such file or directory"},
		{root, "/lost", "/lost: its library libnone.so was not found"},
		{root, "/nointerp", "/nointerp: its interpreter /none: no such file or directory"},
		{root, "/bad", "/bad: its library /lib64/libbad.so: not an ELF file"},
		{root, "/mixed", "/arm.so: for EM_AARCH64, and /mixed is for EM_X86_64"},
		{root, "/armed", "/arm.so: for EM_AARCH64, and /armed is for EM_X86_64"},
		{root + "/preload", "/app", "preloaded: /bad.so: not an ELF file"},
	} {
		if _, err := New(c.name, Options{Root: c.root + "/"}); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v; want %s", c.name, err, c.want)
		}
	}
	if _, err := New("/none", Options{Root: root}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := New("/lost", Options{Root: root}); err != nil {
		if m, ok := errors.AsType[*MissingLibraryError](err); !ok || m.File != "/lost" || m.Library != "libnone.so" {
			t.Errorf("a missing library: %#v", err)
		}
	}
	if _, err := New("/bad", Options{Root: root}); err != nil {
		if b, ok := errors.AsType[*image.BadFileError](err); !ok || b.File != "/lib64/libbad.so" {
			t.Errorf("a bad library: %#v", err)
		}
	}
	if _, err := New("/loop", Options{Root: root}); err == nil {
		t.Error("a link to itself is loaded")
	}
	if _, err := New(filepath.Join(root, "static"), Options{}); err != nil {
		t.Errorf("without a root: %v", err)
	}
}

// Modules are what others do not need; anybody may call what they show.
func TestModules(t *testing.T) {
	module := lib("m.so", "libhelp.so")
	module.Exports = []elftest.Symbol{{Name: "entry", Addr: 0x1001}, {Name: "other", Addr: 0x1002}}
	help := lib("libhelp.so")
	help.Exports = []elftest.Symbol{{Name: "help", Addr: 0x1003}}
	root := tree{"app": app(), loader: lib("ld"), "m.so": module, "lib64/libhelp.so": help, "text": "text"}.make(t)

	p, err := New("/app", Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Also("/m.so"); err != nil {
		t.Fatal(err)
	}
	if err := p.Also("/none.so"); err == nil {
		t.Error("a module that is not there is loaded")
	}
	if want := []string{"/app", loader, "/m.so", "/lib64/libhelp.so"}; !slices.Equal(names(p), want) || p.Shared != 2 {
		t.Errorf("loaded %q, %d of them shared; want %q", names(p), p.Shared, want)
	}
	if want := []uint64{0x1001, 0x1002}; !slices.Equal(p.Images[2].Roots, want) || len(p.Images[3].Roots) != 0 {
		t.Errorf("roots %#x and %#x; want %#x", p.Images[2].Roots, p.Images[3].Roots, want)
	}

	// A run mapped both, and files that are not images.
	if p, err = New("/app", Options{Root: root}); err != nil {
		t.Fatal(err)
	}
	if missed := p.Mapped([]string{"/lib64/libhelp.so", "/m.so", "/app", "/text", "/gone"}); !slices.Equal(missed, []string{"/text", "/gone"}) {
		t.Errorf("missed %q", missed)
	}
	for _, m := range p.Images {
		if want := map[string]int{"/app": 1, loader: 1, "/m.so": 2}[m.Name]; len(m.Roots) != want {
			t.Errorf("%s has the roots %#x; want %d", m.Name, m.Roots, want)
		}
	}

	// A library by itself: anybody may call it.
	if p, err = New("/m.so", Options{Root: root}); err != nil {
		t.Fatal(err)
	}
	if want := []uint64{0, 0x1001, 0x1002}; !slices.Equal(p.First().Roots, want) {
		t.Errorf("roots %#x; want %#x", p.First().Roots, want)
	}
}

func TestExecutable(t *testing.T) {
	root := tree{"bin/elf": elftest.File{}, "bin/script": "#!/bin/sh\n", "bin/text": "text", "bin/plain": "#!/bin/sh\n", "bin/link": "-> elf"}.make(t)
	if err := os.Chmod(filepath.Join(root, "bin/plain"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &Program{options: Options{Root: root}}
	for name, want := range map[string]bool{"/bin/elf": true, "/bin/script": true, "/bin/link": true, "/bin/text": false, "/bin/plain": false, "/bin": false, "/bin/": false,
		"/bin//elf": false, "/none": false, "/proc/self/exe": false} {
		if got := p.Executable(name); got != want {
			t.Errorf("%s can be executed: %v; want %v", name, got, want)
		}
	}
}

func TestNameService(t *testing.T) {
	conf := "# comment\npasswd: files sss # more\nhosts: files [NOTFOUND=return] dns sss\nnothing\n"
	root := tree{"app": app(), loader: lib("ld"), "etc/nsswitch.conf": conf, "lib64/libnss_sss.so.2": lib(""), "lib64/libnss_dns.so.2": lib("")}.make(t)
	p, err := New("/app", Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.NameService(), []string{"/lib64/libnss_sss.so.2", "/lib64/libnss_dns.so.2"}; !slices.Equal(got, want) {
		t.Errorf("modules %q; want %q", got, want)
	}
	if err := p.Also("/lib64/libnss_dns.so.2"); err != nil {
		t.Fatal(err)
	}
	if got, want := p.NameService(), []string{"/lib64/libnss_sss.so.2"}; !slices.Equal(got, want) {
		t.Errorf("modules that are not loaded: %q; want %q", got, want)
	}
	if err := os.Remove(filepath.Join(root, "etc/nsswitch.conf")); err != nil {
		t.Fatal(err)
	}
	if got := p.NameService(); got != nil {
		t.Errorf("modules without a configuration: %q", got)
	}
}

// A library for a better processor comes before the others, if this one is good enough.
func TestLevels(t *testing.T) {
	x, err := image.Read("x", elftest.File{Sections: []elftest.Section{elftest.Exec(0x1000, []byte("\xc3"))}}.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	got := levels(x)
	if !slices.IsSortedFunc(got, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Errorf("levels %q: the best comes first", got)
	}
	files := tree{"app": app("liba.so"), loader: lib("x"), "lib64/liba.so": lib("liba.so")}
	want := "/lib64/liba.so"
	for _, level := range got[min(1, len(got)):] {
		files["lib64/glibc-hwcaps/"+level+"/liba.so"] = lib("liba.so")
	}
	if len(got) > 0 {
		want = "/lib64/glibc-hwcaps/" + got[0] + "/liba.so"
		files[want[1:]] = lib("liba.so")
	}
	files["lib64/glibc-hwcaps/x86-64-v9/liba.so"] = lib("liba.so")
	p, err := New("/app", Options{Root: files.make(t)})
	if err != nil {
		t.Fatal(err)
	}
	if p.Images[1].Name != want {
		t.Errorf("loaded %s; want %s", p.Images[1].Name, want)
	}
}
