package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden listings anew")

// someNames knows what the listings of these tests are about.
type someNames struct{}

const x86Token, x8664Token = 0x40000003, 0xc000003e

var (
	archNames = map[uint32]string{x86Token: "x86", x8664Token: "x86_64"}
	callNames = map[[2]uint32]string{
		{x8664Token, 41}: "socket", {x8664Token, 0x40000000 | 41}: "socket", {x86Token, 359}: "socket",
		{x8664Token, 59}: "execve", {x86Token, 11}: "execve", {x8664Token, 11}: "munmap",
		{x8664Token, 16}: "ioctl", {x86Token, 54}: "ioctl", {x8664Token, 101}: "ptrace", {x86Token, 26}: "ptrace",
	}
	argNames      = map[string]string{"socket 0": "family", "socket 1": "type", "ioctl 1": "request"}
	constantNames = map[string]string{
		"family 1": "AF_UNIX", "family 2": "AF_INET", "type 15": "SOCK_TYPE_MASK", "type 1": "SOCK_STREAM",
		"request 21522": "TIOCSTI",
	}
)

func (someNames) Arch(token uint32) string { return archNames[token] }

func (someNames) Call(token, nr uint32) string { return callNames[[2]uint32{token, nr}] }

func (n someNames) Arg(token, nr uint32, index int) string {
	return argNames[fmt.Sprint(n.Call(token, nr), " ", index)]
}

func (n someNames) Constant(token, nr uint32, index int, value uint32) string {
	return constantNames[fmt.Sprint(n.Arg(token, nr, index), " ", value)]
}

func listingOf(t testing.TB, p Program, order binary.ByteOrder, n Namer) string {
	t.Helper()
	var b bytes.Buffer
	if err := Disassemble(&b, p, order, n); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Each testdata/*.asm is assembled, and its listing with names compared with the .golden beside it.
func TestListings(t *testing.T) {
	sources, err := filepath.Glob("testdata/*.asm")
	if err != nil || len(sources) < 3 {
		t.Fatalf("sources %v, %v", sources, err)
	}
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		order := binary.ByteOrder(binary.LittleEndian)
		if strings.HasSuffix(source, "-be.asm") {
			order = binary.BigEndian
		}
		got := listingOf(t, mustAssemble(t, string(text)), order, someNames{})
		golden := strings.TrimSuffix(source, ".asm") + ".golden"
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", source, got, want)
		}
		for line := range strings.Lines(got) {
			if len(line) > 101 {
				t.Errorf("%s: a line of %d columns: %s", golden, len(line)-1, line)
			}
		}
	}
}

// roundTrip checks that a listing assembles to the identical program.
func roundTrip(t testing.TB, name string, p Program, order binary.ByteOrder, n Namer) {
	t.Helper()
	text := listingOf(t, p, order, n)
	back, err := Assemble(name, strings.NewReader(text))
	if check, refused := errors.AsType[*CheckError](err); refused != (p.Check() != nil) || err != nil && check == nil {
		t.Fatalf("%s: %v, and Check of the program: %v\n%s", name, err, p.Check(), text)
	}
	if !slices.Equal(p, back) {
		t.Fatalf("%s: the listing assembles to another program\n%s\n%s", name, text, listingOf(t, back, order, nil))
	}
}

func TestCorpusRoundTrip(t *testing.T) {
	for name, p := range corpusPrograms(t) {
		for _, order := range orders {
			roundTrip(t, name, p, order, someNames{})
		}
	}
}

func TestRandomRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 5000 {
		p := randomProgram(r, allCodes, 40)
		if r.IntN(2) == 0 {
			p = mutate(r, p)
		}
		roundTrip(t, "random", p, pick(r, orders), someNames{})
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestDisassembleReportsWriteError(t *testing.T) {
	err := Disassemble(fullDisk{}, Program{{Code: RET | K}}, binary.LittleEndian, nil)
	if !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
