package abi

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"testing"
)

// Numbers at the seams of x86_64 and x32, and whose they are: of calls, what the kernel makes of them; of others, what
// the language says.
var seams = map[uint32]Arch{
	0: X86_64, 0x1ff: X86_64, 0x3fffffff: X86_64, 0x40000000: X32, 0x40000001: X32, 0x400001ff: X32, 0x7fffffff: X32,
	0x80000000: X32, 0x80000001: X32, 0xbfffffff: X32, 0xc0000000: X32, 0xfffffffe: X32, 0xffffffff: X32,
}

func TestOf(t *testing.T) {
	for nr, want := range seams {
		if got, ok := Of(X86_64.Token(), nr); !ok || got != want {
			t.Errorf("%#x is %v's (%v), want %v", nr, got, ok, want)
		}
		for _, a := range Archs() {
			want := a
			if a == X86_64 || a == X32 {
				want = seams[nr]
			}
			if got, ok := Of(a.Token(), nr); !ok || got != want {
				t.Errorf("%#x with %v's token is %v's (%v)", nr, a, got, ok)
			}
		}
		for _, token := range []uint32{NoToken, 1, 0x4000003e, 0xffffffff} {
			if a, ok := Of(token, nr); ok {
				t.Errorf("the token %#x is %v's", token, a)
			}
		}
	}
}

// Every call is a call of the architecture that Of names, and of nobody else: whatever the kernel dispatches is decided
// by its own part of a gate.
func TestOfCalls(t *testing.T) {
	for _, a := range Archs() {
		for nr, call := range a.Calls() {
			if got, ok := Of(a.Token(), nr); !ok || got != a {
				t.Errorf("%v's %s, %#x, is %v's", a, call, nr, got)
			}
		}
	}
}

// The numbers of architectures that share a token are a partition.
func TestNumbers(t *testing.T) {
	sum := map[uint32]uint64{}
	for _, a := range Archs() {
		first, last := a.Numbers()
		sum[a.Token()] += uint64(last) - uint64(first) + 1
		for _, nr := range []uint32{first, last} {
			if got, _ := Of(a.Token(), nr); got != a {
				t.Errorf("%#x, the end of %v's numbers, is %v's", nr, a, got)
			}
		}
	}
	for token, n := range sum {
		if n != 1<<32 {
			t.Errorf("%d numbers with token %#x", n, token)
		}
	}
	if _, ok := sum[NoToken]; ok {
		t.Error("somebody has NoToken")
	}
}

// An Arch that nobody set is the native one: compared, as a key, as an index, in a switch.
func TestZeroArch(t *testing.T) {
	var unset struct{ Native Arch }
	a := unset.Native
	if a.GOARCH() != runtime.GOARCH && runtime.GOARCH != "wasm" {
		t.Errorf("the zero Arch is %v on %s", a, runtime.GOARCH)
	}
	named, err := ParseArch(runtime.GOARCH)
	if err != nil {
		named = X86_64
	}
	if a != named || a != Native() || map[Arch]bool{named: true}[a] != true || a.Token() != named.Token() {
		t.Errorf("the zero Arch is %v, not %v", a, named)
	}
}

// Each GOARCH that an architecture has counts from that architecture's place, and no file names another.
func TestPlaces(t *testing.T) {
	const dir = "internal/native"
	place := regexp.MustCompile(`(?m)^const Place = (\d+)$`)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"place_other.go": "1", "doc.go": ""}
	others := "//go:build !("
	for i, a := range Archs() {
		if a.GOARCH() != "" {
			want["place_"+a.GOARCH()+".go"] = fmt.Sprint(i)
			if others[len(others)-1] != '(' {
				others += " || "
			}
			others += a.GOARCH()
		}
	}
	if len(files) != len(want) {
		t.Errorf("%d files, want %d", len(files), len(want))
	}
	for name, value := range want {
		src, err := os.ReadFile(dir + "/" + name)
		if err != nil {
			t.Error(err)
			continue
		}
		got := ""
		if m := place.FindSubmatch(src); m != nil {
			got = string(m[1])
		}
		if got != value {
			t.Errorf("%s says %q, want %q", name, got, value)
		}
	}
	src, _ := os.ReadFile(dir + "/place_other.go")
	if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(others+")") + `$`).Match(src) {
		t.Errorf("place_other.go isn't for all but these: %s)", others)
	}
}
