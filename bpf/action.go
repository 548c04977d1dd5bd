package bpf

import (
	"cmp"
	"fmt"
)

// An Action is what a filter returns: the action in the high half, its data in the low half (linux/seccomp.h).
type Action uint32

// The actions, from the most to the least restrictive: the kernel takes the smallest as a signed number.
const (
	KillProcess Action = 0x80000000
	KillThread  Action = 0x00000000
	Trap        Action = 0x00030000 // SIGSYS; data is si_errno
	Errno       Action = 0x00050000 // data is the errno, at most 4095
	Notify      Action = 0x7fc00000 // SECCOMP_RET_USER_NOTIF
	Trace       Action = 0x7ff00000 // data is PTRACE_GETEVENTMSG's message
	Log         Action = 0x7ffc0000
	Allow       Action = 0x7fff0000
)

const (
	actionMask = 0xffff0000
	dataMask   = 0x0000ffff
	maxErrno   = 4095 // MAX_ERRNO
)

// An Effect is what becomes of a call, and of its caller.
type Effect uint8

// The effects, from the worst for the program to the best.
const (
	Kills   Effect = iota // the caller dies by SIGSYS
	Refuses               // the call isn't made; the caller hears of it
	Asks                  // somebody else, a supervisor or a tracer, decides
	Passes                // the kernel carries the call out
)

// An actionKind is all that is known of an action here. A new one is a line of the table, and a word in each format
// that has one.
type actionKind struct {
	kind   Action
	name   string // in the policy language and in assembler
	effect Effect
	data   uint16 // the largest that means something; 0: it means nothing
	needs  bool   // it says nothing without data
	since  string // the first kernel that knows it
}

// kinds is in the kernel's order, the strictest first.
var kinds = [...]actionKind{
	{KillProcess, "kill_process", Kills, 0, false, "4.14"},
	{KillThread, "kill_thread", Kills, 0, false, "3.5"},
	{Trap, "trap", Refuses, dataMask, false, "3.5"},
	{Errno, "errno", Refuses, maxErrno, true, "3.5"},
	{Notify, "notify", Asks, 0, false, "5.0"},
	{Trace, "trace", Asks, dataMask, true, "3.5"},
	{Log, "log", Passes, 0, false, "4.14"},
	{Allow, "allow", Passes, 0, false, "3.5"},
}

// Actions returns all actions without data, the strictest first.
func Actions() []Action {
	all := make([]Action, len(kinds))
	for i := range kinds {
		all[i] = kinds[i].kind
	}
	return all
}

// ParseAction returns the action of a name such as kill_process, without data.
func ParseAction(name string) (a Action, ok bool) {
	for i := range kinds {
		if kinds[i].name == name {
			return kinds[i].kind, true
		}
	}
	return 0, false
}

// entry is the action's line of the table. The kernel kills the process for one that it doesn't know.
func (a Action) entry() *actionKind {
	for i := len(kinds) - 1; i > 0; i-- { // most ask about allow
		if kinds[i].kind == a&actionMask {
			return &kinds[i]
		}
	}
	return &kinds[0]
}

// Kind is the action without its data.
func (a Action) Kind() Action { return a & actionMask }

// Data is the action's data half.
func (a Action) Data() uint16 { return uint16(a & dataMask) }

// Known reports whether the kernel knows the action; one that it doesn't know kills the process.
func (a Action) Known() bool { return a.entry().kind == a.Kind() }

// Name is the action's name without data, the canonical one's: errno, trace, allow.
func (a Action) Name() string { return a.entry().name }

// Effect is what becomes of a call that gets the action.
func (a Action) Effect() Effect { return a.entry().effect }

// Passes says that the kernel carries the call out: allow and log.
func (a Action) Passes() bool { return a.Effect() == Passes }

// Asks says that somebody else decides: notify and trace.
func (a Action) Asks() bool { return a.Effect() == Asks }

// Refuses says that the call isn't made, whoever is there to ask: an error, a signal or a kill.
func (a Action) Refuses() bool { return a.Effect() <= Refuses }

// Kills says that the process or the thread is killed for the call.
func (a Action) Kills() bool { return a.Effect() == Kills }

// Signals says that the call sends SIGSYS: a kill, which nothing catches, or a trap.
func (a Action) Signals() bool { return a.Kills() || a.Kind() == Trap }

// MaxData is the largest data that means something, 0 for an action whose data doesn't: 4095 for errno, 65535 for trap
// and trace.
func (a Action) MaxData() uint16 { return a.entry().data }

// NeedsData says that the action says nothing without its data: errno and trace.
func (a Action) NeedsData() bool { return a.entry().needs }

// Since is the first kernel that knows the action, such as 4.14.
func (a Action) Since() string { return a.entry().since }

// Compare orders actions as the kernel does when several filters answer: negative where a is the stricter one, 0 where
// they differ in data at most. An action that the kernel doesn't know has a rank of its own here, before it kills.
func (a Action) Compare(b Action) int { return cmp.Compare(int32(a.Kind()), int32(b.Kind())) }

// Canonical is the one representative of all values that the kernel treats alike: an unknown action kills the process,
// an errno is capped at 4095, and the data of allow, log, notify and the kills means nothing (kernel/seccomp.c,
// __seccomp_filter).
func (a Action) Canonical() Action {
	e := a.entry()
	if e.kind != a.Kind() {
		return e.kind
	}
	return e.kind | min(a&dataMask, Action(e.data))
}

// String writes the action as the policy language does, with numbers for errno values: errno(38), trace(7), allow.
func (a Action) String() string {
	e := a.entry()
	if e.data == 0 {
		return e.name
	}
	return fmt.Sprintf("%s(%d)", e.name, a.Canonical().Data())
}
