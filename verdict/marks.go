package verdict

// Marks are a set of a space's nodes that is emptied in no time. A walk takes one and returns it, since walks can be
// within walks.
type marks struct {
	of  []uint32 // for each node, the walk that came by last
	now uint32
}

func (s *Space) takeMarks() *marks {
	m := &marks{}
	if n := len(s.spare); n > 0 {
		m, s.spare = s.spare[n-1], s.spare[:n-1]
	}
	if m.now++; m.now == 0 { // it came round
		clear(m.of)
		m.now = 1
	}
	return m
}

func (s *Space) returnMarks(m *marks) { s.spare = append(s.spare, m) }

// set marks a node and says whether it was marked before. The space may have grown meanwhile.
func (m *marks) set(n Node) bool {
	for int(n) >= len(m.of) {
		m.of = append(m.of, make([]uint32, int(n)+1-len(m.of)+len(m.of)/4)...)
	}
	known := m.of[n] == m.now
	m.of[n] = m.now
	return known
}
