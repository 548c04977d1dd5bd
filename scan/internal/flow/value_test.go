package flow

import (
	"math/rand/v2"
	"testing"

	"monban/scan/internal/decode"
)

func values(r *rand.Rand) Value {
	switch r.IntN(6) {
	case 0:
		return Value{}
	case 1:
		return Top()
	case 2:
		return Value{Stack: true, Off: int64(r.IntN(3))}
	case 3:
		return Value{Params: []Param{{Reg: decode.NoReg, Slot: int64(8 * r.IntN(3)), Deref: r.IntN(2) == 0, Off: int64(r.IntN(2))}}}
	case 4:
		return Value{Params: []Param{{Reg: decode.Reg(r.IntN(3)), Global: uint64(r.IntN(2))}}}
	}
	v := Value{}
	for range 1 + r.IntN(maxConsts) {
		v = v.Join(Constant(int64(r.IntN(100))))
	}
	return v
}

// Joining is in any order, and loses nothing.
func TestJoin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	holds := func(v, part Value) bool { j := v.Join(part); return v.Top || j.equal(&v) }
	for range 20_000 {
		a, b, c := values(r), values(r), values(r)
		ab, ba := a.Join(b), b.Join(a)
		if !ab.equal(&ba) {
			t.Fatalf("%s and %s join to %s or %s", show(a), show(b), show(ab), show(ba))
		}
		if !holds(ab, a) || !holds(ab, b) {
			t.Fatalf("%s does not hold %s and %s", show(ab), show(a), show(b))
		}
		left, bc := ab.Join(c), b.Join(c)
		if right := a.Join(bc); !left.equal(&right) {
			t.Fatalf("%s, %s and %s join to %s or %s", show(a), show(b), show(c), show(left), show(right))
		}
	}
	v := Value{}
	for k := range int64(maxConsts) {
		v = v.Join(Constant(k))
	}
	if len(v.Consts) != maxConsts {
		t.Errorf("%d numbers of %d", len(v.Consts), maxConsts)
	}
	if v = v.Join(Constant(maxConsts)); !v.Top {
		t.Errorf("more than %d numbers are %s", maxConsts, show(v))
	}
	v = Value{}
	for k := range decode.Reg(maxParams + 1) {
		v = v.Join(Value{Params: []Param{{Reg: k}}})
	}
	if !v.Top {
		t.Errorf("more than %d parameters are %s", maxParams, show(v))
	}
}

func TestAdd(t *testing.T) {
	for _, c := range []struct {
		v    Value
		n    int64
		want string
	}{{Constant(1), 2, "3"}, {Value{}, 2, "none"}, {Top(), 0, "anything"}, {Value{Stack: true, Off: 8}, -8, "stack+0"}, {Value{Params: []Param{{}}}, 0, "r0"},
		{Value{Params: []Param{{}}}, 1, "anything"}, {Constant(1).Join(Constant(2)), 0, "1|2"}, {Constant(1).Join(Constant(2)), 1, "anything"}} {
		if got := show(c.v.Add(c.n)); got != c.want {
			t.Errorf("%s + %d is %s; want %s", show(c.v), c.n, got, c.want)
		}
	}
}

// Words of the stack, and who may have changed them.
func TestSlots(t *testing.T) {
	const pushed = 8
	s := newState()
	s.put(-8, 8, Constant(1))
	s.put(-16, 4, Constant(2))
	s.put(-32, 16, Constant(3))
	for off, want := range map[int64]string{-8: "1", -16: "2", -32: "anything", -24: "anything", -40: "anything", 0: "anything", 8: "arg+8", 16: "arg+16"} {
		if got := show(s.Slot(off, pushed)); got != want {
			t.Errorf("%d holds %s; want %s", off, got, want)
		}
	}
	s.forget() // no pointers were made
	if got := show(s.Slot(-8, pushed)); got != "1" {
		t.Errorf("a function that has no pointer changed it to %s", got)
	}
	s.give(-8)
	s.forget()
	if got := show(s.Slot(-8, pushed)) + show(s.Slot(-16, pushed)); got != "anything2" {
		t.Errorf("with a pointer to the upper word, the words hold %s", got)
	}
	s.put(24, 8, Constant(4))
	s.give(16)
	if got := show(s.Slot(8, pushed)); got != "anything" {
		t.Errorf("with a pointer to the arguments, one holds %s", got)
	}
	s.forget()
	if got := show(s.Slot(24, pushed)); got != "anything" {
		t.Errorf("and one that was written holds %s", got)
	}
	s.forgetFrame()
	if got := show(s.Slot(-16, pushed)); got != "anything" {
		t.Errorf("after a write to anywhere in the frame, a word holds %s", got)
	}
}

// What two ways bring together, and whether it is more than before.
func TestJoinStates(t *testing.T) {
	const pushed = 8
	a, b := newState(), newState()
	if a.join(b, pushed) {
		t.Error("nothing changes nothing")
	}
	for _, c := range []struct {
		name   string
		change func()
		shown  func() string
		want   string
	}{
		{"a register", func() { b.Regs[0] = Constant(1) }, func() string { return show(a.Regs[0]) }, "1"},
		{"another value", func() { b.Regs[0] = Constant(2) }, func() string { return show(a.Regs[0]) }, "1|2"},
		{"a word that only one has", func() { b.put(-8, 8, Constant(1)) }, func() string { return show(a.Slot(-8, pushed)) }, "anything"},
		{"an argument that one changed", func() { b.put(8, 8, Constant(1)) }, func() string { return show(a.Slot(8, pushed)) }, "1|arg+8"},
		{"a word that both have", func() { a.slots[-16] = Constant(1); b.put(-16, 8, Constant(2)) }, func() string { return show(a.Slot(-16, pushed)) }, "1|2"},
		{"a pointer to the frame", func() { b.give(-32) }, func() string { return show(Constant(a.given)) }, "-32"},
		{"a pointer to the arguments", func() { b.give(8) }, func() string { return show(a.Slot(16, pushed)) }, "anything"},
		{"what a parameter points to", func() { b.lend(Value{Params: []Param{{Reg: 3}, {Reg: 4, Deref: true}}}) }, func() string {
			if a.isLent(Param{Reg: 3}) && !a.isLent(Param{Reg: 4, Deref: true}) {
				return "lent"
			}
			return "not lent"
		}, "lent"},
	} {
		c.change()
		if !a.join(b, pushed) {
			t.Errorf("%s: nothing changed", c.name)
		}
		if got := c.shown(); got != c.want {
			t.Errorf("%s: %s; want %s", c.name, got, c.want)
		}
		if a.join(b, pushed) {
			t.Errorf("%s: the same changed something again", c.name)
		}
	}
	if c := a.clone(); c.join(a, pushed) || a.join(c, pushed) {
		t.Error("a copy differs")
	}
}
