package oci

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/format/codec"
	"monban/format/jsontree"
	"monban/internal/nearest"
	"monban/policy"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A profile is the text of a seccomp profile: the fields of the OCI runtime specification, with Docker's and Podman's
// additions.
type profile struct {
	off           int
	action        policy.Action
	architectures []specs.Arch
	archMap       []archEntry
	flags         []string
	listener      bool
	rules         []rule
}

type archEntry struct {
	arch specs.Arch
	subs []specs.Arch
}

type rule struct {
	names    []callName
	action   policy.Action
	args     []specs.LinuxSeccompArg
	off      int
	single   bool // it was Docker's old name, not names
	includes filter
	excludes filter
}

type callName struct {
	name string
	off  int
}

// A filter says when a rule of a Docker profile belongs to the policy; its zero value says nothing.
type filter struct {
	caps, arches []string
	minKernel    abi.Version
	off          int
}

var (
	actions = map[string]policy.Action{
		string(specs.ActKill):        {Kind: bpf.KillThread}, // SCMP_ACT_KILL is an alias
		string(specs.ActKillThread):  {Kind: bpf.KillThread},
		string(specs.ActKillProcess): {Kind: bpf.KillProcess},
		string(specs.ActTrap):        {Kind: bpf.Trap},
		string(specs.ActErrno):       {Kind: bpf.Errno, Data: 1}, // EPERM where none is named, says the specification
		string(specs.ActTrace):       {Kind: bpf.Trace, Data: 1},
		string(specs.ActAllow):       {Kind: bpf.Allow},
		string(specs.ActLog):         {Kind: bpf.Log},
		string(specs.ActNotify):      {Kind: bpf.Notify},
	}
	operators = []string{
		string(specs.OpNotEqual), string(specs.OpLessThan), string(specs.OpLessEqual), string(specs.OpEqualTo),
		string(specs.OpGreaterEqual), string(specs.OpGreaterThan), string(specs.OpMaskedEqual),
	}
	flags = []string{
		"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
		"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
	}
)

// A reader turns values into a profile; its err is the first thing that was wrong.
type reader struct {
	*codec.Source
	native abi.Arch
	err    error
}

func (r *reader) fail(off int, format string, args ...any) {
	if r.err == nil {
		r.err = r.Errorf(off, format, args...)
	}
}

// want reports whether v is of the kind, and fails where it is of another one. A null is as good as nothing.
func (r *reader) want(v *jsontree.Value, k jsontree.Kind, what string) bool {
	if v.Kind == jsontree.Null || r.err != nil {
		return false
	}
	if v.Kind != k {
		r.fail(v.Off, "%s must be %s, not %s", what, k, v.Kind)
		return false
	}
	return true
}

// fields hands each member of an object to the function of its name.
func (r *reader) fields(v *jsontree.Value, what string, known map[string]func(*jsontree.Value)) {
	if !r.want(v, jsontree.Object, what) {
		return
	}
	for _, m := range v.Members {
		f, ok := known[m.Key]
		if !ok {
			r.fail(m.Off, "unknown field %q in %s%s", m.Key, what, cmp.Or(nearest.Hint(m.Key, slices.Sorted(maps.Keys(known))), " (remove it)"))
			return
		}
		f(m.Val)
	}
}

func (r *reader) list(v *jsontree.Value, what string, each func(*jsontree.Value)) {
	if !r.want(v, jsontree.Array, what) {
		return
	}
	for _, item := range v.Items {
		if item.Kind == jsontree.Null {
			r.fail(item.Off, "%s must not contain null", what)
		}
		each(item)
	}
}

func (r *reader) string(v *jsontree.Value, what string) string {
	if !r.want(v, jsontree.String, what) {
		return ""
	}
	return v.Text
}

func (r *reader) strings(v *jsontree.Value, what string) (list []string) {
	r.list(v, what, func(item *jsontree.Value) { list = append(list, r.string(item, "each of "+what)) })
	return list
}

// uint reads a whole number, at most limit.
func (r *reader) uint(v *jsontree.Value, what string, limit uint64) uint64 {
	if !r.want(v, jsontree.Number, what) {
		return 0
	}
	n, err := strconv.ParseUint(v.Text, 10, 64)
	if err != nil || n > limit {
		hint := ""
		if n, err := strconv.ParseInt(v.Text, 10, 64); err == nil && n < 0 && limit == math.MaxUint64 {
			hint = fmt.Sprintf(" (write %d, its value as an unsigned number)", uint64(n))
		}
		r.fail(v.Off, "%s must be a whole number from 0 to %d, not %s%s", what, limit, v.Text, hint)
	}
	return n
}

// one reads a string that must be among the names.
func (r *reader) one(v *jsontree.Value, what string, names []string) string {
	s := r.string(v, what)
	if r.err == nil && !slices.Contains(names, s) {
		r.fail(v.Off, "unknown %s %q%s", what, s, cmp.Or(nearest.Hint(s, names), " (want one of "+strings.Join(names, " ")+")"))
	}
	return s
}

