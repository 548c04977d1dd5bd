package systemd

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/format/codec"
	"monban/gate"
	"monban/internal/nearest"
	"monban/policy"
)

// Format reads and writes units.
func Format() codec.Format {
	return codec.Format{
		Name:  "systemd",
		Title: "a systemd unit",
		About: "SystemCallFilter= and its like in unit files and drop-ins",
		Exts:  []string{".service", ".conf"},
		Sniff: sniff,
		Read:  read,
		Write: write,
	}
}

var (
	allow      = policy.Action{Kind: bpf.Allow}
	kill       = policy.Action{Kind: bpf.KillProcess}
	killThread = policy.Action{Kind: bpf.KillThread}
)

// others are settings that install filters of their own.
var others = []string{
	"RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "MemoryDenyWriteExecute", "LockPersonality",
	"PrivateDevices", "ProtectClock", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables",
}

// archWords are systemd's names of architectures where they are not ours.
var archWords = map[string]abi.Arch{
	"x86-64": abi.X86_64, "arm64": abi.AArch64, "mips-le": abi.MIPSEL, "mips64-le": abi.MIPSEL64, "mips64-n32": abi.MIPS64N32,
	"mips64-le-n32": abi.MIPSEL64N32, "ppc64-le": abi.PPC64LE,
}

// A list is what SystemCallFilter= or SystemCallLog= come to.
type list struct {
	set   bool
	allow bool                     // of calls that are meant; else of calls that are not
	calls map[string]policy.Action // in an allow list those denied are here too
	pos   map[string]policy.Pos
}

// A unit is what its settings say.
type unit struct {
	in     *codec.Input
	notes  codec.Notes
	filter list
	log    list
	denied policy.Action
	archs  []abi.Arch // nil: no restriction
}

