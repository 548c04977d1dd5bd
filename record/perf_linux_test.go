package record

import (
	"bytes"
	"encoding/binary"
	"maps"
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
