package lang_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/policy/lang"
	"monban/verdict"
)

// goFiles are the architectures of Go with the part of a file's name that the runtime uses for them.
var goFiles = map[abi.Arch]string{
	abi.X86: "386", abi.X86_64: "amd64", abi.ARM: "arm", abi.AArch64: "arm64", abi.LoongArch64: "loong64",
	abi.MIPS: "mipsx", abi.MIPSEL: "mipsx", abi.MIPS64: "mips64x", abi.MIPSEL64: "mips64x",
	abi.PPC64: "ppc64x", abi.PPC64LE: "ppc64x", abi.RISCV64: "riscv64", abi.S390X: "s390x",
}

// androidOnly are the calls by which the runtime writes to Android's log (runtime/write_err_android.go).
var androidOnly = []string{"access", "faccessat", "socket", "connect", "socketcall"}

// TestGoRuntimeIsDerived reads the numbers of the system calls in the runtime's own source and asks @go-runtime about
// each.
func TestGoRuntimeIsDerived(t *testing.T) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	src := filepath.Join(strings.TrimSpace(string(out)), "src")
	for _, a := range slices.Sorted(maps.Keys(goFiles)) {
		t.Run(a.String(), func(t *testing.T) {
			numbers := assemblyCalls(t, filepath.Join(src, "runtime", "sys_linux_"+goFiles[a]+".s"))
			maps.Copy(numbers, goCalls(t, filepath.Join(src, "internal", "runtime", "syscall", "linux", "defs_linux_"+goFiles[a]+".go")))
			if len(numbers) < 30 {
				t.Fatalf("only %d calls found: has the runtime's source moved?", len(numbers))
			}
			p, err := lang.LoadPreset("@go-runtime", lang.Options{Native: a})
			if err != nil {
				t.Fatal(err)
			}
			v, err := p.Verdict(verdict.NewSpace(1 << 20))
			if err != nil {
				t.Fatal(err)
			}
			for nr, name := range numbers {
				call, ok := a.Name(nr)
				if !ok {
					t.Errorf("%s has the number %d in the runtime, which abi does not know", name, nr)
					continue
				}
				if slices.Contains(androidOnly, call) {
					continue
				}
				_, allowed := v.Restrict(verdict.Arch, a.Token()).Restrict(verdict.Nr, nr).
					Witness(func(x bpf.Action) bool { return x == bpf.Allow })
				if !allowed {
					t.Errorf("the runtime makes %s, which @go-runtime never allows", call)
				}
			}
		})
	}
}

var (
	definition = regexp.MustCompile(`(?m)^#define\s+(SYS_\w+)\s+\(?(?:(SYS_BASE)\s*\+\s*)?(\w+)\)?`)
	use        = regexp.MustCompile(`\$\(?(SYS_\w+)`)
)

// assemblyCalls returns the numbers that a file of Go assembly loads by a name such as $SYS_read.
func assemblyCalls(t *testing.T, file string) map[uint32]string {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]uint64{}
	for _, m := range definition.FindAllStringSubmatch(string(src), -1) {
		n, err := strconv.ParseUint(m[3], 0, 32)
		if err != nil {
			t.Fatalf("%s: %s is %s", file, m[1], m[3])
		}
		values[m[1]] = n + values[m[2]]
	}
	numbers := map[uint32]string{}
	for _, m := range use.FindAllStringSubmatch(string(src), -1) {
		n, ok := values[m[1]]
		if !ok {
			t.Fatalf("%s uses %s but does not define it", file, m[1])
		}
		numbers[uint32(n)] = m[1]
	}
	return numbers
}

// goCalls returns the values of a Go file's constants SYS_….
func goCalls(t *testing.T, file string) map[uint32]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[uint32]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 && strings.HasPrefix(spec.Names[0].Name, "SYS_") {
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
				v, err := strconv.ParseUint(lit.Value, 0, 32)
				if err != nil {
					t.Fatal(err)
				}
				numbers[uint32(v)] = spec.Names[0].Name
			}
		}
		return true
	})
	return numbers
}
