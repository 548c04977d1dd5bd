package sys

import (
	"bytes"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Mapping is a line of /proc/PID/maps.
type Mapping struct {
	Begin, End uint64 // addresses; End is the first one behind it
	Executable bool
	Device     uint64 // of the file, as unix.Mkdev makes it
	Inode      uint64 // 0: it is of no file
}

// Mappings lists what a process has mapped, by address.
func Mappings(pid int) ([]Mapping, error) { return readMaps(Path(pid, "maps")) }

// OwnMappings lists what this process has mapped.
func OwnMappings() ([]Mapping, error) { return readMaps(proc + "/self/maps") }

func readMaps(name string) ([]Mapping, error) {
	b, err := read(name, maxMaps)
	if err != nil {
		return nil, err
	}
	maps, ok := parseMaps(b)
	if !ok {
		return nil, malformed(name)
	}
	return maps, nil
}

// parseMaps reads lines of addresses, permissions, offset, device, inode and a name, in which line breaks are escaped.
func parseMaps(b []byte) (maps []Mapping, ok bool) {
	for line := range bytes.Lines(b) {
		fields := bytes.Fields(line)
		if len(fields) < 5 {
			return nil, false
		}
		begin, end, _ := strings.Cut(string(fields[0]), "-")
		major, minor, _ := strings.Cut(string(fields[3]), ":")
		valid := len(fields[1]) >= 3
		hex := func(text string, bits int) uint64 {
			n, err := strconv.ParseUint(text, 16, bits)
			valid = valid && err == nil
			return n
		}
		m := Mapping{Begin: hex(begin, 64), End: hex(end, 64)}
		m.Device = unix.Mkdev(uint32(hex(major, 32)), uint32(hex(minor, 32)))
		inode, err := strconv.ParseUint(string(fields[4]), 10, 64)
		if m.Inode = inode; !valid || err != nil {
			return nil, false
		}
		m.Executable = fields[1][2] == 'x'
		maps = append(maps, m)
	}
	return maps, true
}
