package main

import (
	"bufio"
	"errors"
	"io"
	"io/fs"

	"golang.org/x/sys/unix"
)

// kmsg is the kernel's log, as records.
const kmsg = "/dev/kmsg"

// kmsgLog reads the records that are there by now. Reading takes nothing from other readers.
type kmsgLog struct{ fd int }

func openKmsg() (io.ReadCloser, error) {
	fd, err := unix.Open(kmsg, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	var st unix.Stat_t
	if err == nil {
		err = unix.Fstat(fd, &st)
	}
	if err == nil && (st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != unix.Mkdev(1, 11)) {
		err = errors.New("it is not the kernel's log")
	}
	if err != nil {
		unix.Close(fd)
		return nil, &fs.PathError{Op: "open", Path: kmsg, Err: err}
	}
	log := kmsgLog{fd}
	return struct {
		io.Reader
		io.Closer
	}{bufio.NewReaderSize(log, 1<<16), log}, nil // the kernel gives whole records only, into what has room for one
}

// Read reads a record. One that was overwritten meanwhile (EPIPE) is ignored, as it would be if it had been overwritten
// before.
func (l kmsgLog) Read(b []byte) (int, error) {
	for range 1000 {
		n, err := unix.Read(l.fd, b)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return 0, io.EOF
		case errors.Is(err, unix.EPIPE), errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
	return 0, errors.New("it is written faster than it can be read")
}

func (l kmsgLog) Close() error { return unix.Close(l.fd) }
