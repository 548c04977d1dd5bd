package main

import (
	"maps"
	"strings"
	"testing"

	"monban/compile"
)

func TestParseWeights(t *testing.T) {
	strace := `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 52.10    0.000322           5        60         2 openat
 47.90    0.000296           8        37           socket
------ ----------- ----------- --------- --------- ----------------
100.00    0.000618           6        97         2 total
`
	for _, c := range []struct {
		src  string
		want compile.Weights
		err  string
	}{
		{"openat 120\nsocket 3.5 # few\n\n", compile.Weights{"openat": 120, "socket": 3.5}, ""},
		{"read 1\nread 2\n", compile.Weights{"read": 3}, ""},
		{strace, compile.Weights{"openat": 60, "socket": 37}, ""},
		{"opennat 1\n", nil, "w:1: unknown call opennat (did you mean openat?)"},
		{"read\n", nil, "w:1: a line is a call"},
		{"read -1\n", nil, `w:1: "-1" is not a count`},
		{"read NaN\n", nil, `w:1: "NaN" is not a count`},
		{"# nothing\n", nil, "w says of no call"},
	} {
		got, err := parseWeights("w", []byte(c.src))
		if c.err != "" {
			if err == nil || !strings.HasPrefix(err.Error(), c.err) {
				t.Errorf("%q: error %v, want %s", c.src, err, c.err)
			}
			continue
		}
		if err != nil || !maps.Equal(got, c.want) {
			t.Errorf("%q: %v, %v; want %v", c.src, got, err, c.want)
		}
	}
}

func FuzzWeights(f *testing.F) {
	f.Add("openat 120\n")
	f.Add("% time\n 1 2 3 4 read\n")
	f.Fuzz(func(t *testing.T, src string) {
		weights, err := parseWeights("w", []byte(src))
		if err == nil && len(weights) == 0 {
			t.Error("neither weights nor an error")
		}
		for call, w := range weights {
			if !(w >= 0) {
				t.Errorf("%s weighs %v", call, w)
			}
		}
	})
}
