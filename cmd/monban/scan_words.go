package main

import (
	"slices"

	"github.com/spf13/cobra"

	"monban/internal/plain"
	"monban/policy/lang"
	"monban/scan"
)

// reason prints the way to a call.
func reason(cmd *cobra.Command, r *scan.Result, call string) error {
	w := cmd.OutOrStdout()
	k := slices.IndexFunc(r.Calls, func(c scan.Call) bool { return c.Name == call })
	if k < 0 {
		plain.Fprintf(w, "%s cannot be reached\n", call)
		if n := len(r.Unresolved); n > 0 {
			plain.Fprintf(w, "except for %s whose call could not be traced\n", plain.Count(n, "instruction"))
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
