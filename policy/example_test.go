package policy_test

import (
	"fmt"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
	"monban/verdict"
)

// A policy is a value; package lang reads one from a text.
func Example() {
	p := &policy.Policy{
		Name:    "tiny",
		Archs:   []abi.Arch{abi.X86_64},
		Default: policy.Action{Kind: bpf.Errno, Errno: "EPERM"},
		Unknown: policy.Action{Kind: bpf.Errno, Errno: "ENOSYS"},
		BadArch: policy.Action{Kind: bpf.KillProcess},
		Rules: []policy.Rule{
			{Action: policy.Action{Kind: bpf.Allow}, Call: "read"},
			{Action: policy.Action{Kind: bpf.Allow}, Call: "socket", Cond: policy.Compare{X: policy.Operand{Name: "family"}, Op: policy.EQ, Y: policy.Sym{Name: "AF_UNIX"}}},
		},
	}
	v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		fmt.Println(err)
		return
	}
	nr, _ := abi.X86_64.Number("socket")
	for _, family := range []uint64{1, 2} {
		call := bpf.Data{Arch: abi.X86_64.Token(), Nr: nr, Args: [6]uint64{family, 1}}
		fmt.Println(policy.FormatCall(abi.X86_64, &call), policy.ActionOn(abi.X86_64, v.At(&call)))
	}
	// Output:
	// socket(family=AF_UNIX, type=SOCK_STREAM, protocol=0) allow
	// socket(family=AF_INET, type=SOCK_STREAM, protocol=0) errno(EPERM)
}
