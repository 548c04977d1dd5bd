//go:build unix

package regular

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What only this user may have written: no links, no other owner, nobody else's right to write.
func TestOpenOwn(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, mode := range map[string]fs.FileMode{"own": 0o600, "readable": 0o644, "group": 0o620, "anybody": 0o602} {
		if err := errors.Join(os.WriteFile(at(name), []byte(name), 0o600), os.Chmod(at(name), mode)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink("own", at("link")), os.Mkdir(at("dir"), 0o700), syscall.Mkfifo(at("pipe"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"own": "", "readable": "", "group": "others than its owner may write it", "anybody": "others than its owner may write it",
		"link": "it is a symbolic link, not a file", "dir": "it is a directory", "pipe": "it is a pipe", "none": "no such file",
	} {
		within(t, func() {
			f, err := OpenOwn(at(name))
			if want == "" {
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				defer f.Close()
				if text, err := io.ReadAll(f); err != nil || string(text) != name {
					t.Errorf("%s: %q, %v", name, text, err)
				}
				return
			}
			if _, ok := errors.AsType[*fs.PathError](err); !ok || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
		})
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(at("own"), 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenOwn(at("own")); err == nil || !strings.Contains(err.Error(), "it belongs to somebody else") {
			t.Errorf("another user's: %v", err)
		}
	}
}

// A file is made where none was, for this user alone whatever the umask is; nothing is followed or written over.
func TestCreateOwn(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "new")
	f, err := CreateOwn(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Mode() != ownOnly {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	if err := os.Symlink("target", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, there := range []string{name, filepath.Join(dir, "link")} {
		if _, err := CreateOwn(there); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", there, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "target")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("behind the link: %v", err)
	}
}

// A file is replaced as a whole, a link by a file, or nothing happens; nothing is left beside it.
func TestReplaceOwn(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.WriteFile(at("old"), []byte("old"), 0o644), os.Symlink("old", at("link")), os.Mkdir(at("dir"), 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"old", "new"} {
		if err := ReplaceOwn(at(name), []byte("text")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		info, err := os.Lstat(at(name))
		if err != nil || info.Mode() != ownOnly {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
		if text, err := os.ReadFile(at(name)); err != nil || string(text) != "text" {
			t.Errorf("%s has %q, %v", name, text, err)
		}
	}
	if err := ReplaceOwn(at("link"), []byte("the link's")); err != nil {
		t.Error(err)
	}
	if text, _ := os.ReadFile(at("old")); string(text) != "text" {
		t.Errorf("behind the link is %q", text)
	}
	for _, name := range []string{"dir", "none/file"} {
		if err := ReplaceOwn(at(name), []byte("text")); err == nil {
			t.Errorf("%s was replaced", name)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Errorf("%v, %v", entries, err)
	}
}
