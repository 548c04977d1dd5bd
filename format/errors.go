package format

import (
	"fmt"
	"strings"
)

// A ReadOnlyError says that a format cannot be written.
type ReadOnlyError struct{ Format string } // its title

func (e *ReadOnlyError) Error() string { return e.Format + " can only be read, not written" }

// A TargetError says that a format is not written for a program.
type TargetError struct {
	Target string
	Format string   // its title
	For    []string // the programs that it is written for; none where the text is the same for all
}

func (e *TargetError) Error() string {
	if len(e.For) == 0 {
		return fmt.Sprintf("%s: %s is the same for all programs", e.Target, e.Format)
	}
	return fmt.Sprintf("%s: %s is written for %s", e.Target, e.Format, strings.Join(e.For, ", "))
}

// A RulesError says that a filter does what no rules say.
type RulesError struct{ Gate, What string }

func (e *RulesError) Error() string { return fmt.Sprintf("%s: %s: no rules say that", e.Gate, e.What) }
