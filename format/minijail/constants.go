package minijail

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"monban/abi"
	"monban/format/codec"
	"monban/internal/nearest"
)

// constants are those of the platform, and of a constants.json as minijail's build makes it.
type constants struct {
	ArchName  string           `json:"arch_name"`
	ArchNr    uint32           `json:"arch_nr"`
	Constants map[string]int64 `json:"constants"`
}

func readConstants(name string, src []byte) (*constants, error) {
	c := &constants{}
	if err := json.Unmarshal(src, c); err != nil {
		return nil, fmt.Errorf("%s: no constants.json of minijail: %w", name, err)
	}
	if c.Constants == nil {
		return nil, fmt.Errorf("%s: no constants.json of minijail: it has no constants", name)
	}
	return c, nil
}

// archNames are minijail's words where they are not ours.
var archNames = map[abi.Arch]string{abi.X86: "i386", abi.AArch64: "arm64"}

func (c *constants) archName(a abi.Arch) string {
	if c != nil && c.ArchNr == a.Token() && c.ArchName != "" {
		return c.ArchName
	}
	if name, ok := archNames[a]; ok {
		return name
	}
	return a.String()
}

// value is a constant's; the file's goes before the platform's.
func (c *constants) value(a abi.Arch, t token) (uint64, error) {
	if c != nil && (c.ArchNr == 0 || c.ArchNr == a.Token()) {
		if v, ok := c.Constants[t.text]; ok {
			return uint64(v), nil
		}
	}
	if v, ok := a.Constant(t.text); ok {
		return v, nil
	}
	if v, ok := a.Errno(t.text); ok {
		return uint64(v), nil
	}
	hint := ""
	if c != nil {
		hint = nearest.Hint(t.text, slices.Sorted(maps.Keys(c.Constants)))
	}
	return 0, &codec.OptionError{Option: codec.OptionConstants, Err: errorf(t.pos, "unknown constant %s on %s%s", t.text, a, hint)}
}
