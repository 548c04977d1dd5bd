package format

import (
	"fmt"
	"strconv"
	"strings"

	"monban/abi"
	"monban/format/codec"
	"monban/gate"
	"monban/policy/lang"
)

// Options say what a gate is resolved for and where it is read from; the zero value is the running machine's, for a
// name that stands in a document.
type Options = codec.Options

// Read reads the gate that ref names: @PRESET, FILE, FORMAT:FILE, FORMAT:FILE#PART, pid:N or stack:OLDEST,…,NEWEST;
// o.Stdin is read for "-".
func Read(ref string, o Options) (*gate.Gate, error) {
	if strings.HasPrefix(ref, "@") {
		p, err := lang.LoadPreset(ref, policyOptions(o))
		if err != nil {
			return nil, err
		}
		g := gate.OfPolicy(ref, p)
		g.Kind, g.Preset = "preset", true
		return g, nil
	}
	if pid, ok := strings.CutPrefix(ref, "pid:"); ok {
		return process(pid, o)
	}
	if list, ok := strings.CutPrefix(ref, "stack:"); ok {
		return stack(ref, strings.Split(list, ","), o)
	}
	from := filesOf(o)
	f, file, err := split(ref, from)
	if err != nil {
		return nil, err
	}
	file, part := cutPart(file, from)
	src, err := from.read(file)
	if err != nil {
		return nil, err
	}
	if file == "-" && o.Stdin != nil {
		file = "standard input"
	}
	if len(src) == 0 {
		return nil, fmt.Errorf("%s is empty: a gate says at least what its default is", file)
	}
	if f.Read == nil {
		f = Recognise(src)
	}
	return parse(f, file, part, src, o)
}

// Parse reads a text of a known format.
func Parse(f codec.Format, name string, src []byte, o Options) (*gate.Gate, error) {
	return parse(f, name, "", src, o)
}

func parse(f codec.Format, name, part string, src []byte, o Options) (*gate.Gate, error) {
	if part != "" && !f.Parts {
		return nil, fmt.Errorf("%s#%s: %s has no parts", name, part, f.Title)
	}
	from := filesOf(o)
	g, err := f.Read(&codec.Input{Name: name, Part: part, Src: src, Options: o, ReadFile: from.included, ReadDir: from.list})
	if err != nil {
		return nil, err
	}
	_, kind, _ := strings.Cut(f.Title, " ") // without the article
	g.Name, g.Kind, g.Format, g.Source = name, kind, f.Name, src
	return g, nil
}

// process is the gate of a live process.
func process(pid string, o Options) (*gate.Gate, error) {
	n, err := strconv.Atoi(pid)
	if err != nil || n <= 0 {
		return nil, fmt.Errorf("%q is not a process id: it is a number, as ps shows it", pid)
	}
	if o.Dump == nil {
		return nil, fmt.Errorf("pid:%s: a process cannot be looked at from here", pid)
	}
	programs, err := o.Dump(n)
	if err != nil {
		return nil, err
	}
	return gate.OfPrograms("pid:"+pid, abi.Native().ByteOrder(), programs...), nil
}

// stack is several gates on one task, the first the oldest.
func stack(name string, refs []string, o Options) (*gate.Gate, error) {
	var gates []*gate.Gate
	for _, ref := range refs {
		if ref == "" {
			return nil, fmt.Errorf("%s: a gate's name is missing (stack:OLDEST,…,NEWEST)", name)
		}
		g, err := Read(ref, o)
		if err != nil {
			return nil, err
		}
		gates = append(gates, g)
	}
	return gate.Stack(name, gates...)
}

// split takes the format's prefix off a reference; without one the format is the zero value.
func split(ref string, from files) (codec.Format, string, error) {
	prefix, rest, cut := strings.Cut(ref, ":")
	if !cut {
		return codec.Format{}, ref, nil
	}
	if f, ok := Find(prefix); ok {
		if f.Read == nil {
			return f, "", fmt.Errorf("%s: %s can only be written, not read", ref, f.Title)
		}
		return f, rest, nil
	}
	if !strings.ContainsAny(prefix, "./") && !from.exists(ref) {
		return codec.Format{}, "", fmt.Errorf("%s: unknown prefix %s: (there are %s, pid: and stack:)", ref, prefix, strings.Join(prefixes(), " "))
	}
	return codec.Format{}, ref, nil
}

// cutPart takes what stands after # off a file's name, unless that is the name.
func cutPart(file string, from files) (name, part string) {
	i := strings.LastIndexByte(file, '#')
	if i < 0 || from.exists(file) {
		return file, ""
	}
	return file[:i], file[i+1:]
}
