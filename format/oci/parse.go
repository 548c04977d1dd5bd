package oci

import (
	"fmt"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/format/codec"
	"monban/format/jsontree"
	"monban/internal/nearest"
	"monban/policy"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Options say which container on which machine a profile is read for.
type Options struct {
	// Caps are the capabilities that the container is granted, as [ParseCaps] takes them. Nil: Docker's 14; empty:
	// none.
	Caps []string
	// Archs are the architectures that the policy speaks for. Nil: those of the profile; where it has an archMap, the
	// native one with its subArchitectures; where it says nothing, the native one.
	Archs []abi.Arch
	// Native is the machine's own architecture, which includes.arches is about. Nil: the first of Archs whose kernel
	// runs all of Archs, or else the running machine's.
	Native *abi.Arch
	// Kernel is the machine's kernel, which minKernel is about; zero is the newest.
	Kernel abi.Version
	// Runtime is one of [Runtimes] to read the profile as that does (see [Parse]), or "".
	Runtime string
}

// A Report tells what of a profile did not become, or did not clearly become, part of the policy.
type Report struct {
	// Unknown are the names ignored because no architecture of the policy has such a call.
	Unknown []string
	// Repeated are the rules that test one argument twice, which runtimes take as alternatives.
	Repeated []policy.Pos
	// Overlaps are the rules of one call with different actions that some calls match both of, which upstream leaves
	// open; at most 100.
	Overlaps []string
	// Notes are what else a user of the profile should know, each with its place; many of the same kind are one.
	Notes []string
}

const maxSource = 16 << 20 // bytes; Docker's default profile has 18 thousand

// Runtimes are the container runtimes whose reading of profiles is known.
var Runtimes = []string{"runc", "crun", "containerd"}

// Parse reads a profile; name is the file's, for messages. Errors are one line, file:line:column: what is wrong (the
// mend).
//
// What upstream leaves open is settled so: an unconditional rule comes before those with conditions, as in
// libseccomp; of two unconditional ones the first decides, as in libseccomp; of two with conditions the more
// restrictive, and Report.Overlaps has them.
//
// Without a Runtime, other architectures than the policy's get kill_process, since a profile does not say what they
// get. With "runc" they get kill_thread (libseccomp's SCMP_FLTATR_ACT_BADARCH, which runc leaves alone); the native
// architecture always belongs to the policy; and, where the default action is not allow, log or trace, each
// architecture that the profile lists answers ENOSYS to every number above the greatest that the profile names there,
// on s390 and s390x to number 0 too (runc's package patchbpf). On x32 and the N32s of MIPS tests then look at the low
// half of arguments, as libseccomp's filters do.
func Parse(name string, src []byte, o Options) (*policy.Policy, *Report, error) {
	if len(src) > maxSource {
		return nil, nil, &policy.Error{Pos: policy.Pos{File: name}, Msg: fmt.Sprintf(
			"a profile of %d bytes: the limit is %d (is this the right file?)", len(src), maxSource)}
	}
	r := &reader{Source: codec.NewSource(name, src), native: nativeOf(o)}
	root, err := jsontree.Parse(r.Source, "profile")
	if err != nil {
		return nil, nil, err
	}
	prof := r.profile(root)
	if r.err != nil {
		return nil, nil, r.err
	}
	return resolve(r.Source, prof, o)
}

// resolve turns a profile into a policy.
func resolve(src *codec.Source, prof *profile, o Options) (*policy.Policy, *Report, error) {
	caps := DefaultCaps()
	if o.Caps != nil {
		var err error
		if caps, err = ParseCaps(o.Caps); err != nil {
			return nil, nil, err
		}
	}
	if o.Runtime != "" && !slices.Contains(Runtimes, o.Runtime) {
		return nil, nil, fmt.Errorf("unknown runtime %q (want one of %s)", o.Runtime, strings.Join(Runtimes, " "))
	}
	in := &importer{
		Source: src, profile: prof, native: nativeOf(o), kernel: o.Kernel, caps: caps, runtime: o.Runtime,
		report: &Report{},
		policy: &policy.Policy{
			Name: src.Name, Kernel: o.Kernel,
			Default: prof.action, Unknown: prof.action, BadArch: policy.Action{Kind: bpf.KillProcess},
			Compare64: true,
		},
	}
	if o.Runtime == "containerd" {
		in.plain()
	}
	listed := in.listed()
	in.policy.Archs = listed
	if o.Archs != nil {
		in.policy.Archs = slices.Clone(o.Archs)
		in.notListed(listed)
	} else if len(listed) == 0 {
		in.policy.Archs = []abi.Arch{in.native}
	}
	if o.Archs == nil && o.Runtime != "" && !slices.Contains(in.policy.Archs, in.native) {
		in.policy.Archs = append([]abi.Arch{in.native}, in.policy.Archs...) // libseccomp starts with it
	}
	rules := in.included()
	if n := count(rules); n > maxClauses {
		return nil, nil, &policy.Error{Pos: policy.Pos{File: src.Name}, Msg: fmt.Sprintf(
			"its names times the tests that they are under come to %d: the limit is %d", n, maxClauses)}
	}
	in.addRules(rules, listed)
	in.policy.Default = in.named(prof.action)
	in.policy.Unknown = in.policy.Default
	in.notes()
	in.report.Notes = in.said.List()
	return in.policy, in.report, nil
}

func nativeOf(o Options) abi.Arch {
	if o.Native != nil {
		return *o.Native
	}
	for _, a := range o.Archs {
		family := a.Family()
		if !slices.ContainsFunc(o.Archs, func(b abi.Arch) bool { return !slices.Contains(family, b) }) {
			return a
		}
	}
	return abi.Native()
}

// An importer carries one profile into one policy.
type importer struct {
	*codec.Source
	*profile
	native  abi.Arch
	kernel  abi.Version
	caps    []string
	runtime string
	report  *Report
	said    codec.Notes
	policy  *policy.Policy
}

func (in *importer) note(off int, format string, args ...any) {
	in.said.Add(in.Pos(off), format, args...)
}

// listed are the architectures that the profile names for the native machine.
func (in *importer) listed() (archs []abi.Arch) {
	names := in.architectures
	for _, e := range in.archMap {
		if a, _ := in.scmp(e.arch); a == in.native {
			names = append([]specs.Arch{e.arch}, e.subs...)
			break
		}
	}
	for _, name := range names {
		if a, ok := in.scmp(name); ok && !slices.Contains(archs, a) {
			archs = append(archs, a)
		}
	}
	if len(in.archMap) > 0 && len(archs) == 0 {
		in.note(in.off, "archMap has no entry for %s: the profile speaks for that alone", in.native)
	}
	return archs
}

func (in *importer) scmp(name specs.Arch) (abi.Arch, bool) {
	if name == "SCMP_ARCH_NATIVE" {
		return in.native, true
	}
	a, err := abi.ParseArch(string(name))
	return a, err == nil // the reader has checked the names
}

func (in *importer) notListed(listed []abi.Arch) {
	for _, a := range in.policy.Archs {
		if len(listed) > 0 && !slices.Contains(listed, a) {
			in.note(in.off, "the profile does not list %s: a runtime on %s would refuse all calls of it", a, in.native)
		}
	}
}

// dockerArch are Docker's names of native architectures, in includes.arches: mostly Go's, but libseccomp's in places.
var dockerArch = map[abi.Arch]string{
	abi.X86: "x86", abi.X86_64: "amd64", abi.ARM: "arm", abi.AArch64: "arm64", abi.LoongArch64: "loongarch64", abi.MIPSEL: "mipsel",
	abi.MIPS64: "mips64", abi.MIPS64N32: "mips64n32", abi.MIPSEL64: "mipsel64", abi.MIPSEL64N32: "mips3l64n32", // sic
	abi.PPC: "ppc", abi.PPC64: "ppc64", abi.PPC64LE: "ppc64le", abi.RISCV64: "riscv64", abi.S390: "s390", abi.S390X: "s390x",
}

// isNative reports whether one of Docker's architecture names is the machine's.
func (in *importer) isNative(names []string) bool {
	docker := dockerArch[in.native]
	return docker != "" && slices.Contains(names, docker)
}

// included are the rules whose includes and excludes hold.
func (in *importer) included() (rules []rule) {
	for _, r := range in.rules {
		in.checkFilter(r.includes)
		in.checkFilter(r.excludes)
		if inc := r.includes; len(inc.arches) > 0 && !in.isNative(inc.arches) || !in.since(inc.minKernel) ||
			slices.ContainsFunc(inc.caps, func(c string) bool { return !slices.Contains(in.caps, c) }) {
			continue
		}
		if exc := r.excludes; in.isNative(exc.arches) || !exc.minKernel.IsZero() && in.since(exc.minKernel) ||
			slices.ContainsFunc(exc.caps, func(c string) bool { return slices.Contains(in.caps, c) }) {
			continue
		}
		rules = append(rules, r)
	}
	return rules
}

// since reports whether the kernel is at least min; as in Docker, a patch number does not matter.
func (in *importer) since(min abi.Version) bool {
	k := in.kernel
	return min.IsZero() || k.IsZero() || k.Major > min.Major || k.Major == min.Major && k.Minor >= min.Minor
}

// checkFilter notes names that never match, as Docker does not.
func (in *importer) checkFilter(f filter) {
	for _, c := range f.caps {
		if !slices.Contains(allCaps, strings.TrimPrefix(c, "CAP_")) || !strings.HasPrefix(c, "CAP_") {
			in.note(f.off, "no capability is called %q, so this never holds%s", c, nearest.Hint(c, AllCaps()))
		}
	}
	for _, name := range f.arches {
		if name == "x32" {
			continue // in Docker's own profile, without effect
		}
		known := false
		for _, docker := range dockerArch {
			known = known || docker == name
		}
		if !known {
			hint := ""
			if a, err := abi.ParseArch(name); err == nil && dockerArch[a] != "" {
				hint = fmt.Sprintf(" (Docker's name is %s)", dockerArch[a])
			}
			in.note(f.off, "no native architecture is called %q, so this never holds%s", name, hint)
		}
	}
}

func (in *importer) notes() {
	for _, flag := range in.flags {
		in.note(in.off, "%s says how to load the filter, which is not part of a policy", flag)
	}
	if in.listener {
		in.note(in.off, "listenerPath says who answers notifications, which is not part of a policy")
	}
}
