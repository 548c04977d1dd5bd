package inspect

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"monban/abi"
	"monban/gate"
	"monban/policy"
	"monban/policy/lang"
)

// A Desk answers questions about one gate, for several architectures: as a machine of this kind has it that runs the
// architecture.
type Desk struct {
	Archs  []abi.Arch // that are asked about; at least one
	Native abi.Arch   // the machine at hand
	// Read reads the gate as a machine has it whose native architecture this is. It is called once for each family of
	// architectures.
	Read  func(native abi.Arch) (*gate.Gate, error)
	gates map[abi.Arch]*gate.Gate
}

// An OrderError says that programs are not of an architecture's byte order.
type OrderError struct {
	Gate string
	Arch abi.Arch
}

func (e *OrderError) Error() string {
	return fmt.Sprintf("%s: the program is not of %s's byte order", e.Gate, e.Arch)
}

// A NoCallError says that none of several architectures has a call.
type NoCallError struct{ Archs []abi.Arch }

func (e *NoCallError) Error() string {
	var names []string
	for _, a := range e.Archs {
		names = append(names, a.String())
	}
	return fmt.Sprintf("none of %s has this call", strings.Join(names, ", "))
}

// Gate is the gate as the machine has it that runs an architecture. An error is Read's or an *[OrderError].
func (d *Desk) Gate(a abi.Arch) (*gate.Gate, error) {
	native := d.Native
	for _, n := range append([]abi.Arch{d.Native}, d.Archs...) {
		if slices.Contains(n.Family(), a) {
			native = n
			break
		}
	}
	g := d.gates[native]
	if g == nil {
		var err error
		if g, err = d.Read(native); err != nil {
			return nil, err
		}
		if d.gates == nil {
			d.gates = map[abi.Arch]*gate.Gate{}
		}
		d.gates[native] = g
	}
	if g.Policy == nil && g.Order != a.ByteOrder() {
		return nil, &OrderError{g.Name, a}
	}
	return g, nil
}

// Ask answers a question, a call as lang.ParseCall reads it, for each architecture that has the call. With trace, each
// answer has the instructions that its example executes. Errors are those of [Desk.Gate] and [Ask], a *policy.Error, or
// a *[NoCallError].
func (d *Desk) Ask(question string, trace bool) ([]*Answer, error) {
	var answers []*Answer
	for _, a := range d.Archs {
		call, err := lang.ParseCall(a, question)
		if _, elsewhere := errors.AsType[*policy.NoCallError](err); elsewhere && len(d.Archs) > 1 {
			continue // not every architecture that was asked about need have it
		}
		if err != nil {
			return nil, err
		}
		if call.Arch != a && slices.Contains(d.Archs, call.Arch) {
			continue // a number, asked about once
		}
		g, err := d.Gate(a)
		if err != nil {
			return nil, err
		}
		one, err := Ask(g, &call)
		if err == nil && trace {
			err = one.Follow(g)
		}
		if err != nil {
			return nil, err
		}
		answers = append(answers, one)
	}
	if len(answers) == 0 {
		return nil, &NoCallError{d.Archs}
	}
	return answers, nil
}