// profile finds and reads the profile: the value itself, or linux.seccomp of a config.json.
func (r *reader) profile(v *jsontree.Value) *profile {
	if v.Kind == jsontree.Object && v.Member("ociVersion") != nil {
		for _, key := range []string{"linux", "seccomp"} {
			m := v.Member(key)
			if m == nil || m.Val.Kind == jsontree.Null {
				r.fail(v.Off, "this OCI configuration has no linux.seccomp (a container that it starts is not confined)")
				return nil
			}
			if v = m.Val; !r.want(v, jsontree.Object, key) {
				return nil
			}
		}
	}
	if v.Kind == jsontree.Null {
		r.fail(v.Off, "a seccomp profile must be an object, not null")
	}
	p := &profile{off: v.Off}
	var action, errnoRet, errno *jsontree.Value
	r.fields(v, "the profile", map[string]func(*jsontree.Value){
		"defaultAction":   func(v *jsontree.Value) { action = v },
		"defaultErrnoRet": func(v *jsontree.Value) { errnoRet = v },
		"defaultErrno":    func(v *jsontree.Value) { errno = v },
		"architectures": func(v *jsontree.Value) {
			r.list(v, "architectures", func(v *jsontree.Value) { p.architectures = append(p.architectures, r.arch(v)) })
		},
		"archMap": func(v *jsontree.Value) {
			r.list(v, "archMap", func(v *jsontree.Value) { p.archMap = append(p.archMap, r.archEntry(v)) })
		},
		"syscalls": func(v *jsontree.Value) {
			r.list(v, "syscalls", func(v *jsontree.Value) { p.rules = append(p.rules, r.rule(v)) })
		},
		"flags": func(v *jsontree.Value) {
			r.list(v, "flags", func(v *jsontree.Value) { p.flags = append(p.flags, r.one(v, "flag", flags)) })
		},
		"listenerPath":     func(v *jsontree.Value) { p.listener = r.string(v, "listenerPath") != "" },
		"listenerMetadata": func(v *jsontree.Value) { r.string(v, "listenerMetadata") },
	})
	if r.err != nil {
		return nil
	}
	if action == nil || action.Kind == jsontree.Null {
		r.fail(v.Off, `the profile has no defaultAction (add "defaultAction": "SCMP_ACT_ERRNO")`)
		return nil
	}
	p.action = r.action(action, errnoRet, errno, "default")
	if len(p.architectures) > 0 && len(p.archMap) > 0 {
		r.fail(v.Member("archMap").Off, "both architectures and archMap (keep one)")
	}
	return p
}

func (r *reader) arch(v *jsontree.Value) specs.Arch {
	s := r.string(v, "an architecture")
	if r.err == nil && s != "SCMP_ARCH_NATIVE" {
		var names []string
		for _, a := range abi.Archs() {
			names = append(names, a.SCMP())
		}
		r.one(v, "architecture", names)
	}
	return specs.Arch(s)
}

func (r *reader) archEntry(v *jsontree.Value) (e archEntry) {
	r.fields(v, "an archMap entry", map[string]func(*jsontree.Value){
		"architecture": func(v *jsontree.Value) { e.arch = r.arch(v) },
		"subArchitectures": func(v *jsontree.Value) {
			r.list(v, "subArchitectures", func(v *jsontree.Value) { e.subs = append(e.subs, r.arch(v)) })
		},
	})
	if e.arch == "" {
		r.fail(v.Off, "an archMap entry without architecture")
	}
	return e
}

// action reads an action with its errno, which Docker writes as a number and Podman as a name too.
func (r *reader) action(v, errnoRet, errno *jsontree.Value, what string) policy.Action {
	a := actions[r.one(v, "action", slices.Sorted(maps.Keys(actions)))]
	if errno != nil && errno.Kind == jsontree.String && errno.Text == "" {
		errno = nil // Podman writes empty ones
	}
	for _, data := range []*jsontree.Value{errnoRet, errno} {
		if data != nil && data.Kind != jsontree.Null && r.err == nil && !a.Kind.NeedsData() {
			r.fail(data.Off, "%s takes no errno (remove it, or use SCMP_ACT_ERRNO)", v.Text)
		}
	}
	if errnoRet != nil && errnoRet.Kind != jsontree.Null {
		limit := uint64(4095) // MAX_ERRNO, to which the kernel cuts
		if a.Kind == bpf.Trace {
			limit = math.MaxUint16
		}
		a.Data = uint16(r.uint(errnoRet, what+"'s errnoRet", limit))
	}
	if errno == nil || errno.Kind == jsontree.Null || r.err != nil {
		return a
	}
	name := r.string(errno, what+"'s errno")
	n, ok := r.native.Errno(name)
	if r.err == nil && !ok {
		r.fail(errno.Off, "unknown errno %q (want one like EPERM)", name)
	}
	// The number is the one of the machine where the profile was written, most likely x86.
	usual, _ := abi.X86_64.Errno(name)
	if r.err == nil && errnoRet != nil && errnoRet.Kind != jsontree.Null && a.Data != n && a.Data != usual {
		r.fail(errnoRet.Off, "errnoRet is %d but errno is %s, which is %d (keep one)", a.Data, name, n)
	}
	a.Data = n
	if a.Kind == bpf.Errno {
		a.Errno, a.Data = name, 0 // MIPS and PA-RISC have numbers of their own
	}
	return a
}

