package kubernetes

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"monban/format/codec"
	"monban/format/oci"
	"monban/gate"
	"monban/internal/nearest"
	"monban/internal/plain"
	"monban/policy"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.yaml.in/yaml/v3"
)

func read(in *codec.Input) (*gate.Gate, error) {
	r := &reader{Source: codec.NewSource(in.Name, in.Src), beta: map[*yaml.Node]bool{}}
	spec, err := r.find(in.Part)
	if err != nil {
		return nil, err
	}
	prof := r.spec(spec)
	if r.err != nil {
		return nil, r.err
	}
	o := oci.Options{Archs: in.Archs, Kernel: in.Kernel, Runtime: in.Runtime}
	if in.Archs == nil {
		o.Native = &in.Native
	}
	p, report, err := oci.Import(r.Source, prof, r.where, o)
	if err != nil {
		return nil, err
	}
	return report.Gate(p, "runtimes do", r.notes.List()...)
}

// A reader turns nodes into a profile; its err is the first thing that was wrong.
type reader struct {
	*codec.Source
	where oci.Places
	notes codec.Notes
	beta  map[*yaml.Node]bool // the specs of v1beta1
	lines []int               // where each starts
	err   error
}

// find is the spec of the one SeccompProfile of the text, or of the one of a name.
func (r *reader) find(name string) (*yaml.Node, error) {
	docs, err := r.documents()
	if err != nil {
		return nil, err
	}
	var names []string
	var found *yaml.Node
	for _, doc := range docs {
		object := r.object(doc)
		if r.err != nil {
			return nil, r.err
		}
		if object.spec == nil || name != "" && object.name != name {
			if object.spec != nil {
				names = append(names, object.name)
			}
			continue
		}
		names, found = append(names, object.name), object.spec
	}
	start := policy.Pos{File: r.Name, Line: 1, Col: 1}
	switch {
	case found == nil && name == "":
		return nil, &policy.Error{Pos: start, Msg: fmt.Sprintf("no SeccompProfile of %s in it", group)}
	case found == nil:
		return nil, &policy.Error{Pos: start, Msg: fmt.Sprintf("no SeccompProfile %s in it (there are: %s)", name, plain.List(names, " "))}
	case name == "" && len(names) > 1:
		return nil, &policy.Error{Pos: start, Msg: fmt.Sprintf("%d SeccompProfiles in it (name one, as in %s#%s)", len(names), r.Name, names[0])}
	}
	return found, nil
}

// An object is a document of the text; its spec is nil where it is no SeccompProfile.
type object struct {
	name string
	spec *yaml.Node
}

func (r *reader) object(doc *yaml.Node) (o object) {
	if !r.want(doc, yaml.MappingNode, "a document") {
		return o
	}
	var version, kind, spec *yaml.Node
	keep := func(to **yaml.Node) func(*yaml.Node) { return func(n *yaml.Node) { *to = n } }
	fields := map[string]func(*yaml.Node){
		"apiVersion": keep(&version), "kind": keep(&kind), "spec": keep(&spec),
		"metadata": func(n *yaml.Node) {
			r.fields(n, "metadata", map[string]func(*yaml.Node){"name": func(n *yaml.Node) { o.name = n.Value }}, true)
		},
	}
	r.fields(doc, "the object", fields, true)
	if r.err != nil || version == nil || kind == nil || !strings.HasPrefix(version.Value, group+"/") || kind.Value != "SeccompProfile" {
		return object{}
	}
	known := []string{"apiVersion", "kind", "metadata", "spec", "status"}
	for i := 0; i < len(doc.Content); i += 2 {
		if key := doc.Content[i]; !slices.Contains(known, key.Value) {
			r.fail(key, "unknown field %q in the object%s", key.Value, cmp.Or(nearest.Hint(key.Value, known), " (remove it)"))
		}
	}
	v := strings.TrimPrefix(version.Value, group+"/")
	switch {
	case !slices.Contains(versions, v):
		r.fail(version, "unknown version %q of SeccompProfile (known are %s)", v, strings.Join(versions, ", "))
	case spec == nil:
		r.fail(doc, "the SeccompProfile has no spec (add one with defaultAction)")
	default:
		o.spec = spec
		r.beta[spec] = v == "v1beta1"
	}
	return o
}

