package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// values are the values of names: by name, then architecture; an architecture that isn't there has no known value.
type values map[string]map[string]uint64

func (v values) set(name, arch string, value uint64) {
	if v[name] == nil {
		v[name] = map[string]uint64{}
	}
	v[name][arch] = value
}

// secondNames are the lesser ones of two names that an error has.
var secondNames = []string{"EDEADLOCK", "EFSBADCRC", "EFSCORRUPTED", "ENOTSUP", "EWOULDBLOCK"}

var isConstant = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// constants writes the tables of constants and of errors.
func (g *generator) constants() error {
	all, errnos, err := g.unixValues()
	if err != nil {
		return err
	}
	if err := g.addElsewhere(all); err != nil {
		return err
	}
	if err := g.addLines(all, "uapi.txt", false); err != nil {
		return err
	}
	if err := g.addLines(all, "constants.txt", true); err != nil {
		return err
	}
	g.all = all
	var b, e bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !errnos[name] {
			fmt.Fprintf(&b, "%s %s\n", name, g.compact(all[name]))
		}
	}
	names := slices.SortedFunc(maps.Keys(errnos), func(a, b string) int {
		second := func(name string) int { return 1 + slices.Index(secondNames, name) }
		return cmp.Or(cmp.Compare(second(a), second(b)), cmp.Compare(all[a]["x86_64"], all[b]["x86_64"]), strings.Compare(a, b))
	})
	for _, name := range names {
		fmt.Fprintf(&e, "%s %s\n", name, g.compact(all[name]))
	}
	if err := g.write("errnos.txt", "golang.org/x/sys/unix and facts/elsewhere.txt", &e); err != nil {
		return err
	}
	return g.write("constants.txt", "golang.org/x/sys/unix, facts/elsewhere.txt, facts/uapi.txt and facts/constants.txt", &b)
}

// unixValues reads the constants of x/sys, less those that facts/unused-constants.txt sorts out, and tells which are
// errors.
func (g *generator) unixValues() (values, map[string]bool, error) {
	lines, err := g.lines("unused-constants.txt")
	if err != nil {
		return nil, nil, err
	}
	var unused []string
	for _, l := range lines {
		unused = append(unused, strings.Fields(l.text)...)
	}
	all, errnos := values{}, map[string]bool{}
	for _, a := range g.archs {
		arch, suffix := a.name, a.xsys
		if suffix == "" {
			continue
		}
		consts, err := parseConstants(
			filepath.Join(g.unix, "zerrors_linux.go"), filepath.Join(g.unix, "zerrors_linux_"+suffix+".go"),
			filepath.Join(g.unix, "ztypes_linux.go"), filepath.Join(g.unix, "ztypes_linux_"+suffix+".go"))
		if err != nil {
			return nil, nil, err
		}
		for name, v := range consts.values {
			if !isConstant.MatchString(name) || strings.HasSuffix(name, "_MAX") ||
				slices.ContainsFunc(unused, func(p string) bool { return strings.HasPrefix(name, p) }) {
				continue
			}
			all.set(name, arch, uint64(v))
			errnos[name] = errnos[name] || consts.kind[name] == "Errno"
		}
	}
	for name := range errnos {
		if !errnos[name] {
			delete(errnos, name)
		}
	}
	for _, byArch := range all {
		for _, a := range g.archs {
			if v, ok := byArch[a.like]; ok {
				byArch[a.name] = v
			}
		}
	}
	return all, errnos, nil
}

// addElsewhere takes facts/elsewhere.txt: "arch,arch: NAME NAME=value …".
func (g *generator) addElsewhere(all values) error {
	lines, err := g.lines("elsewhere.txt")
	if err != nil {
		return err
	}
	for _, l := range lines {
		archs, words, _ := strings.Cut(l.text, ":")
		for word := range strings.FieldsSeq(words) {
			name, text, given := strings.Cut(word, "=")
			v, known := all[name]["x86_64"]
			if given {
				if v, err = number(text); err != nil {
					return fmt.Errorf("%s: %s: %w", l.place, name, err)
				}
			} else if !known {
				continue // facts may speak of what unused-constants.txt sorts out
			}
			if all[name] == nil {
				continue
			}
			for arch := range strings.SplitSeq(archs, ",") {
				if !slices.Contains(g.table.archs, arch) {
					return fmt.Errorf("%s: unknown architecture %s", l.place, arch)
				}
				all.set(name, arch, v)
			}
		}
	}
	return nil
}

// addLines takes "NAME value arch,arch=value …"; replace says that such a line may speak of a name that is there
// already.
func (g *generator) addLines(all values, file string, replace bool) error {
	lines, err := g.lines(file)
	if err != nil {
		return err
	}
	for _, l := range lines {
		f := strings.Fields(l.text)
		if len(f) < 2 {
			return fmt.Errorf("%s: want NAME value", l.place)
		}
		if _, ok := all[f[0]]; ok && !replace {
			continue // x/sys has come to know the name, and of a newer kernel
		}
		delete(all, f[0])
		texts := map[string]string{}
		for _, arch := range g.table.archs {
			texts[arch] = f[1]
		}
		for _, word := range f[2:] {
			archs, text, _ := strings.Cut(word, "=")
			for arch := range strings.SplitSeq(archs, ",") {
				if texts[arch] == "" {
					return fmt.Errorf("%s: unknown architecture %s", l.place, arch)
				}
				texts[arch] = text
			}
		}
		for arch, text := range texts {
			if text == "-" {
				continue
			}
			v, err := number(text)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", l.place, f[0], err)
			}
			all.set(f[0], arch, v)
		}
	}
	return nil
}

func number(text string) (uint64, error) {
	if strings.HasPrefix(text, "-") {
		n, err := strconv.ParseInt(text, 0, 64)
		return uint64(n), err
	}
	return strconv.ParseUint(text, 0, 64)
}

// compact writes the commonest value, then the exceptions: "2 mips,mipsel=1 sh=-".
func (g *generator) compact(byArch map[string]uint64) string {
	text := func(arch string) string {
		v, ok := byArch[arch]
		switch {
		case !ok:
			return "-"
		case int64(v) < 0:
			return strconv.FormatInt(int64(v), 10)
		case v < 10:
			return strconv.FormatUint(v, 10)
		}
		return "0x" + strconv.FormatUint(v, 16)
	}
	archs := map[string][]string{}
	var order []string
	for _, arch := range g.table.archs {
		t := text(arch)
		if archs[t] == nil {
			order = append(order, t)
		}
		archs[t] = append(archs[t], arch)
	}
	common := slices.MaxFunc(order, func(a, b string) int { return cmp.Compare(len(archs[a]), len(archs[b])) })
	var b strings.Builder
	b.WriteString(common)
	for _, t := range order {
		if t != common {
			fmt.Fprintf(&b, " %s=%s", strings.Join(archs[t], ","), t)
		}
	}
	return b.String()
}
