package bpf

import (
	"slices"
	"testing"
)

// What include/uapi/linux/seccomp.h and kernel/seccomp.c say of the actions.
func TestActions(t *testing.T) {
	for i, want := range []struct {
		a       Action
		text    string
		effect  Effect
		maxData uint16
		needs   bool
	}{
		{0x80000000, "kill_process", Kills, 0, false},
		{0x00000000, "kill_thread", Kills, 0, false},
		{0x00030000, "trap(0)", Refuses, 65535, false},
		{0x00050000, "errno(0)", Refuses, 4095, true},
		{0x7fc00000, "notify", Asks, 0, false},
		{0x7ff00000, "trace(0)", Asks, 65535, true},
		{0x7ffc0000, "log", Passes, 0, false},
		{0x7fff0000, "allow", Passes, 0, false},
	} {
		a := want.a
		if all := Actions(); len(all) != 8 || all[i] != a {
			t.Fatalf("%v", all)
		}
		if a.String() != want.text || a.Effect() != want.effect || a.MaxData() != want.maxData || a.NeedsData() != want.needs || !a.Known() || a.Since() == "" {
			t.Errorf("%v: %v, data to %d, needed: %v", a, a.Effect(), a.MaxData(), a.NeedsData())
		}
		if got, ok := ParseAction(a.Name()); !ok || got != a {
			t.Errorf("%s is read as %v", a.Name(), got)
		}
		for e, is := range map[Effect]bool{Kills: a.Kills(), Asks: a.Asks(), Passes: a.Passes()} {
			if is != (a.Effect() == e) {
				t.Errorf("%v: effect %d is %v", a, e, is)
			}
		}
		if (a | 7).Signals() != (i < 3) {
			t.Errorf("%v sends a signal: %v", a, a.Signals())
		}
		if a.Refuses() != !(a.Asks() || a.Passes()) {
			t.Errorf("%v refuses: %v", a, a.Refuses())
		}
		for _, data := range []Action{0, 1, 4095, 4096, 0xffff} {
			if got := (a | data).Canonical(); got != a|min(data, Action(want.maxData)) {
				t.Errorf("%#x counts as %#x", uint32(a|data), uint32(got))
			}
			for j, b := range Actions() {
				if got := (a | data).Compare(b | 7); got != min(1, max(-1, i-j)) {
					t.Errorf("%v against %v: %d", a|data, b, got)
				}
			}
		}
	}
	if !slices.IsSortedFunc(Actions(), Action.Compare) {
		t.Error("the table is out of order")
	}
	for _, unknown := range []Action{0x00010000, 0x00020005, 0x7fff8000 + 0x8000 + 0x10000, 0xffff0000, 0x80010000, 0x7ffe0001} {
		if unknown.Known() || unknown.Canonical() != KillProcess || !unknown.Kills() || !unknown.Signals() || !unknown.Refuses() || unknown.Passes() || unknown.String() != "kill_process" {
			t.Errorf("%#x: %v", uint32(unknown), unknown)
		}
	}
	if a, ok := ParseAction("kill"); ok {
		t.Errorf("kill is %v", a)
	}
}
