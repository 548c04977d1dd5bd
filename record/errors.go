package record

import (
	"fmt"
	"strings"
)

// A GroupsError says that several control groups may be the one of a container.
type GroupsError struct {
	Container string
	Groups    []string
}

func (e *GroupsError) Error() string {
	return fmt.Sprintf("several control groups belong to %s: %s; give more of the ID", e.Container, strings.Join(e.Groups, " "))
}
