package firecracker

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/format/codec"
	"monban/format/jsontree"
	"monban/gate"
	"monban/internal/nearest"
	"monban/internal/plain"
	"monban/policy"
	"monban/policy/lang"
)

// start is how such a file begins: an object in an object, the inner one with a filter's field. OCI profiles have none
// of them.
var start = codec.Lazy(
	`^[ \t\r\n]*\{\s*"[^"]*"\s*:\s*\{\s*"(mismatch_action|match_action|default_action|filter_action|filter)"`)

// Format reads filters of Firecracker.
func Format() codec.Format {
	return codec.Format{
		Name:  "firecracker",
		Parts: true,
		Title: "a Firecracker filter",
		About: "filters in the JSON of Firecracker and rust-vmm's seccompiler; firecracker:FILE#thread names the thread",
		Exts:  []string{".json"},
		Sniff: func(src []byte) bool { return start().Match(src) },
		Read:  read,
	}
}

// A reader collects a filter; the first error wins.
type reader struct {
	*codec.Source
	err   error
	notes codec.Notes
}

func (r *reader) fail(off int, format string, args ...any) {
	if r.err == nil {
		r.err = r.Errorf(off, format, args...)
	}
}

func read(in *codec.Input) (*gate.Gate, error) {
	if len(in.Src) > lang.MaxSize {
		return nil, in.Errorf(0, "%d bytes: the limit is %d (is this the right file?)", len(in.Src), lang.MaxSize)
	}
	r := &reader{Source: codec.NewSource(in.Name, in.Src)}
	root, err := jsontree.Parse(r.Source, "filter file")
	if err != nil {
		return nil, err
	}
	thread, err := r.thread(root, in.Part)
	if err != nil {
		return nil, err
	}
	p := &policy.Policy{
		Name: in.Name, Archs: in.Archs, Compare64: true,
		BadArch: policy.Action{Kind: bpf.KillProcess},
	}
	if p.Archs == nil {
		p.Archs = []abi.Arch{in.Native}
	}
	named := slices.Clone(p.Archs)
	if slices.Contains(named, abi.X86_64) && !slices.Contains(named, abi.X32) {
		p.Archs = append(slices.Clone(p.Archs), abi.X32) // its numbers share the token, and no rule names them
	}
	r.filter(p, thread, named)
	if r.err != nil {
		return nil, r.err
	}
	return &gate.Gate{Policy: p, Notes: r.notes.List()}, p.Check()
}

// thread finds the filter that is asked for.
func (r *reader) thread(root *jsontree.Value, part string) (*jsontree.Value, error) {
	if root.Kind != jsontree.Object || len(root.Members) == 0 {
		return nil, r.Errorf(root.Off, "a filter file is an object of threads and their filters, not %s", describe(root))
	}
	var names []string
	for _, m := range root.Members {
		names = append(names, m.Key)
	}
	if part == "" && len(names) == 1 {
		return root.Members[0].Val, nil
	}
	list := plain.List(names, " ")
	if part == "" {
		return nil, r.Errorf(root.Off, "filters of several threads: say which with #, as in firecracker:%s#%s (there are %s)", r.Name, names[0], list)
	}
	if m := root.Member(part); m != nil {
		return m.Val, nil
	}
	return nil, r.Errorf(root.Off, "no thread is called %q%s", part, cmp.Or(nearest.Hint(part, names), " (there are "+list+")"))
}

func describe(v *jsontree.Value) string {
	if v.Kind == jsontree.Object {
		return "an empty one"
	}
	return v.Kind.String()
}

// want checks a value's kind.
func (r *reader) want(v *jsontree.Value, k jsontree.Kind, what string) bool {
	if v.Kind != k {
		r.fail(v.Off, "%s must be %s, not %s", what, k, v.Kind)
	}
	return v.Kind == k
}

