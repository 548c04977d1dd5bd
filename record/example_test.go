package record_test

import (
	"fmt"

	"monban/abi"
	"monban/bpf"
	"monban/policy/lang"
	"monban/record"
	"monban/verdict"
)

// What was seen of a run, by whichever back end, is held against a gate: what would it have refused?
func ExampleRecording_Lacking() {
	rec := record.New([]string{"server"}, "by hand")
	for _, call := range []string{"read", "write", "socket", "openat"} {
		nr, _ := abi.X86_64.Number(call)
		rec.Add(abi.X86_64, &bpf.Data{Arch: abi.X86_64.Token(), Nr: nr, Args: [6]uint64{2, 1}}, "server")
	}
	p, err := lang.Load("web.gate", []byte("default errno(EPERM)\nallow read write\nallow socket(family == AF_UNIX)\n"), lang.Options{Archs: []abi.Arch{abi.X86_64}})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		fmt.Println(err)
		return
	}
	lacking, err := rec.Lacking(v)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, k := range lacking.Keys(abi.X86_64) {
		name, _ := k.Arch.Name(k.Nr)
		cond := record.Generalise(k.Arch, name, lacking.Calls[k], record.All)
		fmt.Println(name, cond)
	}
	// Output:
	// socket family == AF_INET && type & 0xf == SOCK_STREAM
	// openat flags == 0
}