func read(in *codec.Input) (*gate.Gate, error) {
	all, err := everything(in)
	if err != nil {
		return nil, err
	}
	u := &unit{in: in, denied: kill}
	for _, s := range all {
		var err error
		switch s.key {
		case "SystemCallFilter":
			err = u.list(&u.filter, s, true)
		case "SystemCallLog":
			err = u.list(&u.log, s, false)
		case "SystemCallErrorNumber":
			u.denied, err = u.errno(s)
		case "SystemCallArchitectures":
			err = u.architectures(s)
		default:
			if slices.Contains(others, s.key) && !slices.Contains([]string{"", "no", "false", "off", "0"}, strings.TrimSpace(s.value)) {
				u.note(s, "%s= installs a filter of its own, which is not read", s.key)
			} else if near := nearest.Word(s.key, []string{"SystemCallFilter", "SystemCallErrorNumber", "SystemCallArchitectures", "SystemCallLog"}); near != "" && strings.HasPrefix(s.key, "Sys") {
				u.note(s, "%s= is not a setting: systemd passes it over (did you mean %s=?)", s.key, near)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	if !u.filter.set && !u.log.set && u.archs == nil {
		return nil, &policy.Error{Pos: policy.Pos{File: in.Name}, Msg: "the unit says nothing of system calls (SystemCallFilter=, SystemCallArchitectures=)"}
	}
	p := u.policy()
	return &gate.Gate{Policy: p, Notes: u.notes.List()}, p.Check()
}

func (u *unit) note(s setting, format string, args ...any) {
	u.notes.Add(s.Pos(s.off), format, args...)
}

// list takes in one line of a list; an empty one takes back all before it.
func (u *unit) list(l *list, s setting, withDefault bool) error {
	words := s.words()
	if len(words) == 0 {
		*l = list{}
		return nil
	}
	invert := false
	if rest, ok := strings.CutPrefix(words[0].value, "~"); ok {
		invert = true
		words[0].value = rest
		words[0].off++
		if rest == "" {
			words = words[1:]
		}
	}
	if !l.set {
		*l = list{set: true, allow: !invert, calls: map[string]policy.Action{}, pos: map[string]policy.Pos{}}
		if l.allow && withDefault {
			calls, _ := abi.Group("@default", abi.Version{})
			for _, c := range calls {
				l.calls[c], l.pos[c] = allow, s.Pos(s.off)
			}
		}
	}
	for _, w := range words {
		if err := u.word(l, w, invert); err != nil {
			return err
		}
	}
	return nil
}

// word adds a call or a group to a list, or takes it away.
func (u *unit) word(l *list, w setting, invert bool) error {
	name, errno, ok := strings.Cut(w.value, ":")
	do, own := policy.Action{}, false
	if ok {
		var err error
		if do, err = u.errno(setting{w.Source, w.key, errno, w.off + len(name) + 1}); err != nil {
			return err
		}
		if own = true; !invert && l.allow {
			u.note(w, "%s: calls of an allow list take no error number: systemd passes it over", w.value)
			return nil
		}
		if !invert {
			u.note(w, "%s: without ~ a call takes no error number: systemd passes it over", w.value)
			return nil
		}
	}
	calls := []string{name}
	if strings.HasPrefix(name, "@") {
		if calls, ok = abi.Group(name, abi.Version{}); !ok {
			u.note(w, "unknown group %s: systemd passes it over%s", name, nearest.Hint(name, abi.Groups()))
			return nil
		}
	} else if !abi.Known(name) {
		u.note(w, "unknown call %s: systemd passes it over%s", name, nearest.Hint(name, abi.Calls()))
		return nil
	}
	for _, c := range calls {
		switch {
		case l.allow && own:
			l.calls[c] = do
		case l.allow && invert, !l.allow && !invert:
			delete(l.calls, c)
			continue
		case l.allow:
			l.calls[c] = allow
		case own:
			l.calls[c] = do
		default:
			l.calls[c] = policy.Action{} // what SystemCallErrorNumber= says in the end
		}
		l.pos[c] = w.Pos(w.off)
	}
	return nil
}

// errno reads an error's name or number; kill, or nothing at all, kills.
func (u *unit) errno(s setting) (policy.Action, error) {
	word := strings.TrimSpace(s.value)
	if word == "kill" || word == "" && s.key == "SystemCallErrorNumber" {
		return kill, nil
	}
	if n, err := strconv.ParseUint(word, 10, 16); err == nil && n <= 4095 {
		return policy.Action{Kind: bpf.Errno, Data: uint16(n)}, nil
	}
	if _, ok := u.in.Native.Errno(word); ok {
		return policy.Action{Kind: bpf.Errno, Errno: word}, nil
	}
	return kill, s.Errorf(s.off, "%q is not an error (a name such as EPERM, a number up to 4095, or kill)", word)
}

// architectures takes in a line of SystemCallArchitectures=.
func (u *unit) architectures(s setting) error {
	words := s.words()
	if len(words) == 0 {
		u.archs = nil
		return nil
	}
	if !slices.Contains(u.archs, u.in.Native) {
		u.archs = append(u.archs, u.in.Native)
	}
	for _, w := range words {
		a, ok := archWords[w.value]
		if w.value == "native" {
			a, ok = u.in.Native, true
		}
		if !ok {
			var err error
			if a, err = abi.ParseArch(w.value); err != nil {
				u.note(w, "unknown architecture %s: systemd passes it over%s", w.value, nearest.Hint(w.value, slices.Sorted(maps.Keys(archWords))))
				continue
			}
		}
		if !slices.Contains(u.in.Native.Family(), a) {
			u.note(w, "%s is not run by %s's kernels: ignored", w.value, u.in.Native)
			continue
		}
		if !slices.Contains(u.archs, a) {
			u.archs = append(u.archs, a)
		}
	}
	return nil
}

// policy puts it together. Denied comes before logged, and logged before allowed: the lists are filters of their own.
func (u *unit) policy() *policy.Policy {
	p := &policy.Policy{Name: u.in.Name, Archs: u.in.Native.Family(), Default: allow, BadArch: allow}
	if u.archs != nil {
		p.Archs, p.BadArch = u.archs, killThread
	}
	rule := func(c string, do policy.Action, pos policy.Pos) {
		p.Rules = append(p.Rules, policy.Rule{Action: do, Call: c, Optional: true, Pos: pos})
	}
	if u.filter.set && u.filter.allow {
		p.Default = u.denied
	}
	for _, c := range slices.Sorted(maps.Keys(u.filter.calls)) {
		do := u.filter.calls[c]
		if do == (policy.Action{}) {
			do = u.denied
		}
		if logged := u.log.set && u.logs(c); do == allow && logged {
			do = policy.Action{Kind: bpf.Log}
		}
		rule(c, do, u.filter.pos[c])
	}
	if u.log.set && !(u.filter.set && u.filter.allow) {
		if !u.log.allow {
			p.Default = policy.Action{Kind: bpf.Log}
		}
		for _, c := range slices.Sorted(maps.Keys(u.log.calls)) {
			if _, denied := u.filter.calls[c]; !denied {
				do := allow
				if u.log.allow {
					do = policy.Action{Kind: bpf.Log}
				}
				rule(c, do, u.log.pos[c])
			}
		}
	}
	p.Unknown = p.Default
	return p
}

// logs tells whether a call is logged.
func (u *unit) logs(c string) bool {
	_, in := u.log.calls[c]
	return in == u.log.allow
}