// spec reads what the object says.
func (r *reader) spec(n *yaml.Node) *specs.LinuxSeccomp {
	p := &specs.LinuxSeccomp{}
	var action *yaml.Node
	beta := r.beta[n]
	r.where.Profile = r.offset(n)
	r.fields(n, "spec", map[string]func(*yaml.Node){
		"state": func(n *yaml.Node) {
			if r.one(n, "state", []string{"Enabled", "Disabled"}) == "Disabled" {
				r.note(n, "state is Disabled: the operator does not install the profile")
			}
		},
		"disabled": func(n *yaml.Node) {
			if r.want(n, yaml.ScalarNode, "disabled") && r.one(n, "disabled", []string{"true", "false"}) == "true" {
				r.note(n, "disabled: the operator does not install the profile")
			}
		},
		"baseProfileName": func(n *yaml.Node) {
			if s := r.string(n, "baseProfileName"); s != "" {
				r.fail(n, "the base profile %s is in the cluster, not here (copy its syscalls into this one and remove baseProfileName)", s)
			}
		},
		"defaultAction":    func(n *yaml.Node) { action = n },
		"architectures":    func(n *yaml.Node) { p.Architectures = r.archs(n) },
		"listenerPath":     func(n *yaml.Node) { p.ListenerPath = r.string(n, "listenerPath") },
		"listenerMetadata": func(n *yaml.Node) { p.ListenerMetadata = r.string(n, "listenerMetadata") },
		"flags": func(n *yaml.Node) {
			r.list(n, "flags", func(n *yaml.Node) { p.Flags = append(p.Flags, specs.LinuxSeccompFlag(r.one(n, "flag", oci.Flags()))) })
		},
		"syscalls": func(n *yaml.Node) {
			r.list(n, "syscalls", func(n *yaml.Node) { p.Syscalls = append(p.Syscalls, r.syscall(n, beta)) })
		},
	}, false)
	if action == nil {
		r.fail(n, "the spec has no defaultAction (add defaultAction: SCMP_ACT_ERRNO)")
		return p
	}
	p.DefaultAction = specs.LinuxSeccompAction(r.one(action, "action", oci.Actions()))
	if p.DefaultAction == specs.ActNotify {
		r.fail(action, "SCMP_ACT_NOTIFY cannot be the default action (the runtime needs calls itself before anyone answers)")
	}
	return p
}

func (r *reader) syscall(n *yaml.Node, beta bool) specs.LinuxSyscall {
	c := specs.LinuxSyscall{}
	var action, errno *yaml.Node
	var places []int
	r.fields(n, "a rule", map[string]func(*yaml.Node){
		"names": func(n *yaml.Node) {
			r.list(n, "names", func(n *yaml.Node) {
				name := r.string(n, "each of names")
				if name == "" {
					r.fail(n, "an empty name (write a system call's)")
				}
				c.Names, places = append(c.Names, name), append(places, r.offset(n))
			})
		},
		"action":   func(n *yaml.Node) { action = n },
		"errnoRet": func(n *yaml.Node) { errno = n },
		"args":     func(n *yaml.Node) { r.list(n, "args", func(n *yaml.Node) { c.Args = append(c.Args, r.arg(n)) }) },
	}, false)
	r.where.Rules, r.where.Names = append(r.where.Rules, r.offset(n)), append(r.where.Names, places)
	switch {
	case len(c.Names) == 0:
		r.fail(n, "a rule without names (add names: [read])")
		return c
	case action == nil:
		r.fail(n, "a rule without action (add action: SCMP_ACT_ALLOW)")
		return c
	case len(c.Args) > 6:
		r.fail(n, "a rule with %d argument tests (six are the most)", len(c.Args))
	}
	c.Action = specs.LinuxSeccompAction(r.one(action, "action", oci.Actions()))
	if errno == nil || beta && errno.Value == "" {
		return c
	}
	// The operator takes 0 for a number that is not given.
	if data := uint(r.number(errno, "errnoRet", 4095, beta)); data != 0 {
		if c.Action != specs.ActErrno && c.Action != specs.ActTrace {
			r.fail(errno, "%s takes no errnoRet (remove it, or use SCMP_ACT_ERRNO)", c.Action)
		}
		c.ErrnoRet = &data
	}
	return c
}

func (r *reader) arg(n *yaml.Node) (a specs.LinuxSeccompArg) {
	const most = 1<<63 - 1
	var index, op *yaml.Node
	r.fields(n, "an argument test", map[string]func(*yaml.Node){
		"index":    func(n *yaml.Node) { index = n },
		"value":    func(n *yaml.Node) { a.Value = r.number(n, "value", most, false) },
		"valueTwo": func(n *yaml.Node) { a.ValueTwo = r.number(n, "valueTwo", most, false) },
		"op":       func(n *yaml.Node) { op = n },
	}, false)
	if index == nil || op == nil {
		r.fail(n, "an argument test needs index and op (add them)")
		return a
	}
	a.Index = uint(r.number(index, "index", 5, false))
	a.Op = specs.LinuxSeccompOperator(r.one(op, "operator", oci.Operators()))
	return a
}

func (r *reader) archs(n *yaml.Node) (archs []specs.Arch) {
	r.list(n, "architectures", func(n *yaml.Node) { archs = append(archs, specs.Arch(r.one(n, "architecture", archNames))) })
	return archs
}
