package bpf

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"strings"
	"testing"
)

func TestDecode(t *testing.T) {
	want := Program{{Code: JMP | JEQ | K, Jt: 1, Jf: 2, K: 0xc000003e}, {Code: RET | K, K: 0x7fff0000}}
	for order, b := range map[binary.ByteOrder][]byte{
		binary.LittleEndian: {0x15, 0, 1, 2, 0x3e, 0, 0, 0xc0, 6, 0, 0, 0, 0, 0, 0xff, 0x7f},
		binary.BigEndian:    {0, 0x15, 1, 2, 0xc0, 0, 0, 0x3e, 0, 6, 0, 0, 0x7f, 0xff, 0, 0},
	} {
		p, err := Decode(b, order)
		if err != nil || len(p) != 2 || p[0] != want[0] || p[1] != want[1] {
			t.Errorf("%v: %v, %v", order, p, err)
		}
		if got := want.Encode(order); !bytes.Equal(got, b) {
			t.Errorf("%v: encoded as %x, want %x", order, got, b)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct {
		size int
		want string
	}{
		{0, "empty"}, {1, "truncated"}, {12, "truncated"}, {4096 * 8, ""}, {4096*8 - 1, "truncated"},
		{4096*8 + 1, "more than 4096"}, {4097 * 8, "more than 4096"},
	} {
		_, err := Decode(make([]byte, c.size), binary.LittleEndian)
		_, errRead := Read(bytes.NewReader(make([]byte, c.size)), binary.LittleEndian)
		for _, err := range []error{err, errRead} {
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%d bytes: %v, want an error with %q", c.size, err, c.want)
			}
		}
	}
}

// endless counts what is read of it.
type endless int64

func (e *endless) Read(b []byte) (int, error) {
	*e += endless(len(b))
	return len(b), nil
}

func TestReadStopsEarly(t *testing.T) {
	var file endless
	if _, err := Read(&file, binary.LittleEndian); err == nil || file > 4096*8+1 {
		t.Errorf("%d bytes read, error %v", file, err)
	}
	_, err := Read(io.MultiReader(strings.NewReader("abc"), failing{}), binary.LittleEndian)
	if err == nil || !strings.Contains(err.Error(), os.ErrPermission.Error()) {
		t.Errorf("an error of the stream: %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, os.ErrPermission }

func TestGuessOrder(t *testing.T) {
	for name, p := range corpusPrograms(t) {
		for _, order := range orders {
			got, err := GuessOrder(p.Encode(order))
			if p.Check() != nil {
				if err == nil {
					t.Errorf("%s is inadmissible and taken for %v", name, got)
				}
			} else if err != nil || got != order {
				t.Errorf("%s in %v: %v, %v", name, order, got, err)
			}
		}
	}
	for _, b := range [][]byte{nil, []byte("#!/bin/sh\n"), []byte("#!/bin/sh -e\n:\n ")} {
		if order, err := GuessOrder(b); err == nil {
			t.Errorf("%q is taken for %v", b, order)
		}
	}
}
