package codec

import (
	"fmt"
	"strings"

	"monban/policy"
)

// Notes collects what is ignored or decided while reading. A hopeless file has thousands of notes of the same kind,
// which is their format; where there are more than a few, the kind is said once, with how many and some places.
type Notes struct {
	kinds []*noteKind // in the order of their first
}

type noteKind struct {
	format string
	count  int
	first  []string     // the first few, with their places
	places []policy.Pos // of those after the first
}

const (
	fewNotes  = 3 // of a kind are all said
	fewPlaces = 5
)

// Add takes a note; a zero Pos is not a place.
func (n *Notes) Add(at policy.Pos, format string, args ...any) {
	var k *noteKind
	for _, old := range n.kinds {
		if old.format == format {
			k = old
		}
	}
	if k == nil {
		k = &noteKind{format: format}
		n.kinds = append(n.kinds, k)
	}
	if k.count++; k.count <= fewNotes {
		text := fmt.Sprintf(format, args...)
		if at != (policy.Pos{}) {
			text = at.String() + ": " + text
		}
		k.first = append(k.first, text)
	}
	if k.count > 1 && len(k.places) < fewPlaces && at.Line > 0 {
		k.places = append(k.places, at)
	}
}

// List is what there is to say.
func (n *Notes) List() (out []string) {
	for _, k := range n.kinds {
		if k.count <= fewNotes {
			out = append(out, k.first...)
			continue
		}
		more := fmt.Sprintf("%d more such notes", k.count-1)
		if k.places != nil {
			var places []string
			for _, at := range k.places {
				places = append(places, fmt.Sprintf("%d:%d", at.Line, at.Col))
			}
			more += ", at " + strings.Join(places, ", ")
			if k.count-1 > len(k.places) {
				more += ", …"
			}
		}
		out = append(out, k.first[0]+" (and "+more+")")
	}
	return out
}
