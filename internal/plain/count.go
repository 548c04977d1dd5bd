package plain

import (
	"fmt"
	"strings"
)

// Count is "1 call", "2 calls"; what is the singular.
func Count[N int | uint64](n N, what string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, what)
	}
	if strings.HasSuffix(what, "s") {
		what += "e" // processes
	}
	return fmt.Sprintf("%d %ss", n, what)
}
