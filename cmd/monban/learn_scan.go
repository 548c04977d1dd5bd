package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"monban/internal/plain"
	"monban/internal/regular"
	"monban/learn"
	"monban/policy"
	"monban/policy/lang"
	"monban/record"
	"monban/scan"
)

// binaryOf is the ELF file that a command runs: of a script, its interpreter.
func binaryOf(command string) (string, error) {
	path, err := findCommand(command)
	if err != nil {
		return "", err
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", err
	}
	for range 4 { // as many as the kernel follows
		f, err := regular.Open(path)
		if err != nil {
			return "", exit{126, fmt.Errorf("%s: %w", command, cause(err))}
		}
		head := make([]byte, 256)
		n, _ := f.Read(head)
		f.Close()
		line, script := bytes.CutPrefix(head[:n], []byte("#!"))
		if !script {
			return path, nil
		}
		line, _, _ = bytes.Cut(line, []byte("\n"))
		words := strings.Fields(string(line))
		if len(words) == 0 {
			break
		}
		path = words[0]
		if filepath.Base(path) == "env" && len(words) > 1 && !strings.HasPrefix(words[1], "-") {
			if found, err := exec.LookPath(words[1]); err == nil {
				path = found
			}
		}
	}
	return path, nil
}

// scanRest scans the programs that took part in a run, with what they loaded, adds what they reach, and says which ones
// are scanned now and which could not be. What took part is known by its file: a program chooses its own name.
func scanRest(ctx context.Context, r *scan.Result, rec *record.Recording, first string, o scan.Options) (files, lost []string) {
	files = []string{first}
	for _, program := range slices.Sorted(maps.Keys(rec.Files)) {
		if !rec.Is(program) {
			lost = append(lost, program)
			continue
		}
		path := program
		k := slices.IndexFunc(files, func(f string) bool { return sameFile(f, path) })
		again := k >= 0
		if again {
			path = files[k]
		}
		o.Mapped = nil
		for _, file := range slices.Sorted(maps.Keys(rec.Files[program])) {
			if rec.Is(file) {
				o.Mapped = append(o.Mapped, file)
			} else {
				lost = append(lost, file)
			}
		}
		if again && !slices.ContainsFunc(o.Mapped, func(f string) bool { return !slices.Contains(r.Files, f) }) {
			continue
		}
		one, err := scan.Files(ctx, []string{path}, o)
		if err == nil {
			err = r.Add(one)
		}
		switch {
		case err != nil:
			lost = append(lost, program)
		case !again:
			files = append(files, path)
		}
	}
	lost = append(lost, r.Missed...)
	slices.Sort(lost)
	return files, slices.Compact(lost)
}

// sameFile says whether two paths lead to one file.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	y, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(x, y)
}

// learntNotes are what a reader has to know about the gate.
func learntNotes(rec *record.Recording, r *scan.Result, o learn.Options, programs, lost []string, tier policy.Action) []lang.Line {
	f := &lang.File{}
	f.Note("Learnt by monban learn, in three tiers: observed (allowed), reachable but never seen (%s), unreachable (%s).", tier, o.Default)
	f.Note("Scanned: %s, and what they load; they reach %s.", strings.Join(programs, " "), plain.Count(len(r.Calls), "call"))
	if len(lost) > 0 {
		f.Note("Not scanned, because they are not there (any more) or cannot be: %s (name their files with --follow).", strings.Join(lost, " "))
	}
	if len(rec.Files) == 0 || rec.FilesLost {
		f.Note("Which programs took part, and which modules they loaded, is not known here, or not of all: name them with --follow and --also.")
	}
	scanNotes(f, r)
	f.Note("")
	return f.Lines
}
