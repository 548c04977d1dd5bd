package scan

import (
	"context"
	"debug/elf"
	"os"
	"slices"
	"testing"
	"time"

	"monban/abi"
	"monban/scan/internal/elftest"
	"monban/scan/internal/image"
	"monban/scan/internal/load"
)

// tiny is the smallest program.
func tiny(machine elf.Machine, code []byte) []byte {
	return elftest.File{Machine: machine, Sections: []elftest.Section{elftest.Exec(0x400000, code)}}.Bytes()
}

func names(r *Result) (out []string) {
	for _, c := range r.Calls {
		out = append(out, c.Name)
	}
	slices.Sort(out)
	return out
}

func scanBytes(t testing.TB, data []byte) *Result {
	t.Helper()
	file := t.TempDir() + "/prog"
	if err := os.WriteFile(file, data, 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := Files(context.Background(), []string{file}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Each number is made in another way.
func TestNumbers(t *testing.T) {
	const nop = "\x90"
	for _, test := range []struct {
		name, code string
		machine    elf.Machine
		want       []string
		unresolved int
	}{
		{"constant", "\xb8\x27\x00\x00\x00\x0f\x05\xc3", elf.EM_X86_64, []string{"getpid"}, 0},
		{"xor", "\x31\xc0\x0f\x05\xc3", elf.EM_X86_64, []string{"read"}, 0},
		{"push and pop", "\x6a\x27\x58\x0f\x05\xc3", elf.EM_X86_64, []string{"getpid"}, 0},
		{"low byte", "\x31\xc0\xb0\x27\x0f\x05\xc3", elf.EM_X86_64, []string{"getpid"}, 0},
		{"copied", "\xbe\x27\x00\x00\x00\x89\xf0\x0f\x05\xc3", elf.EM_X86_64, []string{"getpid"}, 0},
		{"either", "\xb8\x27\x00\x00\x00\x85\xff\x74\x05\xb8\x66\x00\x00\x00\x0f\x05\xc3", elf.EM_X86_64, []string{"getpid", "getuid"}, 0},
		{"passed to a function", "\xbf\x27\x00\x00\x00\xe8\x01\x00\x00\x00\xc3\x89\xf8\x0f\x05\xc3", elf.EM_X86_64, []string{"getpid"}, 0},
		{"on the stack", "\x6a\x27\xe8\x01\x00\x00\x00\xc3\x48\x8b\x44\x24\x08\x0f\x05\xc3", elf.EM_X86_64, []string{"getpid"}, 0},
		{"by pointer to the stack", "\x6a\x27\x48\x89\xe7\xe8\x01\x00\x00\x00\xc3\x8b\x07\x0f\x05\xc3", elf.EM_X86_64, []string{"getpid"}, 0},
		{"zero by a branch", "\xb8\x27\x00\x00\x00\x0f\x05\x85\xff\x89\xf8\x85\xc0\x74\x01\xc3\x0f\x05\xc3", elf.EM_X86_64, []string{"getpid", "read"}, 0},
		{"zero where it does not branch", "\x89\xf8\x85\xc0\x75\x02\x0f\x05\xc3", elf.EM_X86_64, []string{"read"}, 0},
		{"computed", "\xb8\x27\x00\x00\x00\x01\xf8\x0f\x05\xc3", elf.EM_X86_64, nil, 1},
		{"int 0x80", "\xb8\x27\x00\x00\x00\xcd\x80\xc3", elf.EM_X86_64, nil, 1},
		{"behind the end", "\xc3\xb8\x27\x00\x00\x00\x0f\x05" + nop, elf.EM_X86_64, []string{"getpid"}, 0},
		{"arm: constant", "\x88\x15\x80\xd2\x01\x00\x00\xd4\xc0\x03\x5f\xd6", elf.EM_AARCH64, []string{"getpid"}, 0},
		{"arm: zero by a branch", "\xe8\x03\x00\xaa\x48\x00\x00\xb4\xc0\x03\x5f\xd6\x01\x00\x00\xd4\xc0\x03\x5f\xd6",
			elf.EM_AARCH64, []string{"io_setup"}, 0},
		{"arm: passed to a function", "\x80\x15\x80\xd2\x02\x00\x00\x94\xc0\x03\x5f\xd6\xe8\x03\x00\xaa\x01\x00\x00\xd4\xc0\x03\x5f\xd6",
			elf.EM_AARCH64, []string{"getpid"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := scanBytes(t, tiny(test.machine, []byte(test.code)))
			want := append(slices.Clone(test.want), kernels...)
			slices.Sort(want)
			if got := names(r); !slices.Equal(got, want) || len(r.Unresolved) != test.unresolved {
				t.Errorf("reaches %v, %d not traced (%v); want %v, %d", got, len(r.Unresolved), r.Unresolved, want, test.unresolved)
			}
		})
	}
	if r := scanBytes(t, tiny(elf.EM_AARCH64, []byte("\xc0\x03\x5f\xd6"))); r.Arch != abi.AArch64 {
		t.Errorf("the architecture is %v", r.Arch)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	file := t.TempDir() + "/prog"
	if err := os.WriteFile(file, tiny(elf.EM_X86_64, []byte("\xc3")), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Files(ctx, []string{file}, Options{}); err == nil {
		t.Error("a cancelled scan ends without an error")
	}
}

// No file makes the scanner panic, hang, or end without an answer.
func FuzzScan(f *testing.F) {
	f.Add(tiny(elf.EM_X86_64, []byte("\xb8\x27\x00\x00\x00\x0f\x05\xc3")))
	f.Add(tiny(elf.EM_AARCH64, []byte("\x88\x15\x80\xd2\x01\x00\x00\xd4\xc0\x03\x5f\xd6")))
	for _, name := range []string{"/usr/lib/x86_64-linux-gnu/libdl.so.2"} {
		if b, err := os.ReadFile(name); err == nil && len(b) < 100_000 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 200_000 {
			return
		}
		m, err := image.Read("prog", data)
		if err != nil {
			return
		}
		m.Roots = append(m.Roots, m.File.Entry)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		r, err := reach(ctx, &load.Program{Images: []*image.Image{m}})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Calls) == 0 {
			t.Error("nothing at all is reached, not even what the kernel makes a program call")
		}
	})
}

func BenchmarkScan(b *testing.B) {
	for _, name := range []string{"/bin/ls", "/usr/bin/python3", "/usr/local/go/bin/go"} {
		if _, err := os.Stat(name); err != nil {
			continue
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Files(b.Context(), []string{name}, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
