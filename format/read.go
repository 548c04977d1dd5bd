package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/format/oci"
	"monban/policy"
	"monban/verdict"
)

// Options say what a gate is resolved for.
type Options struct {
	Archs   []abi.Arch  // --arch: instead of what the gate says itself
	Native  abi.Arch    // the machine; see DefaultOptions
	Kernel  abi.Version // --kernel: for profiles that ask; zero is the newest
	Caps    []string    // --cap: capabilities of the container, for OCI profiles; nil is Docker's default set
	Runtime string      // --runtime: what a container runtime adds; "" or "runc"
}

// A Gate is what was read: a policy, or programs that have no policy.
type Gate struct {
	Name     string
	Kind     Kind
	Policy   *policy.Policy   // nil for BPF
	Programs []bpf.Program    // for BPF; the oldest first
	Order    binary.ByteOrder // of the programs
	Notes    []string         // what was passed over or decided while reading
}

// A Kind is a form in which gates come.
type Kind string

const (
	Text   Kind = "policy"
	Preset Kind = "preset"
	OCI    Kind = "OCI profile"
	BPF    Kind = "BPF program"
)

// WithArticle is the kind as a sentence names it: a BPF program.
func (k Kind) WithArticle() string {
	if k == OCI {
		return "an " + string(k)
	}
	return "a " + string(k)
}

// prefixes force a format.
var prefixes = map[string]Kind{"gate": Text, "oci": OCI, "bpf": BPF, "bpf-be": BPF, "bpf-le": BPF}

// Read reads the gate that ref names; stdin is read for "-".
func Read(ref string, stdin io.Reader, o Options) (*Gate, error) {
	if strings.HasPrefix(ref, "@") {
		p, err := policy.LoadPreset(ref, o.policy())
		if err != nil {
			return nil, err
		}
		return &Gate{Name: ref, Kind: Preset, Policy: p}, nil
	}
	forced, file := Kind(""), ref
	prefix, rest, cut := strings.Cut(ref, ":")
	if k, ok := prefixes[prefix]; cut && ok {
		forced, file = k, rest
	} else if cut && !strings.ContainsAny(prefix, "./") {
		if _, err := os.Stat(ref); err != nil {
			return nil, fmt.Errorf("%s: unknown prefix %s: (there are gate: oci: bpf: bpf-be: and pid:)", ref, prefix)
		}
	}
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
	kind := forced
	if kind == "" {
		kind = Recognise(src)
	}
	switch kind {
	case BPF:
		return readBPF(file, prefix, forced != "", src)
	case OCI:
		p, report, err := oci.Parse(file, src, o.oci())
		if err != nil {
			return nil, err
		}
		g := &Gate{Name: file, Kind: OCI, Policy: p, Notes: report.Notes}
		if len(report.Unknown) > 0 {
			g.Notes = append(g.Notes, fmt.Sprintf("passed over, as runc does, because no architecture here has them: %s", strings.Join(report.Unknown, " ")))
		}
		for _, s := range report.Overlaps {
			g.Notes = append(g.Notes, "overlapping rules: "+s)
		}
		return g, p.Check()
	}
	p, err := policy.Load(file, src, o.policy())
	if err != nil {
		return nil, err
	}
	return &Gate{Name: file, Kind: Text, Policy: p}, nil
}

// DefaultOptions are for the running machine.
func DefaultOptions() Options { return Options{Native: abi.Native()} }

func (o Options) policy() policy.Options {
	return policy.Options{Archs: o.Archs, Native: &o.Native, ReadFile: policy.ReadIncluded}
}

func (o Options) oci() oci.Options {
	out := oci.Options{Caps: o.Caps, Archs: o.Archs, Kernel: o.Kernel, Runtime: o.Runtime}
	if o.Archs == nil {
		out.Native = &o.Native // otherwise the architectures asked for say which machine it is for
	}
	return out
}

// ReadFile reads a whole file, or stdin where the name is - and stdin is not nil. A file that is too large for a gate, or never
// ends, is refused. Errors name the file.
func ReadFile(file string, stdin io.Reader) ([]byte, error) {
	r, name := stdin, "standard input"
	if file != "-" || stdin == nil {
		f, err := os.Open(file)
		if err != nil {
			return nil, openError(file, err)
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return nil, fmt.Errorf("%s is a directory, not a file", file)
		}
		r, name = f, file
	}
	src, err := policy.ReadAll(r, name)
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return nil, fmt.Errorf("%s: %w", name, e.Err)
	}
	return src, err
}

// openError says what may have been meant by a file that cannot be opened.
func openError(file string, err error) error {
	switch e := (*fs.PathError)(nil); {
	case errors.Is(err, fs.ErrNotExist):
		hint := "a preset starts with @: " + strings.Join(policy.Presets(), " ")
		if slices.Contains(policy.Presets(), "@"+file) {
			hint = "the preset is @" + file
		}
		return fmt.Errorf("%s: no such file (%s)", file, hint)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: you may not read it (%w)", file, fs.ErrPermission)
	case errors.As(err, &e):
		return fmt.Errorf("%s: %w", file, e.Err)
	}
	return err
}

// Recognise tells formats apart by the content: JSON starts with a brace, a BPF program is full of zero bytes.
func Recognise(src []byte) Kind {
	text := bytes.TrimLeft(src, " \t\r\n\ufeff")
	switch {
	case 4*bytes.Count(src, []byte{0}) > len(src):
		return BPF
	case len(text) > 0 && text[0] == '{':
		return OCI
	}
	return Text
}

func readBPF(file, prefix string, forced bool, src []byte) (*Gate, error) {
	var order binary.ByteOrder = binary.LittleEndian
	switch {
	case prefix == "bpf-be" && forced:
		order = binary.BigEndian
	case !forced:
		// Without a word from the user the bytes must say it themselves.
		guess, err := bpf.GuessOrder(src)
		if err == nil {
			order = guess
		}
	}
	p, err := bpf.Decode(src, order)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := p.Check(); err != nil {
		return nil, fmt.Errorf("%s: the kernel does not admit this program: %w", file, err)
	}
	return &Gate{Name: file, Kind: BPF, Programs: []bpf.Program{p}, Order: order}, nil
}

// Verdict is the gate's exact meaning.
func (g *Gate) Verdict(s *verdict.Space) (verdict.Verdict, error) {
	if g.Policy != nil {
		return g.Policy.Verdict(s)
	}
	v, err := s.OfStack(g.Programs, g.Order)
	if err != nil {
		return v, fmt.Errorf("%s: %w", g.Name, err)
	}
	return v, nil
}

// ByteOrder is the byte order of the gate's architectures.
func (g *Gate) ByteOrder() (binary.ByteOrder, error) {
	if g.Policy != nil {
		return g.Policy.ByteOrder()
	}
	return g.Order, nil
}
