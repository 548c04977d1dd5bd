package image

import "encoding/binary"

// unwind reads the bounds of functions, and their landing pads, from .eh_frame, and says how many functions there are.
func (m *Image) unwind() (n int) {
	b, addr := m.Section(".eh_frame")
	type cie struct {
		lsda, pc byte
		signal   bool
	}
	cies := map[int]cie{}
	for off := 0; off+8 <= len(b); {
		size := int(binary.LittleEndian.Uint32(b[off:]))
		if size == 0 {
			off += 4
			continue
		}
		end := off + 4 + size
		if size < 4 || end > len(b) || end < off {
			return n
		}
		body := reader{b: b[:end], off: off + 8, addr: addr}
		id := int(binary.LittleEndian.Uint32(b[off+4:]))
		if id == 0 {
			c := cie{lsda: omitted}
			body.off++ // version
			words := body.text()
			body.uleb()
			body.uleb()
			body.uleb()
			if len(words) > 0 && words[0] == 'z' {
				body.uleb()
				for _, w := range words[1:] {
					switch w {
					case 'L':
						c.lsda = body.byte()
					case 'R':
						c.pc = body.byte()
					case 'S':
						c.signal = true
					case 'P':
						body.encoded(body.byte())
					}
				}
			}
			cies[off] = c
		} else if c, ok := cies[off+4-id]; ok {
			start := body.encoded(c.pc)
			length := body.encoded(c.pc & 0x0f)
			if c.signal { // a signal handler's return: described from the byte before it on, for unwinders' sake
				start, length = start+1, length-1
			}
			if !body.bad && m.IsCode(start) {
				n++
				m.Starts = append(m.Starts, start)
				m.Ends[start] = start + length
				if c.lsda != omitted {
					body.uleb()
					if at := body.encoded(c.lsda); at != 0 && !body.bad {
						m.landingPads(start, at)
					}
				}
			}
		}
		off = end
	}
	return n
}

// landingPads reads where an exception may enter a function: in C++, Rust and C with cleanups, nothing jumps there.
func (m *Image) landingPads(start, table uint64) {
	mem, _ := m.At(table)
	r := reader{b: mem, addr: table}
	base := start
	if enc := r.byte(); enc != omitted {
		base = r.encoded(enc)
	}
	if enc := r.byte(); enc != omitted {
		r.uleb()
	}
	enc := r.byte()
	size := r.uleb()
	end := r.off + int(min(size, uint64(len(mem))))
	for r.off < end && !r.bad {
		r.encoded(enc & 0x0f)
		r.encoded(enc & 0x0f)
		pad := r.encoded(enc & 0x0f)
		r.uleb()
		if pad != 0 && !r.bad && m.IsCode(base+pad) {
			m.Pads[start] = append(m.Pads[start], base+pad)
		}
	}
}

// omitted is DW_EH_PE_omit of the LSB's exception frames.
const omitted = 0xff
