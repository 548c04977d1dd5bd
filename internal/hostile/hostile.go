// Package hostile is the alphabet of whoever chooses the names that Monban prints, for tests: one for all places that
// print. It knows nothing of package plain, which defends against it.
package hostile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Forged is what stands behind a line break in names: no line of an output may start with it.
const Forged = "PWN"

// characters must not reach an output.
var characters = []string{
	"\x00", "\x01", "\a", "\b", "\v", "\f", "\n", "\r", "\r\n", "\x1b[8m", "\x1b]0;title\a", "\x1b[2J", "\x1bP", "\x7f", // controls
	"\u0080", "\u0085", "\u009b31m", "\u009d0;title\u009c", "\u00ad", // C1, soft hyphen
	"\x9b31m", "\x85", "\xff", "\xc3", "\xe2\x80", "\xed\xa0\x80", "\xc0\x8a", // no UTF-8
	"\u2028", "\u2029", "\u061c", "\u200e", "\u200f", "\u202a", "\u202b", "\u202c", "\u202d", "\u202e", // separators, directions
	"\u2066", "\u2067", "\u2068", "\u2069", "\u200b", "\u200c", "\u200d", "\u2060", "\u2064", "\ufeff", "\u180e", // nothing to be seen
	"\u034f", "\u115f", "\u1160", "\u3164", "\uffa0", "\ufe00", "\ufe0f", "\U000e0100", "\U000e0001", "\U000e0041", "\u2800",
	"\ufff9", "\ufffe", "\ufdd0", "\ue000", "\U000f0000", "\U0010ffff", // no characters, private ones
}

// syntax is what means something where names are written: in source code, in markup, to CI systems.
var syntax = []string{
	"*/", "/*", "//", "??/", `\`, `"`, "'", "`", "<script>alert(1)</script>", "<!--", "-->", "]]>", "&lt;", "${{x}}", "{{.}}", "%s%d%n", "%%",
	"# SKIP", ": x", "- x", "#", ";", "$(id)", "](javascript:x)", "\t", "\u0301", "##[error]", "##vso[task.complete]", "##teamcity[x]",
}

// Names are hostile names, of each kind one.
func Names() []string {
	names := []string{
		"::error::" + Forged, "  ::error file=x::" + Forged, "##[error]" + Forged, "##vso[task.complete result=Failed]" + Forged, "\u0301" + Forged,
		"x\nnote: all is fine\n" + Forged, "x\nmonban: killed: mount() by sh (process 1)\n" + Forged, "x\n::error::" + Forged, "x\nallow ptrace\n" + Forged,
		"x\r\n\r\n" + Forged, "x\\\n" + Forged, "x */\n" + Forged, "x??/\n" + Forged, "x\\",
	}
	for _, c := range slices.Concat(characters, syntax) {
		names = append(names, "x"+c+Forged)
	}
	return names
}

// Innocent are names that stay as they are.
var Innocent = []string{"größer.gate", "門番", "日本\u3000語", "ไทย", "हिन्दी", "عربى", "e\u0301", "😀", "a b-c_d.e", `C:\gates`, "100%"}

// command is what CI systems obey in the middle of a line.
var command = regexp.MustCompile(`##\w*\[`)

// Check says what is in an output that must not be there.
func Check(out string) error {
	if !utf8.ValidString(out) {
		return fmt.Errorf("bytes that are not UTF-8 in %q", out)
	}
	for i, r := range out {
		if r == '\n' || r == '\t' {
			continue
		}
		if unicode.In(r, unicode.C, unicode.Zl, unicode.Zp, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point,
			unicode.Noncharacter_Code_Point) || r == '\u2800' {
			return fmt.Errorf("%U: %q", r, out[max(0, i-60):min(len(out), i+60)])
		}
	}
	for line := range strings.Lines(out) {
		start := strings.TrimLeft(line, " \t")
		if strings.HasPrefix(start, Forged) || strings.HasPrefix(start, "::") || strings.HasPrefix(start, "\u0301") || command.MatchString(line) {
			return fmt.Errorf("a forged line: %q", line)
		}
	}
	return nil
}
