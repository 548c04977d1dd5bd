//go:build unix

package regular

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// within fails a test where f waits.
func within(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it waits")
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.WriteFile(at("file"), []byte("text"), 0o600), syscall.Mkfifo(at("pipe"), 0o600), os.Mkdir(at("dir"), 0o700),
		os.Symlink("file", at("link")), os.Symlink("pipe", at("link-to-pipe")), os.Symlink("none", at("dangling")),
		os.Symlink("/dev/zero", at("link-to-device"))); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir) // the address of a socket is short
	l, err := net.Listen("unix", "socket")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, want := range map[string]string{
		"file": "", "link": "", "pipe": "it is a pipe", "link-to-pipe": "it is a pipe", "dir": "it is a directory", "socket": "it is a socket",
		"dangling": "no such file", "link-to-device": "it is a device", "/dev/null": "it is a device", "/dev/tty": "it is a device",
	} {
		within(t, func() {
			b, err := Read(name, 4)
			switch e := (*fs.PathError)(nil); {
			case want == "" && (err != nil || string(b) != "text"):
				t.Errorf("%s: %q, %v", name, b, err)
			case want != "" && (!errors.As(err, &e) || !strings.Contains(err.Error(), want) || errors.Is(err, ErrKind) != strings.HasPrefix(want, "it is")):
				t.Errorf("%s: %v, want %s", name, err, want)
			}
		})
	}
	for name, want := range map[string]string{
		"file": "", "./dir/../link": "", "pipe": "it is not a regular file", "link-to-pipe": "it is not a regular file",
		"dir": "it is not a regular file", "socket": "it is not a regular file", "dangling": "no such file", "../file": "invalid",
	} {
		within(t, func() {
			f, err := OpenIn(os.DirFS(dir), name)
			if err == nil {
				f.Close()
			}
			switch e := (*fs.PathError)(nil); {
			case want == "" && err != nil:
				t.Errorf("%s in a file system: %v", name, err)
			case want != "" && (!errors.As(err, &e) || !strings.Contains(err.Error(), want) || errors.Is(err, ErrKind) != strings.HasPrefix(want, "it is")):
				t.Errorf("%s in a file system: %v, want %s", name, err, want)
			}
		})
	}
	if _, err := Read("file", 3); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a larger file: %v", err)
	}
}

// What the kernel makes up is not read: /proc/kmsg says that it is a regular file, waits, and gives each line to one
// reader only.
func TestMadeUp(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux")
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/proc/self/environ", link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/proc/kmsg", "/proc/self/environ", "/proc/self/mem", link, "/sys/kernel/uevent_seqnum"} {
		for _, open := range []func(string) (*os.File, error){Open, OpenArgument} {
			within(t, func() {
				f, err := open(name)
				if err == nil {
					f.Close()
				}
				if !errors.Is(err, ErrKind) && !errors.Is(err, fs.ErrNotExist) || strings.HasPrefix(name, "/proc/self") && !errors.Is(err, ErrKind) {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
	}
}

// A pipe may be an argument, whether by a descriptor or by its own name.
func TestOpenArgument(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		if w, err := os.OpenFile(pipe, os.O_WRONLY, 0); err == nil {
			w.WriteString("text")
			w.Close()
		}
	}()
	within(t, func() {
		f, err := OpenArgument(pipe)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		b := make([]byte, 5)
		if n, err := f.Read(b); err != nil || string(b[:n]) != "text" {
			t.Errorf("%q, %v", b[:n], err)
		}
	})
	if _, err := OpenArgument("/dev/zero"); !errors.Is(err, ErrKind) {
		t.Errorf("a device: %v", err)
	}
}

// Whatever takes a file's place between the look and the open, what is opened is a regular file, and nothing waits.
func TestExchanged(t *testing.T) {
	dir := t.TempDir()
	name, file, pipe := filepath.Join(dir, "name"), filepath.Join(dir, "file"), filepath.Join(dir, "pipe")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), syscall.Mkfifo(pipe, 0o600), os.Link(file, name)); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				next := filepath.Join(dir, "next")
				os.Link([]string{file, pipe}[i%2], next)
				os.Rename(next, name)
			}
		}
	}()
	within(t, func() {
		for range 2000 {
			f, err := Open(name)
			if err != nil {
				if !errors.Is(err, ErrKind) {
					t.Error(err)
				}
				continue
			}
			if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
				t.Errorf("%v, %v", info, err)
			}
			f.Close()
		}
	})
	close(stop)
	<-stopped
}
