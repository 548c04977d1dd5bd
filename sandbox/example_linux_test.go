package sandbox_test

import (
	"context"
	"fmt"
	"log"

	"monban/gate"
	"monban/policy/lang"
	"monban/sandbox"
)

// A program is started behind the filters of a policy; the call that it was killed for has a name.
func Example() {
	p, err := lang.Load("ls.gate", []byte("include @libc\nallow openat getdents64\nkill_process socket\n"), lang.Options{ReadFile: lang.ReadIncluded})
	if err != nil {
		log.Fatal(err)
	}
	filters, err := gate.OfPolicy("ls.gate", p).Filters()
	if err != nil {
		log.Fatal(err)
	}
	command := sandbox.Command{Path: "ls", Args: []string{"ls", "-l", "/"}, Gates: filters, Watch: true}
	result, err := command.Run(context.Background())
	if err != nil {
		log.Fatal(err) // it has not run
	}
	for _, killed := range result.Killed {
		fmt.Println(killed.Comm, "was killed for call", killed.Data.Nr)
	}
	fmt.Println("status", result.ExitStatus())
}
