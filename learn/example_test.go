package learn_test

import (
	"fmt"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/learn"
	"monban/record"
)

// A recording becomes a gate, which can be written down, or resolved and enforced.
func ExampleRecording() {
	r := record.New([]string{"app"}, "hand")
	r.Add(abi.X86_64, &bpf.Data{Arch: abi.X86_64.Token(), Nr: 41, Args: [6]uint64{1, 1}}, "app") // socket(AF_UNIX, SOCK_STREAM)
	f := learn.Recording(r, learn.Options{Native: abi.X86_64, Args: record.Safe})
	text, _, _ := strings.Cut(f.String(), "\n\n# not seen")
	fmt.Println(text)
	// Output:
	// # What this run did, by monban record (hand):
	// #   app
	// # 1 call of 1 kind. Behind each: how often, and by which programs.
	//
	// arch     x86_64
	// default  errno(EPERM)
	//
	// # sockets
	// allow    socket(family == AF_UNIX && type & 0xf == SOCK_STREAM)  # 1: app
}
