package elftest

import "encoding/binary"

// A Frame is a function as unwind tables describe it. A table of landing pads lies at LSDA, unless that is 0.
type Frame struct{ Start, Length, LSDA uint64 }

// EHFrame is a section .eh_frame at an address, with one CIE of pointers of four bytes, relative to where they stand.
// With signal it is that of signal handlers' returns.
func EHFrame(addr uint64, signal bool, frames ...Frame) Section {
	augmentation := "zRL"
	if signal {
		augmentation = "zRLS"
	}
	const pcRel4 = 0x1b
	data := append([]byte{2, pcRel4, pcRel4}, make([]byte, 4)...)
	cie := append([]byte{0, 0, 0, 0, 1}, augmentation+"\x00"...)
	cie = append(cie, 1, 0x78, 16)
	b := record(append(cie, data...))
	for _, f := range frames {
		at := func(n int) uint64 { return addr + uint64(len(b)+4+n) } // of what follows the length
		body := binary.LittleEndian.AppendUint32(nil, uint32(len(b)+4))
		body = binary.LittleEndian.AppendUint32(body, uint32(f.Start-at(4)))
		body = binary.LittleEndian.AppendUint32(body, uint32(f.Length))
		body = append(body, 4)
		lsda := uint32(0)
		if f.LSDA != 0 {
			lsda = uint32(f.LSDA - at(13))
		}
		body = binary.LittleEndian.AppendUint32(body, lsda)
		b = append(b, record(body)...)
	}
	return Section{Name: ".eh_frame", Addr: addr, Data: append(b, 0, 0, 0, 0)}
}

// record has its length in front.
func record(body []byte) []byte {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// LandingPads is a table with one entry for each pad, in bytes from the function's start.
func LandingPads(pads ...byte) []byte {
	var sites []byte
	for k, p := range pads {
		sites = append(sites, byte(k), 1, p, 0)
	}
	return append([]byte{0xff, 0xff, 0x01, byte(len(sites))}, sites...) // no base, no types, ULEB128
}
