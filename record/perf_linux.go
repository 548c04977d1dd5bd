package record

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A fileWatch is told by the kernel's performance events which files a process tree maps to run code from.
type fileWatch struct {
	rings    []*ring
	programs map[uint32]string // by process
	execs    map[uint32]bool   // processes of which the next file is their program
	seen     *Recording        // what it says of files
}

// A ring is what the kernel says of one processor: a page that tells how far it is, and the records.
type ring struct {
	fd  int
	mem []byte
}

// ringSize is what may wait to be read for a tenth of a second, in bytes.
const ringSize = 1 << 18

// watchFiles begins with a process that stands before its first instruction.
func watchFiles(pid int) (w *fileWatch, err error) {
	program, err := fileOf(pid, "exe")
	if err != nil {
		return nil, err
	}
	w = &fileWatch{programs: map[uint32]string{uint32(pid): program.name}, execs: map[uint32]bool{}, seen: New(nil, "")}
	w.seen.runs(program)
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_DUMMY, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Sample_type: unix.PERF_SAMPLE_TIME, Bits: unix.PerfBitSampleIDAll | unix.PerfBitInherit | unix.PerfBitMmap | unix.PerfBitMmap2 |
			unix.PerfBitComm | unix.PerfBitCommExec | unix.PerfBitTask | unix.PerfBitExcludeKernel}
	for cpu := range processors() {
		fd, err := unix.PerfEventOpen(&attr, pid, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
		if err == unix.ENODEV || err == unix.EINVAL && cpu >= runtime.NumCPU() {
			continue // no processor has this number
		}
		if err != nil {
			w.close()
			return nil, fmt.Errorf("watching what is mapped: %w", err)
		}
		mem, err := unix.Mmap(fd, 0, os.Getpagesize()+ringSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			unix.Close(fd)
			w.close()
			return nil, fmt.Errorf("watching what is mapped: %w", err)
		}
		w.rings = append(w.rings, &ring{fd, mem})
	}
	return w, nil
}

// processors is how many numbers processors may have.
func processors() int {
	b, err := os.ReadFile("/sys/devices/system/cpu/possible")
	var last int
	if _, after, ok := strings.Cut(strings.TrimSpace(string(b)), "-"); err != nil || !ok {
		return runtime.NumCPU()
	} else if _, err := fmt.Sscan(after, &last); err != nil {
		return runtime.NumCPU()
	}
	return last + 1
}

func (w *fileWatch) close() {
	for _, r := range w.rings {
		_ = unix.Munmap(r.mem)
		unix.Close(r.fd)
	}
}

// read takes down what has come since, in the order in which it happened: what a process does on one processor follows
// from what its parent did on another.
func (w *fileWatch) read() {
	heads := make([]uint64, len(w.rings))
	const tries, atOnce = 10, 50 * time.Microsecond // in which nobody forks and executes
	for range tries {
		begin := time.Now()
		for i, r := range w.rings {
			heads[i] = atomic.LoadUint64(&r.page().Data_head)
		}
		if time.Since(begin) < atOnce {
			break
		}
	}
	var records [][]byte
	for i, r := range w.rings {
		page, data := r.page(), r.mem[os.Getpagesize():]
		for page.Data_tail < heads[i] {
			at := func(n uint64) byte { return data[(page.Data_tail+n)%ringSize] }
			record := make([]byte, uint64(at(6))|uint64(at(7))<<8) // struct perf_event_header: type, misc, size
			for n := range record {
				record[n] = at(uint64(n))
			}
			if len(record) < headerSize+timeSize {
				w.seen.FilesLost = true
				atomic.StoreUint64(&page.Data_tail, heads[i])
				break
			}
			records = append(records, record)
			atomic.StoreUint64(&page.Data_tail, page.Data_tail+uint64(len(record)))
		}
	}
	slices.SortStableFunc(records, func(x, y []byte) int { return cmp.Compare(happened(x), happened(y)) })
	for _, record := range records {
		w.take(record)
	}
}

func (r *ring) page() *unix.PerfEventMmapPage {
	return (*unix.PerfEventMmapPage)(unsafe.Pointer(&r.mem[0]))
}

// Records have a header before them and the time behind them (struct perf_event_header, PERF_SAMPLE_TIME).
const headerSize, timeSize = 8, 8

func happened(record []byte) uint64 { return binary.NativeEndian.Uint64(record[len(record)-timeSize:]) }

// take is for one record (linux/perf_event.h).
func (w *fileWatch) take(record []byte) {
	const commExec, text = 1 << 13, 72 // PERF_RECORD_MISC_COMM_EXEC; where the file's name begins
	if len(record) < headerSize+8 {
		return // all of these have two words behind the header
	}
	misc, word := binary.NativeEndian.Uint16(record[4:]), func(n int) uint32 { return binary.NativeEndian.Uint32(record[n:]) }
	switch kind := word(0); {
	case kind == unix.PERF_RECORD_LOST:
		w.seen.FilesLost = true
	case kind == unix.PERF_RECORD_FORK: // pid, ppid
		if child, parent := word(8), word(12); child != parent {
			w.programs[child] = w.programs[parent]
		}
	case kind == unix.PERF_RECORD_COMM && misc&commExec != 0:
		w.execs[word(8)] = true
	case kind == unix.PERF_RECORD_MMAP2 && len(record) > text: // pid, tid, addr, len, pgoff, major, minor, inode, …
		name, _, _ := strings.Cut(string(record[text:]), "\x00")
		if !strings.HasPrefix(name, "/") {
			return // [vdso], //anon
		}
		id := FileID{unix.Mkdev(word(40), word(44)), binary.NativeEndian.Uint64(record[48:]), true}
		pid := word(8)
		if w.execs[pid] {
			delete(w.execs, pid)
			w.programs[pid] = name
			w.seen.takes(name, id, "", FileID{})
			return
		}
		switch program := w.programs[pid]; {
		case strings.HasPrefix(name, "//"):
		case program == "":
			w.seen.FilesLost = true // whose it is was lost
		default:
			w.seen.takes(program, FileID{}, name, id)
		}
	}
}
