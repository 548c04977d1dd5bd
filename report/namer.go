package report

import "monban/abi"

// namer gives disassembly the names of calls, arguments and constants.
type namer struct{}

func (namer) Arch(token uint32) string {
	if a, ok := abi.Of(token, 0); ok {
		return a.String()
	}
	return ""
}

func (n namer) Call(token, nr uint32) string {
	a, ok := abi.Of(token, nr)
	if !ok {
		return ""
	}
	name, _ := a.Name(nr)
	return name
}

func (n namer) Arg(token, nr uint32, index int) string {
	a, ok := abi.Of(token, nr)
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
	a, ok := abi.Of(token, nr)
	if !ok {
		return ""
	}
	return a.ConstantName(n.Call(token, nr), index, uint64(value))
}
