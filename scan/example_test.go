package scan_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"monban/scan"
)

// A program of a few bytes, which asks for its number and ends: mov $39,%eax; syscall; mov $60,%eax; syscall.
const program = "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00\x01\x00\x00\x00\x78\x00\x40\x00\x00\x00\x00\x00" +
	"\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x40\x00\x38\x00\x01\x00\x40\x00\x00\x00\x00\x00" +
	"\x01\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00\x00\x00" +
	"\x87\x00\x00\x00\x00\x00\x00\x00\x87\x00\x00\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00" +
	"\xb8\x27\x00\x00\x00\x0f\x05\xb8\x3c\x00\x00\x00\x0f\x05\xc3"

func ExampleFiles() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "program")
	if err := os.WriteFile(name, []byte(program), 0o700); err != nil {
		log.Fatal(err)
	}

	r, err := scan.Files(context.Background(), []string{name}, scan.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Arch, len(r.Unresolved))
	for _, c := range r.Calls {
		fmt.Println(c.Nr, c.Name, len(c.Path))
	}
	// Output:
	// x86_64 0
	// 15 rt_sigreturn 0
	// 39 getpid 1
	// 60 exit 1
	// 219 restart_syscall 0
}

// What a file is not scanned for can be told apart.
func ExampleBadFileError() {
	_, err := scan.Files(context.Background(), []string{"example_test.go"}, scan.Options{})
	if bad, ok := errors.AsType[*scan.BadFileError](err); ok {
		fmt.Println(bad.File + ", " + bad.Why)
	}
	// Output: example_test.go, not an ELF file
}
