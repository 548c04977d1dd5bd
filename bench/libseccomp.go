package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	libseccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"

	"monban/abi"
	"monban/bpf"
)

func libseccompVersion() string {
	major, minor, micro := libseccomp.GetLibraryVersion()
	return fmt.Sprintf("%d.%d.%d", major, minor, micro)
}

// libseccompCompiler is the C library with SCMP_FLTATR_CTL_OPTIMIZE at a level: 1 is a chain of comparisons, 2 a binary
// tree.
func libseccompCompiler(level int) compiler {
	return compiler{fmt.Sprintf("libseccomp, OPTIMIZE=%d", level), false, func(r *Rules) (built, error) {
		list, unknown, err := scmpRules(r)
		if err != nil {
			return built{}, err
		}
		// 2.5.4 can't export to memory, so a file without a disk takes the program.
		fd, err := unix.MemfdCreate("program", unix.MFD_CLOEXEC)
		if err != nil {
			return built{}, err
		}
		file := os.NewFile(uintptr(fd), "program")
		defer file.Close()
		start := time.Now()
		if err := scmpExport(r, list, level, file); err != nil {
			return built{}, err
		}
		took := time.Since(start)
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return built{}, err
		}
		p, err := bpf.Read(file, binary.LittleEndian)
		return built{p, took, unknown}, err
	}}
}

type scmpRule struct {
	call   libseccomp.ScmpSyscall
	action libseccomp.ScmpAction
	tests  []libseccomp.ScmpCondition
}

var scmpArchs = map[abi.Arch]libseccomp.ScmpArch{
	abi.X86: libseccomp.ArchX86, abi.X86_64: libseccomp.ArchAMD64, abi.X32: libseccomp.ArchX32,
}

var scmpOps = map[specs.LinuxSeccompOperator]libseccomp.ScmpCompareOp{
	specs.OpEqualTo: libseccomp.CompareEqual, specs.OpNotEqual: libseccomp.CompareNotEqual, specs.OpLessThan: libseccomp.CompareLess,
	specs.OpLessEqual: libseccomp.CompareLessOrEqual, specs.OpGreaterThan: libseccomp.CompareGreater,
	specs.OpGreaterEqual: libseccomp.CompareGreaterEqual, specs.OpMaskedEqual: libseccomp.CompareMaskedEqual,
}

// scmpRules is the rules in the library's form. A call newer than the library goes by its number where the policy is
// for the native architecture alone: with several the library translates numbers by name.
func scmpRules(r *Rules) (list []scmpRule, unknown []gap, err error) {
	for _, x := range r.List {
		s := scmpRule{}
		if s.call, err = libseccomp.GetSyscallFromName(x.Call); err != nil {
			nr, ok := r.Archs[0].Number(x.Call)
			if !ok || len(r.Archs) > 1 {
				continue
			}
			s.call = libseccomp.ScmpSyscall(nr)
		}
		if s.action, err = scmpAction(x.Action); err != nil {
			return nil, nil, err
		}
		for _, t := range x.Tests {
			values := []uint64{t.Value}
			if t.Op == specs.OpMaskedEqual {
				values = append(values, t.ValueTwo)
			}
			c, err := libseccomp.MakeCondition(t.Index, scmpOps[t.Op], values...)
			if err != nil {
				return nil, nil, err
			}
			s.tests = append(s.tests, c)
		}
		list = append(list, s)
	}
	if len(r.Archs) > 1 {
		unknown = scmpGaps(r)
	}
	return list, unknown, nil
}

// scmpGaps is what the library's table of calls lacks. Calls behind a multiplexer have negative numbers there by
// design.
func scmpGaps(r *Rules) (gaps []gap) {
	for _, x := range r.List {
		_, native := libseccomp.GetSyscallFromName(x.Call)
		for _, a := range r.Archs {
			_, own := a.Number(x.Call)
			_, behind := a.Mux(x.Call)
			if g := (gap{x.Call, a}); own && !behind && !slices.Contains(gaps, g) {
				if nr, err := libseccomp.GetSyscallFromNameByArch(x.Call, scmpArchs[a]); native != nil || err != nil || nr < 0 {
					gaps = append(gaps, g)
				}
			}
		}
	}
	return gaps
}

func scmpAction(a bpf.Action) (libseccomp.ScmpAction, error) {
	switch a.Kind() {
	case bpf.Allow:
		return libseccomp.ActAllow, nil
	case bpf.Errno:
		return libseccomp.ActErrno.SetReturnCode(int16(a.Data())), nil
	case bpf.KillProcess:
		return libseccomp.ActKillProcess, nil
	case bpf.KillThread:
		return libseccomp.ActKillThread, nil
	case bpf.Log:
		return libseccomp.ActLog, nil
	case bpf.Trap:
		return libseccomp.ActTrap, nil
	}
	return libseccomp.ActInvalid, fmt.Errorf("%w: the action %s", errCannot, a)
}

func scmpExport(r *Rules, list []scmpRule, level int, file *os.File) error {
	def, err := scmpAction(r.Default)
	if err != nil {
		return err
	}
	f, err := libseccomp.NewFilter(def)
	if err != nil {
		return err
	}
	defer f.Release()
	if err := errors.Join(f.SetBadArchAction(libseccomp.ActKillProcess), f.SetOptimize(level)); err != nil {
		return err
	}
	for _, a := range r.Archs {
		if err := f.AddArch(scmpArchs[a]); err != nil {
			return err
		}
	}
	for _, x := range list {
		if len(x.tests) == 0 {
			err = f.AddRule(x.call, x.action)
		} else {
			err = f.AddRuleConditional(x.call, x.action, x.tests)
		}
		if err != nil {
			return fmt.Errorf("call %d: %w", x.call, err)
		}
	}
	return f.ExportBPF(file)
}
