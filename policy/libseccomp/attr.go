package libseccomp

import (
	"fmt"

	"monban/bpf"
)

// An Attr is an attribute of a Builder's filter, with libseccomp's numbers (enum scmp_filter_attr). All but the two
// actions concern loading, or libseccomp's own compiler: they are checked and kept, and have no part in the policy.
type Attr uint8

// The attributes; values are those of libseccomp.
const (
	AttrActDefault  Attr = iota + 1 // read-only: the default action
	AttrActBadArch                  // the action for other architectures; kill_thread unless set
	AttrCtlNNP                      // set no_new_privs before loading: 0 or 1
	AttrCtlTSync                    // load for all threads: 0 or 1
	AttrAPITSkip                    // allow rules for the number -1; not supported
	AttrCtlLog                      // log actions other than allow: 0 or 1
	AttrCtlSSB                      // leave speculative store bypass alone: 0 or 1
	AttrCtlOptimize                 // 1: by priority, 2: a binary tree
	AttrAPISysRawRC                 // return the system's own errno: 0 or 1
	AttrCtlWaitKill                 // a notified call can only be killed: 0 or 1
)

// Attr is an attribute's value (seccomp_attr_get).
func (b *Builder) Attr(a Attr) (uint32, error) {
	if a < AttrActDefault || a > AttrCtlWaitKill {
		return 0, fmt.Errorf("%d is not an attribute: %w", a, ErrInvalid)
	}
	return b.state.attrs[a], nil
}

// SetAttr sets an attribute (seccomp_attr_set); flags are true for every value but 0.
func (b *Builder) SetAttr(a Attr, value uint32) error {
	switch a {
	case AttrActDefault:
		return fmt.Errorf("the default action is set by New and Reset only: %w", ErrAccess)
	case AttrActBadArch:
		if err := validAction(bpf.Action(value)); err != nil {
			return err
		}
	case AttrCtlOptimize:
		if value != 1 && value != 2 {
			return fmt.Errorf("optimization %d: 1 and 2 are known: %w", value, ErrUnsupported)
		}
	case AttrAPITSkip:
		if value != 0 {
			return fmt.Errorf("rules for the number -1 cannot be said in a policy: %w", ErrUnsupported)
		}
	case AttrCtlNNP, AttrCtlTSync, AttrCtlLog, AttrCtlSSB, AttrAPISysRawRC, AttrCtlWaitKill:
		value = min(value, 1)
	default:
		return fmt.Errorf("%d is not an attribute: %w", a, ErrInvalid)
	}
	b.state.attrs[a] = value
	return nil
}
