package verdict

import (
	"cmp"
	"slices"

	"monban/bpf"
)

// A sweep decides a run of comparisons of one plain word with constants at once: it follows ranges of the word's values
// through the jumps instead of making a diagram of each comparison. Most of any filter is such a run, on the
// architecture or the number.

// plain says that a register holds word w under a mask.
type plain struct {
	w    Word
	mask uint32
	ok   bool
}

// plainOf recognises a word, or a word under a mask, in a register.
func (l *lifter) plainOf(r register) plain {
	if len(l.plains) == 0 {
		l.plains = append(l.plains, plain{}) // number 0 is nobody's
	}
	for len(l.plains) < len(l.vectors) {
		l.plains = append(l.plains, l.recognise(l.vectors[len(l.plains)]))
	}
	return l.plains[r]
}

func (l *lifter) recognise(v vector) plain {
	var p plain
	for i, b := range v {
		if b == False {
			continue
		}
		if b.isTerminal() {
			return plain{}
		}
		d := l.nodes[b]
		w := Word(d.level / 32)
		if d.lo != False || d.hi != True || d.level%32 != uint32(31-i) || p.ok && w != p.w {
			return plain{}
		}
		p = plain{w, p.mask | 1<<i, true}
	}
	return p
}

// An interval is a range of values, both ends included.
type interval struct{ lo, hi uint32 }

// A leaf is where a sweep ends: an instruction other than a comparison, and the values that reach it.
type leaf struct {
	pc     int
	values []interval
}

// sweeps says whether an instruction is a comparison that a sweep follows.
func sweeps(in bpf.Instruction) bool {
	if in.Code&7 != bpf.JMP || in.Code&bpf.X != 0 {
		return false
	}
	op := in.Code & 0xf0
	return op == bpf.JEQ || op == bpf.JGT || op == bpf.JGE
}

// sweep is the meaning of the program from a comparison on, where A holds a plain word; ok is false where it does not.
func (l *lifter) sweep(st state) (n Node, ok bool) {
	p := l.plainOf(st.a)
	if !p.ok || !sweeps(l.p[st.pc]) {
		return False, false
	}
	groups := map[Node][]interval{}
	for _, leaf := range l.leaves(st.pc, p.mask) {
		to := st
		to.pc = leaf.pc
		n := l.run(to)
		groups[n] = append(groups[n], leaf.values...)
	}
	return l.join(p, groups), true
}

// leaves follows all values from 0 to last through the comparisons.
func (l *lifter) leaves(pc int, last uint32) []leaf {
	var found []leaf
	if l.arrive == nil {
		l.arrive = make([][]interval, len(l.p))
	}
	end := pc
	send := func(pc int, values []interval) {
		if len(values) == 0 {
			return
		}
		end = max(end, pc)
		if l.arrive[pc] == nil {
			l.arrive[pc] = values
			return
		}
		l.arrive[pc] = union(append(l.arrive[pc], values...))
	}
	send(pc, []interval{{0, last}})
	for ; pc <= end; pc++ {
		values := l.arrive[pc]
		if values == nil {
			continue
		}
		l.arrive[pc] = nil
		l.charge(1 + len(values)/perStep)
		in := l.p[pc]
		next := pc + 1
		switch {
		case in.Code == bpf.JMP|bpf.JA:
			send(next+int(in.K), values)
		case !sweeps(in):
			found = append(found, leaf{pc, values})
		case in.Code&0xf0 == bpf.JEQ:
			equal, others := without(values, in.K)
			send(next+int(in.Jt), equal)
			send(next+int(in.Jf), others)
		default:
			from := uint64(in.K)
			if in.Code&0xf0 == bpf.JGT {
				from++
			}
			below, above := cut(values, from)
			send(next+int(in.Jt), above)
			send(next+int(in.Jf), below)
		}
	}
	return found
}

// cut splits ascending ranges into those below from and the others.
func cut(values []interval, from uint64) (below, above []interval) {
	i, _ := slices.BinarySearchFunc(values, from, func(v interval, from uint64) int { return cmp.Compare(uint64(v.hi), from) })
	if i == len(values) || uint64(values[i].lo) >= from {
		return values[:i:i], values[i:]
	}
	below = append(values[:i:i], interval{values[i].lo, uint32(from - 1)})
	values[i].lo = uint32(from)
	return below, values[i:]
}

// without takes one value out of ascending ranges.
func without(values []interval, k uint32) (equal, others []interval) {
	i, _ := slices.BinarySearchFunc(values, k, func(v interval, k uint32) int { return cmp.Compare(v.hi, k) })
	if i == len(values) || values[i].lo > k {
		return nil, values
	}
	equal = []interval{{k, k}}
	switch v := values[i]; {
	case v.lo == v.hi:
		others = slices.Delete(values, i, i+1)
	case v.lo == k:
		values[i].lo++
		others = values
	case v.hi == k:
		values[i].hi--
		others = values
	default:
		values[i].lo = k + 1
		others = slices.Insert(values, i, interval{v.lo, k - 1})
	}
	return equal, others
}

// union sorts ranges and joins those that touch. They do not overlap: a value takes one path.
func union(values []interval) []interval {
	slices.SortFunc(values, func(a, b interval) int { return cmp.Compare(a.lo, b.lo) })
	joined := values[:1]
	for _, v := range values[1:] {
		if last := &joined[len(joined)-1]; last.hi+1 == v.lo {
			last.hi = v.hi
		} else {
			joined = append(joined, v)
		}
	}
	return joined
}

// join is the function that is each node where the word lies in its ranges; they cover all values.
func (l *lifter) join(p plain, groups map[Node][]interval) Node {
	var cases []Case
	after := uint32(p.w)*32 + 32
	for n, values := range groups {
		if l.level(n) < after {
			return l.fold(p, groups)
		}
		for _, v := range values {
			cases = append(cases, Case{v.lo, v.hi, n})
		}
	}
	slices.SortFunc(cases, func(a, b Case) int { return cmp.Compare(a.Lo, b.Lo) })
	return l.patch(uint32(p.w)*32, p.mask, 0, 0xffffffff, cases, False)
}

// fold is join where what follows looks at the same word again, or at one before it.
func (l *lifter) fold(p plain, groups map[Node][]interval) Node {
	order := make([]Node, 0, len(groups))
	for n, values := range groups {
		groups[n] = union(values)
		order = append(order, n)
	}
	// The one with the most ranges needs no condition. Of equals any order is right; this one is always the same.
	slices.SortFunc(order, func(a, b Node) int {
		return cmp.Or(cmp.Compare(len(groups[b]), len(groups[a])), cmp.Compare(a, b))
	})
	r := order[0]
	f := Field{Lo: p.w, Bits: 32, Mask: uint64(p.mask)}
	for _, n := range order[1:] {
		ranges := make([][2]uint64, len(groups[n]))
		for i, v := range groups[n] {
			ranges[i] = [2]uint64{uint64(v.lo), uint64(v.hi)}
		}
		r = l.If(l.In(f, ranges), n, r)
	}
	return r
}
