package systemd

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"

	"monban/format/codec"
)

// A setting is one KEY=VALUE of a unit's [Service] or the like.
type setting struct {
	*codec.Source
	key, value string
	off        int // of the value
}

// section is a unit file's heading; of the ones that set what is executed.
var (
	section = codec.Lazy(`^\[[^\]]+\]$`)
	execs   = map[string]bool{"[Service]": true, "[Socket]": true, "[Mount]": true, "[Swap]": true}
)

func sniff(src []byte) bool {
	for line := range bytes.SplitSeq(src, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' && line[0] != ';' {
			return section().Match(line)
		}
	}
	return false
}

// settings reads a unit file. A backslash at the end of a line joins the next one; comments between them are ignored.
func settings(name string, src []byte) (all []setting, err error) {
	s := codec.NewSource(name, src)
	inside := ""
	off := 0
	var open *setting // whose value goes on in the next line
	var value []byte
	for raw := range bytes.SplitSeq(src, []byte("\n")) {
		start := off
		off += len(raw) + 1
		text := strings.TrimRight(string(raw), " \t\r")
		line := strings.TrimLeft(text, " \t")
		start += len(text) - len(line)
		if line != "" && (line[0] == '#' || line[0] == ';') {
			continue
		}
		line, more := strings.CutSuffix(line, `\`)
		switch {
		case open != nil:
			// The places of what a joined line says are right as long as each line keeps its length.
			for len(value) < start-open.off {
				value = append(value, ' ')
			}
			value = append(value, line...)
		case line == "":
		case section().MatchString(line):
			inside = line
		case line[0] == '[':
			return nil, s.Errorf(start, "the section's name does not end in ]")
		default:
			key, rest, ok := strings.Cut(line, "=")
			if !ok {
				return nil, s.Errorf(start, "a line is KEY=VALUE, a [Section] or a comment")
			}
			if inside == "" {
				return nil, s.Errorf(start, "a setting before the first section (put [Service] before it)")
			}
			set := setting{Source: s, key: strings.TrimSpace(key), off: start + len(key) + 1}
			value = append(value[:0], rest...)
			if execs[inside] {
				all = append(all, set)
				open = &all[len(all)-1]
			} else {
				open = &set
			}
		}
		if open != nil && !more {
			open.value = string(value)
			open = nil
		}
	}
	if open != nil {
		return nil, s.Errorf(len(src), `the file ends after a \ that joins the next line (is it truncated?)`)
	}
	return all, nil
}

// words are a value's, with their places.
func (s setting) words() (all []setting) {
	for i := 0; i < len(s.value); {
		if s.value[i] == ' ' || s.value[i] == '\t' {
			i++
			continue
		}
		n := strings.IndexAny(s.value[i:], " \t")
		if n < 0 {
			n = len(s.value) - i
		}
		all = append(all, setting{s.Source, s.key, s.value[i : i+n], s.off + i})
		i += n
	}
	return all
}

// everything is the settings of a unit and its drop-ins, in systemd's order: by the drop-ins' names, after the unit.
func everything(in *codec.Input) (all []setting, err error) {
	if all, err = settings(in.Name, in.Src); err != nil || in.ReadDir == nil || in.ReadFile == nil {
		return all, err
	}
	dir := in.Name + ".d"
	names, err := in.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".conf") {
			continue
		}
		path := filepath.Join(dir, name)
		src, err := in.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		more, err := settings(path, src)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}
