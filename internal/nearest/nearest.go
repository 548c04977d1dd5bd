// Package nearest finds the word that somebody meant who wrote another: "did you mean read?".
package nearest

// Hint is " (did you mean x?)" for the name that Word finds, or "".
func Hint(word string, among []string) string {
	if name := Word(word, among); name != "" {
		return " (did you mean " + name + "?)"
	}
	return ""
}

// Word returns the one of the names that word most likely stands for, or "" if none is near. Of equally near names it
// is the first; nearness is the number of letters to insert, delete, change or swap, case aside, at most a third of the
// word and three. A word that is one of the names is not mistaken for another.
func Word(word string, among []string) string {
	w := lower(word)
	limit := min(3, max(1, len(w)/3))
	if len(w) < 2 {
		return ""
	}
	best := ""
	for _, name := range among {
		if name == word {
			return ""
		}
		if d := distance(w, lower(name), limit); d <= limit && name != "" {
			best, limit = name, d-1
		}
	}
	return best
}

func lower(s string) []byte {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}

// distance is the optimal string alignment distance of a and b, or limit+1 where it is more than limit.
func distance(a, b []byte, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	prev2 := make([]int, len(b)+1)
	prev := make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least > limit {
			return limit + 1
		}
		prev2, prev, row = prev, row, prev2
	}
	return min(prev[len(b)], limit+1)
}
