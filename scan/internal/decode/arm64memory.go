package decode

// armAccess is a load or a store of one register.
func armAccess(i Inst, w armWord, offset int64) Inst {
	i.Base, i.Imm, i.Width = w.reg(5), offset, 1<<w.scale()
	switch opc := w >> 22 & 3; {
	case opc == 0 && !w.isVector():
		i.Kind, i.Src = Store, w.zero(0)
	case w.isVector() && opc&1 == 0:
		i.Kind, i.Unknown, i.Width = Store, true, 16
	case w.isVector():
	case w.scale() == 3 && opc == 2: // a prefetch
	default:
		if i.Dst = w.zero(0); i.Width >= 4 {
			i.Kind = Load
		}
	}
	return i
}

func armScaled(i Inst, w armWord) Inst { return armAccess(i, w, int64(w>>10&0xfff)<<w.scale()) }

func armUnscaled(i Inst, w armWord) Inst { return armAccess(i, w, w.signed(12, 9)) }

// armChanging changes its base, before or after: a push or a pop where that is the stack pointer.
func armChanging(i Inst, w armWord) Inst {
	i = armAccess(i, w, 0)
	stores := i.Kind == Store
	i.Kind, i.Kill, i.Indexed = Other, i.Base.Bit(), stores
	if stores {
		i.Kind, i.Src = Store, NoReg
	}
	if offset := w.signed(12, 9); i.Base == armSP {
		i.Kind, i.Kill, i.Dst = Add, i.Dst.Bit(), armSP
		i.Src, i.Imm, i.Unknown = armSP, offset, stores && offset < 0
	}
	return i
}

func armIndexed(i Inst, w armWord) Inst {
	if i = armAccess(i, w, 0); i.Kind != Store {
		i.Kind = Other
		return i
	}
	i.Indexed, i.Src, i.Unknown = true, NoReg, true
	return i
}

// armPair is LDP or STP. Of a load only the first register is known.
func armPair(i Inst, w armWord) Inst {
	first, second, base := w.reg(0), w.reg(10), w.reg(5)
	size := int64(4) << (w >> 31)
	if w.isVector() {
		size = 4 << w.scale()
	}
	offset := w.signed(15, 7) * size
	if !w.isVector() && size == 8 {
		i.Pair, i.Second, i.Src = !w.loads(), second, first
	}
	switch {
	case !w.loads():
		i.Kind, i.Base, i.Imm, i.Width, i.Unknown = Store, base, offset, uint8(2*size), true
	case !w.isVector():
		i.Kill = w.zero(0).Bit() | w.zero(10).Bit()
		if w.mode() == 2 && first != 31 {
			i.Kind, i.Dst, i.Base, i.Imm, i.Width = Load, first, base, offset, uint8(size)
			i.Kill &^= first.Bit()
		}
	}
	if w.mode()&1 == 0 {
		return i
	}
	if base != armSP {
		i.Kill |= base.Bit()
		if i.Indexed = i.Kind == Store; !i.Indexed {
			i.Kind = Other
		}
		return i
	}
	i.Unknown = w.mode() == 3 && i.Kind == Store
	i.Kind, i.Dst, i.Src, i.Imm = Add, armSP, armSP, offset
	return i
}
