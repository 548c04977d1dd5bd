package format

import (
	"encoding/binary"
	"slices"

	"monban/format/codec"
	"monban/format/firecracker"
	"monban/format/kafel"
	"monban/format/kubernetes"
	"monban/format/minijail"
	"monban/format/oci"
	"monban/format/source"
	"monban/format/strace"
	"monban/format/systemd"
)

// Formats are all formats; the first that recognises a text reads it. A new format is one package and one line here.
func Formats() []codec.Format {
	return []codec.Format{
		rawProgram,
		bpfFormat("bpf-le", "a little-endian BPF program", binary.LittleEndian),
		bpfFormat("bpf-be", "a big-endian BPF program", binary.BigEndian),
		minijail.Format(),
		firecracker.Format(), // before oci: both are JSON
		kubernetes.Format(),  // before oci: it may be JSON
		oci.Format(),
		kafel.Format(),
		systemd.Format(),
		strace.Format(),
		source.C(),
		source.Go(),
		language, // last: it takes whatever nothing else recognises
	}
}

// Find is the format of a name.
func Find(name string) (codec.Format, bool) {
	all := Formats()
	i := slices.IndexFunc(all, func(f codec.Format) bool { return f.Name == name })
	if i < 0 {
		return codec.Format{}, false
	}
	return all[i], true
}

// Recognise tells formats apart by their content.
func Recognise(src []byte) codec.Format {
	for _, f := range Formats() {
		if f.Sniff != nil && f.Sniff(src) {
			return f
		}
	}
	return language
}

// prefixes are the names of the formats that are read, as they stand before a file's.
func prefixes() (names []string) {
	for _, f := range Formats() {
		if f.Read != nil {
			names = append(names, f.Name+":")
		}
	}
	return names
}
