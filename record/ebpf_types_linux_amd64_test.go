package record

import (
	"encoding/binary"
	"testing"

	"github.com/cilium/ebpf/btf"
)

// TestKernelTypes holds what is found in the kernel's types against a whole decoder of them.
func TestKernelTypes(t *testing.T) {
	whole, err := btf.LoadKernelSpec()
	if err != nil {
		t.Skip(err)
	}
	k, err := readKernelTypes()
	if err != nil {
		t.Fatal(err)
	}
	defer k.close()
	for _, at := range []string{"sys_enter", "sched_process_fork"} {
		var want *btf.Typedef
		if err := whole.TypeByName("btf_trace_"+at, &want); err != nil {
			t.Fatal(err)
		}
		id, _ := whole.TypeID(want)
		if got, err := k.find(btfTypedef, want.Name); err != nil || got.id != uint32(id) {
			t.Errorf("%s: %d, %v; want %d", want.Name, got.id, err, id)
		}
	}
	for _, name := range []string{"task_struct", "thread_info", "pt_regs", "clone_args"} {
		var want *btf.Struct
		if err := whole.TypeByName(name, &want); err != nil {
			t.Fatal(err)
		}
		for _, m := range want.Members {
			if m.Name == "" || m.BitfieldSize != 0 {
				continue
			}
			if got, err := k.offset(name, m.Name); err != nil || uint32(got) != m.Offset.Bytes() {
				t.Errorf("%s.%s: %d, %v; want %d", name, m.Name, got, err, m.Offset.Bytes())
			}
		}
	}
	if _, err := k.offset("task_struct", "nosuch"); err == nil {
		t.Error("task_struct.nosuch is there")
	}
	if _, err := k.offset("nosuch", "tgid"); err == nil {
		t.Error("struct nosuch is there")
	}
}

// TestDamagedTypes looks for structures in what is not whole.
func TestDamagedTypes(t *testing.T) {
	words := func(w ...uint32) (out []byte) {
		for _, w := range w {
			out = binary.NativeEndian.AppendUint32(out, w)
		}
		return out
	}
	const header, types = 24, 16 + 12 + 12
	raw := append(words(0x1eb9f, header, 0, types, types, 10,
		1, btfInt<<24, 4, 32, // an integer
		3, btfStruct<<24|1<<31|1, 8, 5, 1, 8<<24|32), // struct s { int m : 8, after four bytes; }
		"\x00i\x00s\x00m\x00\x00\x00\x00"...)
	k, err := parseTypes(raw)
	if err != nil {
		t.Fatal(err)
	}
	if at, err := k.offset("s", "m"); at != 4 || err != nil {
		t.Errorf("s.m: %d, %v", at, err)
	}
	for n := range raw {
		if k, err := parseTypes(raw[:n]); err == nil {
			t.Errorf("%d bytes: %v", n, k)
		}
	}
	for i := range raw {
		for _, b := range []byte{0, 0x7f, 0xff} {
			bad := append([]byte(nil), raw...)
			bad[i] = b
			if k, err := parseTypes(bad); err == nil {
				_, _ = k.offset("s", "m")
			}
		}
	}
}
