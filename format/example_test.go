package format_test

import (
	"fmt"
	"testing/fstest"

	"monban/abi"
	"monban/format"
)

// A profile of a container runtime becomes a policy file, which is proven to mean the same.
func ExampleWrite() {
	o := format.Options{Native: abi.X86_64, FS: fstest.MapFS{"docker.json": {Data: []byte(`{
		"defaultAction": "SCMP_ACT_ERRNO",
		"syscalls": [
			{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
			{"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}
		]}`)}}}
	g, err := format.Read("docker.json", o)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("# it was an", g.Kind)
	gate, _ := format.Find("gate")
	text, err := format.Write(g, gate, "", o)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(string(text.Bytes))
	// Output:
	// # it was an OCI profile
	// arch     x86_64
	// default  errno(EPERM)
	// unknown  errno(EPERM)
	// badarch  kill_process
	// compare  64
	//
	// allow    read write
	// allow    socket(arg0 == 1)
}

// What a file is, its content says.
func ExampleRecognise() {
	for _, text := range []string{"read: 1\nwrite: 1\n", "[Service]\nSystemCallFilter=@system-service\n", "default errno(EPERM)\n"} {
		fmt.Println(format.Recognise([]byte(text)).Title)
	}
	// Output:
	// a minijail policy
	// a systemd unit
	// a policy
}
