package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// An architecture is a row of architectures.csv.
type architecture struct {
	name, ident  string
	goarch, xsys string // Go's name, and that of golang.org/x/sys, which has one more; "" for none
	like         string // whose constants it has where nothing else is said; "" for nobody's
	token        uint32 // AUDIT_ARCH_* of linux/audit.h
	pointer      int    // the width of a pointer in bits
	family       []string
	spellings    []string
}

// The parts of a token, as linux/audit.h has them.
const (
	wide   = 0x80000000 // __AUDIT_ARCH_64BIT
	little = 0x40000000 // __AUDIT_ARCH_LE
)

func (a *architecture) bits() int {
	if a.token&wide != 0 {
		return 64
	}
	return 32
}

// architectures reads the table.
func (g *generator) architectures() error {
	f, err := os.Open(filepath.Join(g.facts, "architectures.csv"))
	if err != nil {
		return err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return err
	}
	for _, row := range rows[1:] {
		token, err := strconv.ParseUint(row[5], 0, 32)
		if err != nil {
			return fmt.Errorf("architectures.csv: %s: %w", row[0], err)
		}
		pointer, err := strconv.Atoi(row[6])
		if err != nil {
			return fmt.Errorf("architectures.csv: %s: %w", row[0], err)
		}
		g.archs = append(g.archs, architecture{row[0], row[1], row[2], row[3], row[4], uint32(token), pointer, strings.Fields(row[7]), strings.Fields(row[8])})
	}
	for _, a := range g.archs {
		if a.like != "" && !slices.ContainsFunc(g.archs, func(b architecture) bool { return b.name == a.like && b.xsys != "" }) {
			return fmt.Errorf("architectures.csv: %s is like %s, of which golang.org/x/sys has no table", a.name, a.like)
		}
	}
	if err := g.archTable(); err != nil {
		return err
	}
	return g.natives()
}

// archTable writes ../archs.go.
func (g *generator) archTable() error {
	idents := map[string]string{}
	for _, a := range g.archs {
		idents[a.name] = a.ident
	}
	var b bytes.Buffer
	b.WriteString(`package abi

import "monban/abi/internal/native"

// The architectures, in the order of facts/architectures.csv, counted from the native one round to it again.
const (
`)
	for i, a := range g.archs {
		if i == 0 {
			fmt.Fprintf(&b, "%s Arch = (iota - native.Place + archCount) %% archCount\n", a.ident)
		} else {
			fmt.Fprintf(&b, "%s\n", a.ident)
		}
	}
	b.WriteString(`
	archCount = iota
)

// archInfo has tokens, which are AUDIT_ARCH_* of linux/audit.h, and the widths of pointers and of the registers that
// fill seccomp_data.args: these are 64 bits for the ILP32 conventions of 64-bit processors.
var archInfo = [archCount]struct {
	name    string
	goarch  string
	token   uint32
	big     bool
	bits    int
	pointer int
	family  []Arch
}{
`)
	for _, a := range g.archs {
		fmt.Fprintf(&b, "%s: {name: %q, ", a.ident, a.name)
		if a.goarch != "" {
			fmt.Fprintf(&b, "goarch: %q, ", a.goarch)
		}
		fmt.Fprintf(&b, "token: %#08x, ", a.token)
		if a.token&little == 0 {
			b.WriteString("big: true, ")
		}
		fmt.Fprintf(&b, "bits: %d, pointer: %d", a.bits(), a.pointer)
		if len(a.family) > 0 {
			b.WriteString(", family: []Arch{")
			for i, name := range a.family {
				if i > 0 {
					b.WriteString(", ")
				}
				ident, ok := idents[name]
				if !ok {
					return fmt.Errorf("architectures.csv: %s: unknown architecture %s in its family", a.name, name)
				}
				b.WriteString(ident)
			}
			b.WriteString("}")
		}
		b.WriteString("},\n")
	}
	b.WriteString(`}

// spellings are further names that people and tools use: uname -m, dpkg, rpm.
var spellings = map[string]Arch{
`)
	for _, a := range g.archs {
		for i, s := range a.spellings {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%q: %s", s, a.ident)
		}
		if len(a.spellings) > 0 {
			b.WriteString(",\n")
		}
	}
	b.WriteString("}\n")
	return g.source(filepath.Join(g.out, "archs.go"), "", &b)
}

// natives writes a file for each GOARCH, which says where the table has it.
func (g *generator) natives() error {
	dir := filepath.Join(g.out, "internal", "native")
	old, err := filepath.Glob(filepath.Join(dir, "place_*.go"))
	if err != nil {
		return err
	}
	for _, file := range old {
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	file := func(name, constraint, comment string, place int) error {
		var b bytes.Buffer
		fmt.Fprintf(&b, "package native\n\n// Place is that of %s.\nconst Place = %d\n", comment, place)
		return g.source(filepath.Join(dir, "place_"+name+".go"), constraint, &b)
	}
	var all []string
	other := 0
	for i, a := range g.archs {
		if a.name == "x86_64" {
			other = i
		}
		if a.goarch == "" {
			continue
		}
		all = append(all, a.goarch)
		if err := file(a.goarch, "", a.name, i); err != nil {
			return err
		}
	}
	return file("other", "!("+strings.Join(all, " || ")+")", "x86_64, for processors that Linux does not run on (wasm)", other)
}

// source writes a file of Go.
func (g *generator) source(path, constraint string, body *bytes.Buffer) error {
	head := "// Code generated by abi/gen from facts/architectures.csv. DO NOT EDIT.\n\n"
	if constraint != "" {
		head += "//go:build " + constraint + "\n\n"
	}
	text, err := format.Source(append([]byte(head), body.Bytes()...))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}