// fields reads an object whose fields are known; each is its reader, and those of must have to be there.
func (r *reader) fields(v *jsontree.Value, what string, known map[string]func(*jsontree.Value), must ...string) {
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
	for _, key := range must {
		if v.Member(key) == nil {
			r.fail(v.Off, "%s without %s (add it)", what, key)
		}
	}
}

func (r *reader) list(v *jsontree.Value, what string, each func(*jsontree.Value)) {
	if r.want(v, jsontree.Array, what) {
		for _, item := range v.Items {
			each(item)
		}
	}
}

func (r *reader) uint(v *jsontree.Value, what string, limit uint64) uint64 {
	if !r.want(v, jsontree.Number, what) {
		return 0
	}
	n, err := strconv.ParseUint(v.Text, 10, 64)
	if err != nil || n > limit {
		r.fail(v.Off, "%s must be a whole number from 0 to %d, not %s", what, limit, v.Text)
	}
	return n
}

func (r *reader) one(v *jsontree.Value, what string, names []string) string {
	if !r.want(v, jsontree.String, what) {
		return ""
	}
	if !slices.Contains(names, v.Text) {
		r.fail(v.Off, "unknown %s %q%s", what, v.Text, cmp.Or(nearest.Hint(v.Text, names), " (want one of "+strings.Join(names, " ")+")"))
	}
	return v.Text
}

func (r *reader) comment(v *jsontree.Value) { r.want(v, jsontree.String, "comment") }

var bare = map[string]bpf.Action{
	"allow": bpf.Allow, "kill_process": bpf.KillProcess, "kill_thread": bpf.KillThread, "log": bpf.Log, "trap": bpf.Trap,
}

var withData = map[string]bpf.Action{"errno": bpf.Errno, "trace": bpf.Trace}

func (r *reader) action(v *jsontree.Value, what string) policy.Action {
	if v.Kind == jsontree.String {
		if _, ok := withData[v.Text]; ok {
			r.fail(v.Off, `%s needs a number (write {%q: 1})`, v.Text, v.Text)
		}
		return policy.Action{Kind: bare[r.one(v, what, slices.Sorted(maps.Keys(bare)))]}
	}
	if v.Kind != jsontree.Object || len(v.Members) != 1 {
		r.fail(v.Off, `%s must be a name such as "allow", or {"errno": 1} or {"trace": 1}`, what)
		return policy.Action{}
	}
	m := v.Members[0]
	kind, ok := withData[m.Key]
	if !ok {
		r.fail(m.Off, "unknown action %q with a number%s", m.Key, cmp.Or(nearest.Hint(m.Key, slices.Sorted(maps.Keys(withData))), " (want errno or trace)"))
	}
	return policy.Action{Kind: kind, Data: uint16(r.uint(m.Val, m.Key, math.MaxUint16))}
}

// filter reads one thread's filter into the policy; named are the architectures that its names are for.
func (r *reader) filter(p *policy.Policy, v *jsontree.Value, named []abi.Arch) {
	var match, mismatch *jsontree.Value
	var rules []*jsontree.Value
	keep := func(to **jsontree.Value) func(*jsontree.Value) {
		return func(v *jsontree.Value) {
			if *to != nil {
				r.fail(v.Off, "the same action under its old name and its new one (keep one)")
			}
			*to = v
		}
	}
	r.fields(v, "a filter", map[string]func(*jsontree.Value){
		"mismatch_action": keep(&mismatch), "default_action": keep(&mismatch),
		"match_action": keep(&match), "filter_action": keep(&match),
		"filter": func(v *jsontree.Value) { r.list(v, "filter", func(v *jsontree.Value) { rules = append(rules, v) }) },
	}, "filter")
	if r.err == nil && (match == nil || mismatch == nil) {
		r.fail(v.Off, "a filter needs mismatch_action and match_action (or default_action and filter_action, as they were called)")
	}
	if r.err != nil {
		return
	}
	p.Default = r.action(mismatch, "mismatch_action")
	p.Unknown = p.Default
	do := r.action(match, "match_action")
	if do == p.Default {
		r.fail(match.Off, "match_action is the same as mismatch_action (seccompiler refuses such filters)")
	}
	bare := map[string]bool{} // the calls with a rule without args, and those with other rules
	for _, v := range rules {
		if r.err != nil {
			return
		}
		call, cond := r.rule(v, named)
		if other, seen := bare[call]; seen && other != (cond == nil) {
			r.note(v.Off, "%s has rules with args and one without: any such call matches, as the documents say; some versions of seccompiler pass over the one without", call)
		}
		bare[call] = cond == nil
		for _, a := range named {
			p.Rules = append(p.Rules, rule(a, call, cond, do, r.Pos(v.Off)))
		}
	}
}

