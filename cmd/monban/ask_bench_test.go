package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"monban/format"
)

// BenchmarkAskLines answers lines of standard input, all different, as strace writes them and as people do.
func BenchmarkAskLines(b *testing.B) {
	name := filepath.Join(b.TempDir(), "lines")
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	const lines = 20000
	for i := range lines {
		if i%2 == 0 {
			fmt.Fprintf(f, "[pid %d] mmap(%#x, %d, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = %#x\n", i, i*4096, i*4096, i*4096)
		} else {
			fmt.Fprintf(f, "read(%d, ?, %d)\n", i%1000, i)
		}
	}
	stdin := os.Stdin
	defer func() { os.Stdin = stdin }()
	b.ResetTimer()
	for b.Loop() {
		if os.Stdin, err = os.Open(name); err != nil {
			b.Fatal(err)
		}
		if err := (&askPlan{ref: "@container"}).lines(io.Discard, newDesk("@container", format.Options{})); err != nil {
			b.Fatal(err)
		}
		os.Stdin.Close()
	}
	b.ReportMetric(float64(lines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
