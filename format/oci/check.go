package oci

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"monban/bpf"
	"monban/format/codec"
	"monban/format/rows"
	"monban/policy"
	"monban/verdict"
)

// read is the profile's meaning as a runtime reads it.
func (w *composer) read(runtime string) (verdict.Verdict, error) {
	where := Places{Rules: make([]int, len(w.profile.Syscalls))}
	for _, c := range w.profile.Syscalls {
		where.Names = append(where.Names, make([]int, len(c.Names)))
	}
	o := w.back(runtime)
	p, _, err := Import(codec.NewSource("the profile", nil), w.profile, where, Options{Archs: o.Archs, Native: &o.Native, Runtime: o.Runtime})
	if err != nil {
		return verdict.Verdict{}, err
	}
	return p.Verdict(w.v.Space())
}

// check compares the profile with what it is to mean. Where a profile's rule reaches through a multiplexer, that can
// differ.
func (w *composer) check() error {
	got, err := w.read(w.runtime)
	if err != nil || got == w.want {
		return err
	}
	for _, a := range w.archs {
		calls, err := rows.Calls(w.want, a)
		if err != nil {
			return err
		}
		for _, c := range calls {
			left := got.Call(a, c.Nr)
			if left == c.Left {
				continue
			}
			d := verdict.Differences(c.Left, left)[0]
			d.Data.Arch, d.Data.Nr = a.Token(), c.Nr
			wrong := fmt.Sprintf("%s must get %s on %s and would get %s", policy.FormatCall(a, &d.Data), d.A, a, d.B)
			if c.Name != "socketcall" && c.Name != "ipc" {
				return errors.New(wrong + ": no rules of a profile say that")
			}
			return &codec.OptionError{Option: codec.OptionArchs, Err: fmt.Errorf(
				"%s: rules of a profile about the calls behind %s hold for it too: give it one answer of its own, or leave %s out", wrong, c.Name, a)}
		}
	}
	d := verdict.Differences(w.want, got)[0]
	return fmt.Errorf("number %d must get %s and would get %s: no rules of a profile say that", d.Data.Nr, d.A, d.B)
}

// notes tell what the runtimes make of it beyond what it says.
func (w *composer) notes() (notes []string, err error) {
	if w.runtime == "" {
		notes = append(notes, "container runtimes answer calls of other architectures with kill_thread (libseccomp's default), not kill_process")
	}
	if got, err := w.read("runc"); err == nil && w.runtime != "runc" {
		var newer, low []string
		for _, a := range w.archs {
			calls, err := rows.Calls(w.want, a)
			if err != nil {
				return nil, err
			}
			for _, c := range calls {
				left := got.Call(a, c.Nr)
				if _, constant := left.Constant(); left != c.Left && constant {
					newer = append(newer, c.Name)
				} else if left != c.Left {
					low = append(low, c.Name)
				}
			}
		}
		_, enosys, _ := action(w.otherwise)
		if n, _ := w.archs[0].Errno("ENOSYS"); enosys == nil || *enosys != uint(n) {
			switch w.otherwise.Kind() {
			case bpf.Allow, bpf.Log, bpf.Trace:
			default:
				notes = append(notes, "runc answers numbers above the newest call that the profile names with errno(ENOSYS)"+among(newer))
			}
		}
		if len(low) > 0 {
			notes = append(notes, "on x32 and the N32s, runtimes look at the low 32 bits of arguments only"+among(low))
		}
	}
	if w.otherwise.Passes() {
		notes = append(notes, fmt.Sprintf("names that the runtime's libseccomp is too old for are ignored: those calls get %s", w.otherwise))
	}
	if len(w.ordered) > 0 {
		notes = append(notes, "libseccomp up to 2.6.1 has been seen to get several rules with order comparisons for one call wrong; "+
			"compare what is installed"+among(w.ordered))
	}
	if w.notify {
		notes = append(notes, "notify: add listenerPath, the socket of the agent that answers; runtimes refuse the profile without it")
	}
	return notes, nil
}

// among lists some names.
func among(names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	const many = 8
	switch {
	case len(names) == 0:
		return ""
	case len(names) > many:
		return fmt.Sprintf(": %s and %d more", strings.Join(names[:many], " "), len(names)-many)
	}
	return ": " + strings.Join(names, " ")
}
