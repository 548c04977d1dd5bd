package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/internal/nearest"
	"monban/internal/plain"
	"monban/learn"
	"monban/policy/lang"
	"monban/scan"
)

// loadersEnvironment is what the dynamic loader takes from the environment.
func loadersEnvironment(o *scan.Options) {
	o.LibraryPath = filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))
	o.Preload = strings.FieldsFunc(os.Getenv("LD_PRELOAD"), func(r rune) bool { return r == ' ' || r == ':' })
}

func scanCommand() *cobra.Command {
	var why, root string
	var flags learnFlags
	var also, follow []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "scan [flags] BINARY…",
		Short: "learn a gate from a binary",
		Long: `Scan reads ELF programs, without running them, and writes a gate that allows every system call
that they can reach: it loads their libraries as the dynamic loader would, follows calls and
function pointers from the entry point, and traces the number of each system call back to where it
is set. It knows x86_64 and aarch64, C, C++, Rust and Go, stripped or not, static or not.

What a run does is a part of that. What a program loads by dlopen (plug-ins, Python's extension
modules) is named by --also, what it executes by --follow: which ones these are does not stand in a
binary, but what can be seen of them is said in the gate's comments. So is every instruction whose
call could not be traced: there, any call is possible.

--why CALL shows a way from the start to a call. --root DIR looks for everything in another file
system, such as that of a container image.`,
		Example: `  monban scan -o ls.gate /bin/ls
  monban scan --follow /bin/sh -o app.gate ./app
  monban scan --why socket /bin/ls
  monban scan --root image/ --to oci -o app.json /usr/bin/app`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("BINARY is missing (try: monban scan -o ls.gate /bin/ls)")
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := flags.check(); err != nil {
				return err
			}
			if why != "" && !abi.Known(why) {
				return exit{exitUsage, fmt.Errorf("--why %s: no such system call%s", why, nearest.Hint(why, abi.Calls()))}
			}
			o := scan.Options{Also: also, Follow: follow}
			if o.Root = root; root == "" {
				loadersEnvironment(&o)
			}
			stop := working("scanning " + strings.Join(names, " "))
			r, err := scan.Files(cmd.Context(), names, o)
			stop()
			if err != nil {
				return exit{exitUsage, err}
			}
			switch {
			case why != "":
				return reason(cmd, r, why)
			case asJSON:
				return printJSON(cmd.OutOrStdout(), "scan/1", scanned(r))
			}
			f := learn.Scan(r, learn.Options{Default: &flags.action, Extra: loadersCalls(flags.target)})
			notes := &lang.File{}
			notes.Note("What %s can reach, by monban scan: %s of %s.", strings.Join(names, " "), plain.Count(len(r.Calls), "call"), plain.Count(len(r.Files), "file"))
			scanNotes(notes, r)
			f.Prepend(notes.Lines...)
			return flags.keep(cmd, f, r.Arch)
		},
	}
	flags.register(cmd, "the action for all other calls")
	cmd.Flags().StringArrayVar(&also, "also", nil, "a module that the program loads by dlopen (may be repeated)")
	cmd.Flags().StringArrayVar(&follow, "follow", nil, "a program that it executes (may be repeated)")
	cmd.Flags().StringVar(&root, "root", "", "the file system in which programs and libraries are looked for")
	cmd.Flags().StringVar(&why, "why", "", "show a way from the start to this call instead")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was found as JSON (docs/json.md)")
	cmd.MarkFlagsMutuallyExclusive("why", "json")
	return cmd
}

// reason prints the way to a call.
func reason(cmd *cobra.Command, r *scan.Result, call string) error {
	w := cmd.OutOrStdout()
	k := slices.IndexFunc(r.Calls, func(c scan.Call) bool { return c.Name == call })
	if k < 0 {
		plain.Fprintf(w, "%s cannot be reached\n", call)
		if n := len(r.Unresolved); n > 0 {
			plain.Fprintf(w, "but for %s whose call could not be traced\n", plain.Count(n, "instruction"))
		}
		return exit{exitFindings, nil}
	}
	if len(r.Calls[k].Path) == 0 {
		plain.Fprintf(w, "%s: the kernel makes a program call it\n", call)
		return nil
	}
	for n, s := range r.Calls[k].Path {
		how := s.How
		if n > 0 && how == "" {
			how = "points to"
		}
		plain.Fprintf(w, "%-22s %s  %s\n", how, s.Function, styled(w, faint, s.File))
	}
	plain.Fprintf(w, "%-22s %s\n", "makes the call", styled(w, bold, call))
	return nil
}

// scanNotes are what a reader has to know about a scan.
func scanNotes(f *lang.File, r *scan.Result) {
	const most = 20
	if n := len(r.Unresolved); n > 0 {
		f.Note("")
		f.Note("%s could not be traced. There any call is possible; what is not allowed below is refused.", plain.Count(n, "system call instruction"))
		for k, s := range r.Unresolved {
			if k == most {
				f.Note("  and %d more: monban scan --json lists all", n-most)
				break
			}
			f.Note("  %s, in %s at %#x: %s", s.File, s.Function, s.Address, s.Why)
		}
	}
	list := func(what string, files []string) {
		if len(files) == 0 {
			return
		}
		f.Note("")
		f.Note("%s", what)
		for _, file := range files {
			f.Note("  %s", file)
		}
	}
	list("These load modules by dlopen: name those that matter, and are not scanned yet, with --also.", r.Loaders)
	list("These look up functions by dlsym, with names that only a run tells. Those that they mention are counted.", r.Lookups)
	list("libc loads these to look up names, as nsswitch.conf says: name those that matter with --also.", r.Modules)
	list("These stand in it by path, and it can execute programs: name those that matter with --follow.", r.Programs)
}

// The JSON of scan.
type scanJSON struct {
	Arch       string         `json:"arch"`
	Files      []string       `json:"files"`
	Calls      []scanCallJSON `json:"calls"`
	Unresolved []scanSiteJSON `json:"unresolved"`
	Loaders    []string       `json:"loads_modules"`
	Lookups    []string       `json:"looks_up"`
	Modules    []string       `json:"name_service"`
	Programs   []string       `json:"names_programs"`
}

type scanCallJSON struct {
	Name   string         `json:"name,omitempty"`
	Number uint32         `json:"number"`
	Path   []scanStepJSON `json:"path"`
}

type scanStepJSON struct {
	File     string `json:"file"`
	Function string `json:"function"`
	How      string `json:"how"`
}

type scanSiteJSON struct {
	File     string `json:"file"`
	Function string `json:"function"`
	Address  uint64 `json:"address"`
	Why      string `json:"why"`
}

func scanned(r *scan.Result) scanJSON {
	j := scanJSON{Arch: r.Arch.String(), Files: r.Files, Calls: []scanCallJSON{}, Unresolved: []scanSiteJSON{},
		Loaders: append([]string{}, r.Loaders...), Lookups: append([]string{}, r.Lookups...),
		Modules: append([]string{}, r.Modules...), Programs: append([]string{}, r.Programs...)}
	for _, c := range r.Calls {
		call := scanCallJSON{Name: c.Name, Number: c.Nr, Path: []scanStepJSON{}}
		for _, s := range c.Path {
			call.Path = append(call.Path, scanStepJSON(s))
		}
		j.Calls = append(j.Calls, call)
	}
	for _, s := range r.Unresolved {
		j.Unresolved = append(j.Unresolved, scanSiteJSON(s))
	}
	return j
}
