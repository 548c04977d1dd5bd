package record

import (
	"monban/abi"
	"monban/bpf"
)

// asClone turns a call of clone3 into that of clone which libc makes instead where there is no clone3: its flags and
// the signal at its end are in struct clone_args (linux/sched.h), at offsets 0 and 32. What lies in memory that is not
// there cannot be read, and is lost, unless it is too short for the kernel to look at it. The eBPF back end does the
// same.
func (r *Recording) asClone(a abi.Arch, d bpf.Data, read func(addr uint64, buf []byte) error) bpf.Data {
	const shortest = 64        // CLONE_ARGS_SIZE_VER0
	const inClone = 0xffffff00 // the flags that clone has, too
	var args [40]byte
	if read(d.Args[0], args[:]) != nil {
		clear(args[:])
		if d.Args[1] >= shortest {
			r.Lost++
		}
	}
	r.Clone3[a]++
	nr, _ := a.Number("clone")
	known, _ := a.Args("clone")
	order := a.ByteOrder()
	d = bpf.Data{Arch: d.Arch, Nr: nr, IP: d.IP}
	for _, arg := range known {
		if arg.Is("flags") {
			d.Args[arg.Index] = order.Uint64(args[:])&inClone | order.Uint64(args[32:])&0xff
		}
	}
	return d
}
