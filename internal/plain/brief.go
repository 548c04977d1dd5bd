package plain

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Brief is s, or the first of its characters and an ellipsis, together no more than most.
func Brief(s string, most int) string {
	if len(s) <= most {
		return s
	}
	n, end := 0, 0 // characters seen, and where the text would be cut
	for i := range s {
		if n == most-1 {
			end = i
		}
		if n++; n > most {
			return s[:end] + "…"
		}
	}
	return s
}

const (
	longWord  = 255 // no file has a longer name
	shortWord = 60
	longLine  = 2000
)

// Message is an error's text with what it quotes cut to what a person reads: words of more than 255 characters to 60,
// and the middle taken out of more than 2000 bytes.
func Message(s string) string {
	if len(s) <= longWord {
		return s
	}
	var b strings.Builder
	for rest := s; rest != ""; {
		n := strings.IndexFunc(rest, unicode.IsSpace)
		if n < 0 {
			n = len(rest)
		}
		word := rest[:n]
		if n > longWord && utf8.RuneCountInString(word) > longWord {
			word = Brief(word, shortWord)
		}
		_, space := utf8.DecodeRuneInString(rest[n:])
		b.WriteString(word + rest[n:n+space])
		rest = rest[n+space:]
	}
	if s = b.String(); len(s) <= longLine {
		return s
	}
	head, tail := longLine/2, len(s)-longLine/2
	return s[:start(s, head)] + " … " + s[start(s, tail):]
}

// start is where the character begins that has the byte at i.
func start(s string, i int) int {
	for back := range min(utf8.UTFMax, i+1) {
		if utf8.RuneStart(s[i-back]) {
			return i - back
		}
	}
	return i
}

// few is how many parts of a list a message has at most.
const few = 16

// List joins parts, the first 16 of them; how many more there are is said.
func List(parts []string, sep string) string {
	if len(parts) <= few {
		return strings.Join(parts, sep)
	}
	return fmt.Sprintf("%s … and %d more", strings.Join(parts[:few], sep), len(parts)-few)
}
