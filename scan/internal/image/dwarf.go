package image

import "encoding/binary"

// A reader reads DWARF's encodings.
type reader struct {
	b    []byte
	off  int
	addr uint64 // of b
	bad  bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.b)-r.off || r.off < 0 {
		r.bad = true
		return make([]byte, 8)
	}
	r.off += n
	return r.b[r.off-n : r.off]
}

func (r *reader) byte() byte { return r.take(1)[0] }

func (r *reader) text() string {
	for k := r.off; k < len(r.b); k++ {
		if r.b[k] == 0 {
			s := string(r.b[r.off:k])
			r.off = k + 1
			return s
		}
	}
	r.bad = true
	return ""
}

func (r *reader) uleb() (v uint64) {
	for shift := 0; shift < 64; shift += 7 {
		c := r.byte()
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	r.bad = true
	return 0
}

func (r *reader) sleb() int64 {
	begin := r.off
	v := int64(r.uleb())
	if bits := 7 * (r.off - begin); !r.bad && bits < 64 && r.b[r.off-1]&0x40 != 0 {
		v |= -1 << bits
	}
	return v
}

// encoded is a pointer in one of DW_EH_PE's encodings. Indirect ones, which only personalities have, are read and not
// followed.
func (r *reader) encoded(enc byte) uint64 {
	at := r.addr + uint64(r.off)
	var v uint64
	switch enc & 0x0f {
	case 0x00, 0x04, 0x0c:
		v = binary.LittleEndian.Uint64(r.take(8))
	case 0x01:
		v = r.uleb()
	case 0x09:
		v = uint64(r.sleb())
	case 0x02:
		v = uint64(binary.LittleEndian.Uint16(r.take(2)))
	case 0x0a:
		v = uint64(int64(int16(binary.LittleEndian.Uint16(r.take(2)))))
	case 0x03:
		v = uint64(binary.LittleEndian.Uint32(r.take(4)))
	case 0x0b:
		v = uint64(int64(int32(binary.LittleEndian.Uint32(r.take(4)))))
	default:
		r.bad = true
	}
	if enc&0x70 == 0x10 && v != 0 {
		v += at
	}
	return v
}
