package record_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/compile"
	"monban/learn"
	"monban/policy/lang"
	"monban/record"
	"monban/verdict"
)

// Whatever number was refused, the gate that is written of the refusal lets it pass: told by the audit, or by run.
func TestDenialsOfNumbers(t *testing.T) {
	for _, nr := range []uint32{0, 0x3fffffff, 0x40000000, 0x40000005, 0x7fffffff, 0x80000000, 0x80000001, 0xbfffffff, 0xc0000000, 0xfffffffe, 0xffffffff} {
		d := bpf.Data{Arch: abi.X86_64.Token(), Nr: nr}
		audit := record.Denied("log")
		if err := audit.AddAudit(record.Streams()[0], "log", strings.NewReader(marked("audit", line(fmt.Sprint(int32(nr)), named))+"\n"), nil); err != nil {
			t.Errorf("%#x: %v", nr, err)
		}
		run := record.Denied("file")
		name := filepath.Join(t.TempDir(), "denials")
		file, err := record.CreateDenials(name)
		if err == nil {
			err = file.Write(nil, []record.Denial{{Data: d, Program: "a", Count: 1}}, 0)
		}
		if err == nil {
			_, err = run.AddDenials(name)
		}
		if err != nil {
			t.Errorf("%#x: %v", nr, err)
		}
		for log, rec := range map[string]*record.Recording{"audit": audit, "run": run} {
			log += fmt.Sprintf(", %#x", nr)
			text := learn.Recording(rec, learn.Options{Native: abi.X86_64}).String()
			p, err := lang.Load("denied.gate", []byte(text), lang.Options{})
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
			program, err := compile.Program(v, order, compile.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if do := program.Run(&d, order); do != bpf.Allow {
				t.Errorf("%s: the program says %v", log, do)
			}
		}
	}
}
