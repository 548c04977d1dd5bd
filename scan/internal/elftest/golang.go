package elftest

import (
	"debug/elf"
	"encoding/binary"
)

// A GoFunc is a function of Go's.
type GoFunc struct {
	Start uint64
	Name  string
}

// GoTables are the tables of Go's linker: of functions, sorted, at one address, and what points to it,
// runtime.firstmoduledata, at another one. Go's code lies from text up to end.
func GoTables(table, module, text, end uint64, funcs ...GoFunc) (functions, moduledata Section) {
	const header = 72
	var names, functab, data []byte
	for _, f := range funcs {
		functab = append(functab, Ints(int64(f.Start-text), int64(8*len(funcs)+8+len(data)))...)
		data = append(data, Ints(int64(f.Start-text), int64(len(names)), 0, 0, 0, 0, 0, 0, 0, 0)...)
		names = append(names, f.Name+"\x00"...)
	}
	functab = append(functab, Ints(int64(end-text), 0)...)
	for len(names)%8 != 0 {
		names = append(names, 0)
	}
	at := uint64(header + len(names))
	b := binary.LittleEndian.AppendUint32(nil, 0xfffffff1) // of Go 1.20
	b = append(b, 0, 0, 1, 8)
	b = append(b, Words(uint64(len(funcs)), 0, text, header, at, at, at, at)...)
	b = append(append(append(b, names...), functab...), data...)
	m := make([]uint64, 24)
	m[0], m[13], m[14], m[22], m[23] = table, table+at, uint64(len(functab)+len(data)), text, end
	return Section{Name: ".gopclntab", Addr: table, Data: b}, Section{Name: ".noptrdata", Addr: module, Data: Words(m...), Flags: elf.SHF_WRITE}
}
