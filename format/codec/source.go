package codec

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"monban/policy"
)

// A Source is a file's text, for errors that point.
type Source struct {
	Name  string
	Src   []byte
	lines []int // where each starts
	runes []int // how many there are before each block
}

// block is how many bytes share an entry of Source.runes: it keeps places cheap in a long file of one line.
const block = 1024

// NewSource indexes a text.
func NewSource(name string, src []byte) *Source {
	s := &Source{Name: name, Src: src, lines: []int{0}}
	n := 0
	for i, b := range src {
		if i%block == 0 {
			s.runes = append(s.runes, n)
		}
		if b == '\n' {
			s.lines = append(s.lines, i+1)
		}
		if utf8.RuneStart(b) {
			n++
		}
	}
	s.runes = append(s.runes, n)
	return s
}

// runesBefore counts the runes that start before off.
func (s *Source) runesBefore(off int) int {
	n := s.runes[off/block]
	for _, b := range s.Src[off/block*block : off] {
		if utf8.RuneStart(b) {
			n++
		}
	}
	return n
}

// Pos is the place of a byte; columns count runes, from 1.
func (s *Source) Pos(off int) policy.Pos {
	off = min(off, len(s.Src))
	line, exact := slices.BinarySearch(s.lines, off)
	if exact {
		line++
	}
	return policy.Pos{File: s.Name, Line: line, Col: s.runesBefore(off) - s.runesBefore(s.lines[line-1]) + 1}
}

// Errorf is an error at a byte.
func (s *Source) Errorf(off int, format string, args ...any) error {
	return &policy.Error{Pos: s.Pos(off), Msg: fmt.Sprintf(format, args...)}
}
