package lint

import "fmt"

// A Severity says how much a finding matters.
type Severity int

// Severities, in ascending order.
const (
	Advice Severity = iota // worth knowing; nothing is wrong
	Low                    // some programs will stumble, or an attacker gains a little
	Medium                 // programs break, or a protection that people expect is not there
	High                   // what the gate refuses can be done all the same
)

var severities = []string{"advice", "low", "medium", "high"}

func (s Severity) String() string { return severities[s] }

// ParseSeverity reads a severity's name.
func ParseSeverity(name string) (Severity, error) {
	for i, s := range severities {
		if s == name {
			return Severity(i), nil
		}
	}
	return 0, fmt.Errorf("%q is not a severity: there are advice, low, medium and high", name)
}
