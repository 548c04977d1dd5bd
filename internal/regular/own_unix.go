//go:build unix

package regular

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ownOnly is the mode of a file that nobody but its owner may read or write.
const ownOnly = 0o600

// OpenOwn is Open for what only this user may have written: the name is not a symbolic link, the file belongs to the
// effective user, and neither its group nor anybody else may write it.
func OpenOwn(name string) (*os.File, error) {
	refuse := func(err error) (*os.File, error) { return nil, &fs.PathError{Op: "open", Path: name, Err: err} }
	link, err := os.Lstat(name)
	if err != nil {
		return nil, err
	}
	if link.Mode()&fs.ModeSymlink != 0 {
		return refuse(kindError("a symbolic link, not a file"))
	}
	f, err := Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		st, ok := info.Sys().(*syscall.Stat_t)
		switch {
		case !os.SameFile(link, info):
			err = errors.New("it was exchanged while it was opened")
		case !ok || int(st.Uid) != os.Geteuid():
			err = errors.New("it belongs to somebody else, who may have written anything")
		case info.Mode().Perm()&0o022 != 0:
			err = errors.New("others than its owner may write it")
		}
	}
	if err != nil {
		f.Close()
		return refuse(err)
	}
	return f, nil
}

// CreateOwn makes a file that was not there, and that only this user may read and write.
func CreateOwn(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, ownOnly)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(ownOnly); err != nil { // whatever the umask is
		f.Close()
		os.Remove(name)
		return nil, err
	}
	return f, nil
}

// ReplaceOwn puts a new file, which only this user may read and write, whole into the place of whatever has the name,
// or does nothing.
func ReplaceOwn(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*") // O_EXCL, and for this user only
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
