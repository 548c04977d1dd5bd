package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"monban/bpf"
	"monban/format/codec"
	"monban/internal/regular"
	"monban/policy"
	"monban/policy/lang"
	"monban/verdict"
)

// Options say what a gate is resolved for; the zero value is the running machine's.
type Options = codec.Options

// A Gate is what was read: a policy, or programs that have no policy.
type Gate struct {
	Name     string
	Format   codec.Format
	Preset   bool             // a preset, which is a policy
	Policy   *policy.Policy   // nil for BPF
	Programs []bpf.Program    // for BPF; the oldest first
	Order    binary.ByteOrder // of the programs
	Notes    []string         // what was passed over or decided while reading
	Parsed   *codec.Parsed    // what the format said; nil for presets
	Source   []byte           // the text; nil for presets
}

// Read reads the gate that ref names: @PRESET, FILE, FORMAT:FILE or FORMAT:FILE#PART; stdin is read for "-". A nil stdin says that ref
// is not a user's but a document's: "-" is a file's name then, and the file must be a regular one.
func Read(ref string, stdin io.Reader, o Options) (*Gate, error) {
	if strings.HasPrefix(ref, "@") {
		p, err := lang.LoadPreset(ref, policyOptions(o))
		if err != nil {
			return nil, err
		}
		return &Gate{Name: ref, Format: gate, Preset: true, Policy: p}, nil
	}
	f, file, err := split(ref)
	if err != nil {
		return nil, err
	}
	file, part := cutPart(file)
	src, err := ReadFile(file, stdin)
	if err != nil {
		return nil, err
	}
	if file == "-" {
		file = "standard input"
	}
	if len(src) == 0 {
		return nil, fmt.Errorf("%s is empty: a gate says at least what its default is", file)
	}
	if f.Read == nil {
		f = Recognise(src)
	}
	return parse(f, &codec.Input{
		Name: file, Part: part, Src: src, Options: o, ReadFile: lang.ReadIncluded, ReadDir: readDir,
	})
}

// Parse reads a text of a known format.
func Parse(f codec.Format, name string, src []byte, o Options) (*Gate, error) {
	return parse(f, &codec.Input{Name: name, Src: src, Options: o, ReadFile: lang.ReadIncluded, ReadDir: readDir})
}

func parse(f codec.Format, in *codec.Input) (*Gate, error) {
	got, err := f.Read(in)
	if err != nil {
		return nil, err
	}
	return &Gate{Name: in.Name, Format: f, Policy: got.Policy, Programs: got.Programs, Order: got.Order, Notes: got.Notes, Parsed: got, Source: in.Src}, nil
}

// split takes the format's prefix off a reference; without one the format is the zero value.
func split(ref string) (codec.Format, string, error) {
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
	if !strings.ContainsAny(prefix, "./") {
		if _, err := os.Stat(ref); err != nil {
			return codec.Format{}, "", fmt.Errorf("%s: unknown prefix %s: (there are %s, pid: and stack:)", ref, prefix, strings.Join(prefixes(), " "))
		}
	}
	return codec.Format{}, ref, nil
}

// cutPart takes what stands after # off a file's name, unless that is the name.
func cutPart(file string) (name, part string) {
	i := strings.LastIndexByte(file, '#')
	if i < 0 {
		return file, ""
	}
	if _, err := os.Stat(file); err == nil {
		return file, ""
	}
	return file[:i], file[i+1:]
}

// readDir lists a directory for formats whose files lie in several places.
func readDir(name string) ([]string, error) {
	entries, err := os.ReadDir(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// ReadFile reads a whole file, or stdin where the name is - and stdin is not nil: see Read. A pipe, as a shell's <(…) is one, may be
// named if stdin is not nil. A file that is too large for a gate, or never ends, is refused. Errors name the file.
func ReadFile(file string, stdin io.Reader) ([]byte, error) {
	r, name := stdin, "standard input"
	if file != "-" || stdin == nil {
		open := regular.OpenArgument
		if stdin == nil {
			open = regular.Open
		}
		f, err := open(file)
		if err != nil {
			return nil, openError(file, err)
		}
		defer f.Close()
		r, name = f, file
	}
	src, err := lang.ReadAll(r, name)
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return nil, fmt.Errorf("%s: %w", name, e.Err)
	}
	return src, err
}

// openError says what may have been meant by a file that cannot be opened.
func openError(file string, err error) error {
	switch e := (*fs.PathError)(nil); {
	case errors.Is(err, fs.ErrNotExist):
		hint := "a preset starts with @: " + strings.Join(lang.Presets(), " ")
		if slices.Contains(lang.Presets(), "@"+file) {
			hint = "the preset is @" + file
		}
		return fmt.Errorf("%s: no such file (%s)", file, hint)
	case errors.Is(err, regular.ErrKind):
		return fmt.Errorf("%s: %w", file, errors.Unwrap(err))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: you may not read it (%w)", file, fs.ErrPermission)
	case errors.As(err, &e):
		return fmt.Errorf("%s: %w", file, e.Err)
	}
	return err
}

// Verdict is the gate's exact meaning. Errors name the gate, except verdict.ErrTooComplex.
func (g *Gate) Verdict(s *verdict.Space) (verdict.Verdict, error) {
	if g.Policy != nil {
		return g.Policy.Verdict(s)
	}
	v, err := s.OfStack(g.Programs, g.Order)
	if err != nil && !errors.Is(err, verdict.ErrTooComplex) {
		err = fmt.Errorf("%s: %w", g.Name, err)
	}
	return v, err
}

// ByteOrder is the byte order of the gate's architectures.
func (g *Gate) ByteOrder() (binary.ByteOrder, error) {
	if g.Policy != nil {
		return g.Policy.ByteOrder()
	}
	return g.Order, nil
}

// Kind is what was read, for people: preset, policy, OCI profile.
func (g *Gate) Kind() string {
	if g.Preset {
		return "preset"
	}
	_, kind, _ := strings.Cut(g.Format.Title, " ") // without the article
	return kind
}
