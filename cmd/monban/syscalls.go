package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/internal/nearest"
	"monban/internal/plain"
	"monban/policy/lang"
)

// An entry is what syscalls prints about one call.
type entry struct {
	Name    string            `json:"name"`
	Since   string            `json:"since,omitempty"`
	Groups  []string          `json:"groups"`
	Args    []string          `json:"args"`
	Numbers map[string]uint32 `json:"numbers"`
	Mux     map[string]string `json:"mux,omitempty"`
}

func syscallsCommand() *cobra.Command {
	var asJSON bool
	var archs []string
	cmd := &cobra.Command{
		Use:   "syscalls [NAME|NUMBER|@GROUP]",
		Short: "look a system call up on every architecture",
		Long: `Syscalls shows a call's arguments, the kernel that introduced it, its groups and its number on every
architecture. A number stands for all calls that have it on some architecture. A group, or nothing,
lists calls in a line each, with their numbers on the native architecture.`,
		Example: `  monban syscalls openat
  monban syscalls 257 --arch x86_64
  monban syscalls @network-io
  monban syscalls`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%q is one argument too many (usage: %s)", args[1], cmd.UseLine())
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return append(abi.Calls(), abi.Groups()...), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			on := abi.Archs()
			if archs != nil {
				on = nil
				for _, s := range archs {
					a, err := abi.ParseArch(s)
					if err != nil {
						return exit{exitUsage, fmt.Errorf("--arch: %w", err)}
					}
					on = append(on, a)
				}
			}
			var names []string
			switch {
			case len(args) == 0:
				names = abi.Calls()
			case strings.HasPrefix(args[0], "@"):
				var ok bool
				if names, ok = abi.Group(args[0], abi.Version{}); !ok {
					return exit{exitUsage, unknownGroup(args[0])}
				}
			default:
				var err error
				if names, err = lookUp(args[0], on); err != nil {
					return exit{exitUsage, err}
				}
			}
			var entries []entry
			for _, n := range names {
				entries = append(entries, describe(n, on))
			}
			w := cmd.OutOrStdout()
			switch {
			case asJSON:
				return printJSON(w, "syscalls/1", map[string]any{"calls": entries})
			case len(args) == 0 || strings.HasPrefix(args[0], "@"):
				native := abi.Native()
				if archs != nil {
					native = on[0]
				}
				listCalls(w, entries, native)
			default:
				for i, e := range entries {
					if i > 0 {
						plain.Fprintf(w, "\n")
					}
					e.print(w, on)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringSliceVar(&archs, "arch", nil, "only these architectures")
	return cmd
}

// lookUp finds the calls that a name or number means.
func lookUp(s string, on []abi.Arch) ([]string, error) {
	if abi.Known(s) {
		return []string{s}, nil
	}
	nr, err := strconv.ParseUint(s, 0, 32)
	if err != nil {
		return nil, fmt.Errorf("unknown system call %s%s", s, nearest.Hint(s, abi.Calls()))
	}
	var names []string
	for _, a := range on {
		if n, ok := a.Name(uint32(nr)); ok && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	if names == nil {
		return nil, fmt.Errorf("no architecture has a system call number %d", nr)
	}
	return names, nil
}

func unknownGroup(name string) error {
	if slices.Contains(lang.Presets(), name) {
		return fmt.Errorf("%s is a preset, a whole policy (monban explain %s shows it)", name, name)
	}
	return fmt.Errorf("unknown group %s%s", name, cmp.Or(nearest.Hint(name, abi.Groups()), " (there are "+strings.Join(abi.Groups(), " ")+")"))
}

func describe(name string, on []abi.Arch) entry {
	e := entry{Name: name, Groups: []string{}, Args: []string{}, Numbers: map[string]uint32{}, Mux: map[string]string{}}
	if v, ok := abi.Since(name); ok {
		e.Since = v.String()
	}
	for _, g := range abi.Groups() {
		if members, _ := abi.Group(g, abi.Version{}); slices.Contains(members, name) {
			e.Groups = append(e.Groups, g)
		}
	}
	signed := false
	for _, a := range on {
		if args, ok := a.Args(name); ok && !signed {
			if _, direct := a.Number(name); !direct {
				continue
			}
			signed = true
			for _, arg := range args {
				e.Args = append(e.Args, arg.Type+" "+arg.Name)
			}
		}
		if nr, ok := a.Number(name); ok {
			e.Numbers[a.String()] = nr
		}
		if m, ok := a.Mux(name); ok {
			e.Mux[a.String()] = fmt.Sprintf("%s(%d)", m.Call, m.Sub)
		}
	}
	return e
}

func (e entry) print(w io.Writer, on []abi.Arch) {
	plain.Paragraph(w, "    ", "%s(%s)", styled(w, bold, e.Name), strings.Join(e.Args, ", "))
	if e.Since != "" {
		plain.Fprintf(w, "since Linux %s\n", e.Since)
	}
	plain.Paragraph(w, "    ", "groups: %s", strings.Join(e.Groups, " "))
	for _, a := range on {
		var ways []string
		if nr, ok := e.Numbers[a.String()]; ok {
			s := fmt.Sprint(nr)
			if a == abi.X32 {
				s = fmt.Sprintf("%d (%#x)", nr, nr)
			}
			ways = append(ways, s)
		}
		if m, ok := e.Mux[a.String()]; ok {
			ways = append(ways, m)
		}
		if ways == nil {
			ways = []string{"-"}
		}
		plain.Fprintf(w, "  %-12s %s\n", a, strings.Join(ways, ", "))
	}
}

// listCalls prints a line a call, with its number on one architecture.
func listCalls(w io.Writer, entries []entry, on abi.Arch) {
	const format = "%-24s %6s  %s"
	plain.Fprintf(w, "%s\n", styled(w, faint, fmt.Sprintf(format, "# call", on, "arguments")))
	for _, e := range entries {
		nr := "-"
		if n, ok := e.Numbers[on.String()]; ok {
			nr = fmt.Sprint(n)
		}
		plain.Paragraph(w, strings.Repeat(" ", 33), format, e.Name, nr, strings.Join(e.Args, ", "))
	}
}