func (r *reader) rule(v *jsontree.Value) rule {
	out := rule{off: v.Off}
	var action, errnoRet, errno, single *jsontree.Value
	r.fields(v, "a rule", map[string]func(*jsontree.Value){
		"names": func(v *jsontree.Value) {
			r.list(v, "names", func(v *jsontree.Value) {
				out.names = append(out.names, callName{r.string(v, "a name"), v.Off})
			})
		},
		"name":     func(v *jsontree.Value) { single = v },
		"action":   func(v *jsontree.Value) { action = v },
		"errnoRet": func(v *jsontree.Value) { errnoRet = v },
		"errno":    func(v *jsontree.Value) { errno = v },
		"args": func(v *jsontree.Value) {
			r.list(v, "args", func(v *jsontree.Value) { out.args = append(out.args, r.arg(v)) })
		},
		"comment":  func(v *jsontree.Value) { r.string(v, "comment") },
		"includes": func(v *jsontree.Value) { out.includes = r.filter(v, "includes") },
		"excludes": func(v *jsontree.Value) { out.excludes = r.filter(v, "excludes") },
	})
	if r.err != nil {
		return out
	}
	if single != nil {
		if name := r.string(single, "name"); name != "" {
			if len(out.names) > 0 {
				r.fail(single.Off, "both name and names (keep names)")
			}
			out.names, out.single = []callName{{name, single.Off}}, true
		}
	}
	for _, n := range out.names {
		if n.name == "" {
			r.fail(n.off, "an empty name (write a system call's)")
		}
	}
	if len(out.names) == 0 {
		r.fail(v.Off, `a rule without names (add "names": ["read"])`)
	}
	if action == nil || action.Kind == jsontree.Null {
		r.fail(v.Off, `a rule without action (add "action": "SCMP_ACT_ALLOW")`)
		return out
	}
	out.action = r.action(action, errnoRet, errno, "a rule")
	return out
}

func (r *reader) arg(v *jsontree.Value) (a specs.LinuxSeccompArg) {
	seen := map[string]bool{}
	set := func(name string, f func(*jsontree.Value)) func(*jsontree.Value) {
		return func(v *jsontree.Value) {
			seen[name] = v.Kind != jsontree.Null
			f(v)
		}
	}
	r.fields(v, "an argument test", map[string]func(*jsontree.Value){
		"index":    set("index", func(v *jsontree.Value) { a.Index = uint(r.uint(v, "index", 5)) }),
		"value":    set("value", func(v *jsontree.Value) { a.Value = r.uint(v, "value", math.MaxUint64) }),
		"valueTwo": set("valueTwo", func(v *jsontree.Value) { a.ValueTwo = r.uint(v, "valueTwo", math.MaxUint64) }),
		"op":       set("op", func(v *jsontree.Value) { a.Op = specs.LinuxSeccompOperator(r.one(v, "operator", operators)) }),
	})
	for _, name := range []string{"index", "value", "op"} {
		if r.err == nil && !seen[name] {
			r.fail(v.Off, "an argument test without %s (add it)", name)
		}
	}
	return a
}

func (r *reader) filter(v *jsontree.Value, what string) filter {
	f := filter{off: v.Off}
	r.fields(v, what, map[string]func(*jsontree.Value){
		"caps":      func(v *jsontree.Value) { f.caps = r.strings(v, what+".caps") },
		"arches":    func(v *jsontree.Value) { f.arches = r.strings(v, what+".arches") },
		"minKernel": func(v *jsontree.Value) { f.minKernel = r.kernel(v) },
	})
	return f
}

// kernel reads a version of exactly two numbers, as Docker does.
func (r *reader) kernel(v *jsontree.Value) (k abi.Version) {
	s := r.string(v, "minKernel")
	if s == "" || r.err != nil {
		return k
	}
	major, minor, ok := strings.Cut(s, ".")
	a, err1 := strconv.ParseUint(major, 10, 8)
	b, err2 := strconv.ParseUint(minor, 10, 8)
	if k = (abi.Version{Major: int(a), Minor: int(b)}); !ok || cmp.Or(err1, err2) != nil || k.IsZero() {
		r.fail(v.Off, "bad minKernel %q (write a version of two numbers, such as 4.8)", s)
	}
	return k
}
