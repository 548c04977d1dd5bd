package record_test

import (
	"fmt"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/compile"
	"monban/policy"
	"monban/record"
	"monban/verdict"
)

// Whatever number was refused, the gate that is written of the refusal lets it pass: told by the audit, or by run.
func TestDenialsOfNumbers(t *testing.T) {
	for _, nr := range []uint32{0, 0x3fffffff, 0x40000000, 0x40000005, 0x7fffffff, 0x80000000, 0x80000001, 0xbfffffff, 0xc0000000, 0xfffffffe, 0xffffffff} {
		d := bpf.Data{Arch: abi.X86_64.Token(), Nr: nr}
		own, _ := abi.Of(d.Arch, d.Nr)
		call := policy.FormatCall(own, &d)
		if own != abi.Native() {
			call += " of " + own.String()
		}
		for _, log := range []string{
			fmt.Sprintf(`type=SECCOMP msg=audit(1.2:3): pid=7 comm="a" exe="/bin/a" sig=31 arch=%x syscall=%d compat=0`, d.Arch, nr),
			fmt.Sprintf("monban: killed: %s by a (process 7)", call),
		} {
			rec, err := record.Denials("log", strings.NewReader(log+"\n"))
			if err != nil {
				t.Errorf("%s: %v", log, err)
				continue
			}
			text := rec.Text(record.Options{Native: abi.X86_64})
			p, err := policy.Load("denied.gate", []byte(text), policy.Options{})
			if err != nil {
				t.Errorf("%s: %v in\n%s", log, err, text)
				continue
			}
			if do, err := p.Decide(&d); err != nil || do.Action != bpf.Allow {
				t.Errorf("%s: the gate says %v (%v):\n%s", log, do.Action, err, text)
			}
			v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
			if err != nil {
				t.Fatal(err)
			}
			order := abi.X86_64.ByteOrder()
			program, err := compile.Program(v, order)
			if err != nil {
				t.Fatal(err)
			}
			if do := program.Run(&d, order); do != bpf.Allow {
				t.Errorf("%s: the program says %v", log, do)
			}
		}
	}
}
