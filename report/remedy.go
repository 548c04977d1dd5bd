package report

import (
	"fmt"
	"slices"
	"strings"

	"monban/abi"
	"monban/format/oci"
	"monban/gate"
	"monban/inspect"
)

// RemedyLines say what to change in a gate so that the call passes that it ends programs for.
func RemedyLines(c *inspect.Culprit, o Options) []string {
	g := c.Gate
	name, named := c.Arch.Name(c.Call.Nr)
	allow := "allow " + name
	if !named {
		allow = fmt.Sprintf("allow any(nr == %d)", c.Call.Nr)
	}
	if c.Decision == nil {
		return []string{"to allow it, write the program down as a policy" + o.hint(": ", HintWords, g.Name, ""), "and put before its rules the line:  " + allow}
	}
	if c.NeedsArch() {
		return []string{ArchRemedy(g, c.Arch, o)}
	}
	by := ""
	if at := c.Decision.Pos(); at.Line > 0 {
		by = at.String()
	}
	switch {
	case g.Format == oci.Format().Name && !named:
		return []string{"a profile cannot name this number: to allow it, write the profile down as a policy" + o.hint(": ", HintWords, g.Name, ""),
			"and put before its rules the line:  " + allow}
	case g.Format == oci.Format().Name:
		entry := fmt.Sprintf(`{"names": [%q], "action": "SCMP_ACT_ALLOW"}`, name)
		if by != "" {
			return []string{fmt.Sprintf("to allow it, take %s out of the entry at %s, and add:  %s", name, by, entry)}
		}
		return []string{fmt.Sprintf("to allow it, add to the syscalls of %s:  %s", g.Name, entry)}
	case g.Preset:
		first := "to allow it, write a gate of your own that says, in this order:  "
		return []string{first + allow, strings.Repeat(" ", len(first)) + "include " + g.Name}
	case by != "":
		return []string{fmt.Sprintf("to allow it, put before %s the line:  %s", by, allow)}
	}
	return []string{fmt.Sprintf("to allow it, add to %s the line:  %s", g.Name, allow)}
}

// ArchRemedy says how a gate comes to speak for one more architecture.
func ArchRemedy(g *gate.Gate, a abi.Arch, o Options) string {
	if g.Policy == nil {
		return fmt.Sprintf("%s does not let calls of %s through: it takes a program that knows both architectures", g.Name, a)
	}
	archs := append(slices.Clone(g.Policy.Archs), a)
	switch {
	case g.Format == oci.Format().Name:
		return fmt.Sprintf("%s does not speak for %s: add SCMP_ARCH_%s to its architectures%s", g.Name, a, strings.ToUpper(a.String()),
			o.hint(", or ", HintArchs, abi.Join(archs, ","), ""))
	}
	return fmt.Sprintf("%s does not speak for %s: give it the header  arch %s", g.Name, a, abi.Join(archs, " "))
}
