package record

import (
	"bytes"
	"encoding/binary"
	"maps"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// perfRecord is a record as the kernel writes it: a header, words, and a name.
func perfRecord(kind uint32, misc uint16, name string, words ...uint32) []byte {
	var b bytes.Buffer
	for _, v := range []any{kind, misc, uint16(8 + 4*len(words) + len(name) + 8), words} {
		_ = binary.Write(&b, binary.NativeEndian, v)
	}
	b.WriteString(name)
	b.Write(make([]byte, 8)) // the time
	return b.Bytes()
}

func TestFileWatch(t *testing.T) {
	const exec = 1 << 13
	mmap := func(pid uint32, name string) []byte {
		return perfRecord(unix.PERF_RECORD_MMAP2, 0, name+"\x00", pid, pid, 0, 0, 0, 0, 0, 0, 8, 1, 5, 0, 0, 0, 0, 0)
	}
	w := &fileWatch{programs: map[uint32]string{1: "/bin/sh"}, execs: map[uint32]bool{}, seen: New(nil, "")}
	for _, record := range [][]byte{
		mmap(1, "/lib/libc.so"),
		perfRecord(unix.PERF_RECORD_FORK, 0, "", 2, 1, 2, 1),
		mmap(2, "/lib/of-sh.so"),                                        // before it executes another program
		perfRecord(unix.PERF_RECORD_COMM, 0, "named\x00\x00\x00", 2, 2), // a thread's new name: no exec
		mmap(2, "/lib/late.so"),
		perfRecord(unix.PERF_RECORD_COMM, exec, "app\x00\x00\x00\x00\x00", 2, 2),
		mmap(2, "/bin/app"),
		mmap(2, "[vdso]"),
		mmap(2, "//anon"),
		mmap(2, "/lib/module.so"),
		perfRecord(unix.PERF_RECORD_FORK, 0, "", 1, 1, 3, 1), // a thread
		perfRecord(unix.PERF_RECORD_COMM, exec, "", 7)[:12],  // cut off
	} {
		w.take(record)
	}
	want := map[string][]string{"/bin/sh": {"/lib/late.so", "/lib/libc.so", "/lib/of-sh.so"}, "/bin/app": {"/lib/module.so"}}
	for program, files := range want {
		if got := slices.Sorted(maps.Keys(w.seen.Files[program])); !slices.Equal(got, files) {
			t.Errorf("%s: %q, not %q", program, got, files)
		}
	}
	if len(w.seen.Files) != len(want) || w.seen.FilesLost {
		t.Errorf("too much: %v, lost %v", w.seen.Files, w.seen.FilesLost)
	}
	w.take(perfRecord(unix.PERF_RECORD_LOST, 0, "", 0, 0, 1, 0))
	if !w.seen.FilesLost {
		t.Error("a loss is not noted")
	}
}

// newRing is what the kernel shares of one processor, with records that begin at a place of its own.
func newRing(tail uint64, records ...[]byte) *ring {
	r := &ring{fd: -1, mem: make([]byte, os.Getpagesize()+ringSize)}
	page, data := r.page(), r.mem[os.Getpagesize():]
	page.Data_tail, page.Data_head = tail, tail
	for _, record := range records {
		for _, b := range record {
			data[page.Data_head%ringSize] = b
			page.Data_head++
		}
	}
	return r
}

// What processors have written is taken in order of time, around the end of a ring too; what cannot be a record is a
// loss.
func TestRings(t *testing.T) {
	at := func(when uint64, record []byte) []byte {
		binary.NativeEndian.PutUint64(record[len(record)-8:], when)
		return record
	}
	mmap := func(pid uint32, name string) []byte {
		return perfRecord(unix.PERF_RECORD_MMAP2, 0, name+"\x00", pid, pid, 0, 0, 0, 0, 0, 0, 8, 1, 5, 0, 0, 0, 0, 0)
	}
	w := &fileWatch{programs: map[uint32]string{1: "/bin/sh"}, execs: map[uint32]bool{}, seen: New(nil, "")}
	w.rings = []*ring{
		newRing(ringSize-20, at(30, mmap(2, "/lib/b.so")), at(40, mmap(2, "/lib/c.so"))), // the child runs here
		newRing(7*ringSize, at(10, mmap(1, "/lib/a.so")), at(20, perfRecord(unix.PERF_RECORD_FORK, 0, "", 2, 1, 2, 1))),
		newRing(0),
	}
	for range 2 { // nothing is left for the second time
		w.read()
		if got := slices.Sorted(maps.Keys(w.seen.Files["/bin/sh"])); !slices.Equal(got, []string{"/lib/a.so", "/lib/b.so", "/lib/c.so"}) || w.seen.FilesLost {
			t.Errorf("%v, lost %v", got, w.seen.FilesLost)
		}
	}
	for _, r := range w.rings {
		if page := r.page(); page.Data_tail != page.Data_head {
			t.Errorf("read to %d of %d", page.Data_tail, page.Data_head)
		}
	}
	w.rings = []*ring{newRing(0, []byte{1, 0, 0, 0, 0, 0, 3, 0})} // shorter than its header
	if w.read(); !w.seen.FilesLost {
		t.Error("a broken record is not noted")
	}
}
