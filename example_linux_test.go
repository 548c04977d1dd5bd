package monban_test

import (
	"fmt"
	"log"
	"os"

	"monban"
)

// A program that has read what it needs gives up the rest, for good.
func ExampleEnforce() {
	policy, err := monban.Parse("include @go-runtime\nallow read write close\nerrno(EACCES) openat\n", monban.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := monban.Enforce(policy); err != nil {
		log.Fatal(err)
	}
	_, err = os.Open("/etc/passwd")
	fmt.Println(err) // open /etc/passwd: permission denied
}

// A child is bound from its first instruction on; what killed it is its error.
func ExampleCommand() {
	policy, err := monban.Parse("include @libc\nallow openat(flags & (O_WRONLY|O_RDWR) == 0)\nkill_process unlink unlinkat\n", monban.Options{})
	if err != nil {
		log.Fatal(err)
	}
	out, err := monban.Command(policy, "rm", "-f", "/tmp/file").CombinedOutput()
	fmt.Printf("%s%v\n", out, err)
}
