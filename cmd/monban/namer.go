package main

import "monban/abi"

// namer gives disassembly the names of calls, arguments and constants.
type namer struct{}

func (namer) arch(token, nr uint32) (abi.Arch, bool) {
	for _, a := range abi.Archs() {
		if a.Token() == token && (a == abi.X32) == (token == abi.X32.Token() && nr >= abi.X32Bit) {
			return a, true
		}
	}
	return 0, false
}

func (n namer) Arch(token uint32) string {
	if a, ok := n.arch(token, 0); ok {
		return a.String()
	}
	return ""
}

func (n namer) Call(token, nr uint32) string {
	a, ok := n.arch(token, nr)
	if !ok {
		return ""
	}
	name, _ := a.Name(nr)
	return name
}

func (n namer) Arg(token, nr uint32, index int) string {
	a, ok := n.arch(token, nr)
	if !ok {
		return ""
	}
	args, _ := a.Args(n.Call(token, nr))
	for _, arg := range args {
		if arg.Index == index {
			return arg.Name
		}
	}
	return ""
}

func (n namer) Constant(token, nr uint32, index int, value uint32) string {
	a, ok := n.arch(token, nr)
	if !ok {
		return ""
	}
	return a.ConstantName(n.Call(token, nr), index, uint64(value))
}
