package main

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// A table is rows of cells, the first of them the headings.
type table [][]string

// String is the table in Markdown, with columns aligned so that it reads as text too.
func (t table) String() string {
	widths := make([]int, len(t[0]))
	for _, row := range t {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	widths[len(widths)-1] = 3 // nothing stands to the right of the last column
	var b strings.Builder
	for i, row := range t {
		for j, cell := range row {
			fmt.Fprintf(&b, "| %s%s ", cell, strings.Repeat(" ", max(0, widths[j]-utf8.RuneCountInString(cell))))
		}
		b.WriteString("|\n")
		if i == 0 {
			for _, w := range widths {
				b.WriteString("|" + strings.Repeat("-", w+2))
			}
			b.WriteString("|\n")
		}
	}
	return b.String()
}

// programs tabulates what the compilers made.
func (s *section) programs() table {
	t := table{{
		"compiler", "length", "compile", "executed, mean", "uncached, mean", "longest call", "longest path", "cached", "equal to the policy",
	}}
	for _, x := range s.rows {
		if x.err != nil {
			t = append(t, []string{x.name, "–", "–", "–", "–", "–", "–", "–", "– (" + reason(x.err) + ")"})
			continue
		}
		one := s.monbanOf(x)
		st, base := x.stats, one.stats
		t = append(t, []string{
			x.name,
			against(x, one, float64(st.Length), float64(base.Length), fmt.Sprint(st.Length)),
			against(x, one, ratio(x.took, one.took), 1, short(x.time())),
			against(x, one, st.Mean, base.Mean, fmt.Sprintf("%.1f", st.Mean)),
			against(x, one, st.MeanUncached, base.MeanUncached, fmt.Sprintf("%.1f", st.MeanUncached)),
			against(x, one, float64(x.max), float64(one.max), fmt.Sprint(x.max)),
			against(x, one, float64(st.Longest), float64(base.Longest), fmt.Sprint(st.Longest)),
			fmt.Sprintf("%d/%d", st.Cacheable, st.Allowed),
			x.text,
		})
	}
	return t
}

// lives tabulates what the kernel made of the programs, or is nil where that was not measured.
func (s *section) lives() table {
	if s.bare == nil {
		return nil
	}
	head := []string{"compiler", "install"}
	bare := []string{"no filter", ""}
	for i, c := range calls {
		name := c.Name
		if note := callNotes[name]; note != "" {
			name += ", " + note
		}
		head = append(head, name)
		cell := fmt.Sprintf("%.0f ns", median(s.bare.calls[i]))
		if c.Name == deniedCall {
			cell = ""
		}
		bare = append(bare, cell)
	}
	t := table{head, bare}
	for _, x := range s.rows {
		one := s.monbanOf(x)
		if x.err != nil || x.live == nil || one.live == nil {
			continue
		}
		row := []string{x.name, against(x, one, ratio(x.live.install, one.live.install), 1, fmt.Sprintf("%.0f µs", median(x.live.install)))}
		for i := range calls {
			cell := fmt.Sprintf("%.0f ns", median(x.live.calls[i]))
			switch {
			case x.live.wrong[i] != "":
				cell = x.live.wrong[i]
			case x != one:
				cell = fmt.Sprintf("%.2f× (%s)", ratio(x.live.calls[i], one.live.calls[i]), cell)
			}
			row = append(row, cell)
		}
		t = append(t, row)
	}
	return t
}

// monbanOf is Monban's row for the same meaning.
func (s *section) monbanOf(x *result) *result {
	for _, y := range s.rows {
		if y.runc == x.runc && (y.name == monbanName || y.name == monbanRuncName) {
			return y
		}
	}
	return x
}

// against writes a figure as a multiple of Monban's, and Monban's own plainly.
func against(x, one *result, value, base float64, text string) string {
	if x == one || base == 0 {
		return text
	}
	return fmt.Sprintf("%s (%s)", times(value/base), text)
}

func times(ratio float64) string {
	if ratio >= 9.95 {
		return fmt.Sprintf("%.0f×", ratio)
	}
	return fmt.Sprintf("%.1f×", ratio)
}

// short writes a time with two or three digits.
func short(d time.Duration) string {
	switch us := float64(d) / float64(time.Microsecond); {
	case us < 999.5:
		return fmt.Sprintf("%.0f µs", us)
	case us < 9995:
		return fmt.Sprintf("%.2f ms", us/1000)
	default:
		return fmt.Sprintf("%.1f ms", us/1000)
	}
}

// reason is an error's last link: what could not be done.
func reason(err error) string {
	text := firstLine([]byte(err.Error()))
	if _, after, ok := strings.Cut(string(text), errCannot.Error()+": "); ok && errors.Is(err, errCannot) {
		return "it cannot: " + after
	}
	return string(text)
}
