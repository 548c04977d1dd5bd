package codec

import (
	"regexp"
	"sync"
)

// Lazy is a regular expression that is compiled when it is first needed: most commands need none of the formats'.
func Lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