func (r *reader) note(off int, format string, args ...any) {
	r.notes.Add(r.Pos(off), format, args...)
}

// rule is about the call's own number: without a condition its name would reach through a multiplexer too.
func rule(a abi.Arch, call string, cond policy.Expr, do policy.Action, pos policy.Pos) policy.Rule {
	out := policy.Rule{Action: do, Call: call, Cond: cond, Archs: []abi.Arch{a}, Pos: pos}
	if _, behind := a.Mux(call); behind && cond == nil {
		nr, _ := a.Number(call)
		out.Call, out.Cond = "", policy.Compare{X: policy.Operand{Name: "nr"}, Op: policy.EQ, Y: policy.Num(nr)}
	}
	return out
}

func (r *reader) rule(v *jsontree.Value, named []abi.Arch) (call string, cond policy.Expr) {
	r.fields(v, "a rule", map[string]func(*jsontree.Value){
		"syscall": func(v *jsontree.Value) {
			if !r.want(v, jsontree.String, "syscall") {
				return
			}
			call = v.Text
			for _, a := range named {
				if _, ok := a.Number(call); !ok {
					r.fail(v.Off, "%s has no system call %q%s", a, call, nearest.Hint(call, abi.Calls()))
				}
			}
		},
		"args": func(v *jsontree.Value) {
			var and policy.And
			r.list(v, "args", func(v *jsontree.Value) { and = append(and, r.test(v)) })
			if len(and) == 0 {
				r.fail(v.Off, "empty args (remove them: a rule without args matches any such call)")
			}
			cond = and
		},
		"comment": r.comment,
	}, "syscall")
	return call, cond
}

var relations = map[string]policy.Op{
	"eq": policy.EQ, "ne": policy.NE, "ge": policy.GE, "gt": policy.GT, "le": policy.LE, "lt": policy.LT,
}

// test reads one test of an argument.
func (r *reader) test(v *jsontree.Value) policy.Expr {
	var (
		x    policy.Operand
		op   policy.Op
		mask = uint64(math.MaxUint64)
		eq   bool // masked_eq: the value is masked too
		val  uint64
		low  = uint64(math.MaxUint64)
	)
	r.fields(v, "an argument test", map[string]func(*jsontree.Value){
		"index": func(v *jsontree.Value) { x.Arg = int(r.uint(v, "index", 5)) },
		"type": func(v *jsontree.Value) {
			if r.one(v, "type", []string{"dword", "qword"}) == "dword" {
				low = math.MaxUint32
			}
		},
		"op": func(v *jsontree.Value) {
			if v.Kind != jsontree.Object {
				op = relations[r.one(v, "op", slices.Sorted(maps.Keys(relations)))]
				return
			}
			eq = true
			r.fields(v, "op", map[string]func(*jsontree.Value){
				"masked_eq": func(v *jsontree.Value) { mask = r.uint(v, "masked_eq", math.MaxUint64) },
			}, "masked_eq")
		},
		"val":     func(v *jsontree.Value) { val = r.uint(v, "val", math.MaxUint64) },
		"comment": r.comment,
	}, "index", "type", "op", "val")
	if mask &= low; mask != math.MaxUint64 {
		x.Mask = policy.Num(mask)
	}
	val &= low
	if eq {
		val &= mask
	}
	return policy.Compare{X: x, Op: op, Y: policy.Num(val)}
}
