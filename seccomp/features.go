package seccomp

import (
	"errors"
	"fmt"

	"monban/bpf"
)

// A Feature is something that a kernel may offer to this process or not; its text is its name.
type Feature string

// The features. Those of actions have [ActionFeature].
const (
	FeatureFilterMode        Feature = "filter mode"
	FeatureStrictMode        Feature = "strict mode" // of a started program, as sandbox.Command enters it
	FeatureNoNewPrivs        Feature = "no_new_privs"
	FeatureUnprivileged      Feature = "unprivileged install"
	FeatureTSYNC             Feature = "flag TSYNC"
	FeatureLOG               Feature = "flag LOG"
	FeatureSpecAllow         Feature = "flag SPEC_ALLOW"
	FeatureNewListener       Feature = "flag NEW_LISTENER"
	FeatureTSYNCErrno        Feature = "flag TSYNC_ESRCH"
	FeatureWaitKillableRecv  Feature = "flag WAIT_KILLABLE_RECV"
	FeatureNotificationSizes Feature = "notification sizes"
	FeatureAddFD             Feature = "add descriptors"
	FeatureReturnFD          Feature = "add and answer"
	FeatureSyncWakeUp        Feature = "synchronous wake-up"
	FeaturePtrace            Feature = "ptrace" // control of a started program, not only its trace
	FeatureDump              Feature = "dump of filters"
	FeatureI386Calls         Feature = "i386 calls" // on amd64
	FeatureX32Calls          Feature = "x32 calls"  // on amd64
	FeatureUserNamespaces    Feature = "user namespaces"
	FeatureLandlock          Feature = "Landlock"
	FeatureLoggedActions     Feature = "logged actions"
	FeatureBPFCompiler       Feature = "BPF compiler"
)

// ActionFeature is that the kernel knows an action.
func ActionFeature(a bpf.Action) Feature { return Feature("action " + a.Name()) }

// A Support is what a probe has said of a feature.
type Support struct {
	Feature Feature
	Detail  string // what the probe saw, or what the feature is for
	Since   string // the Linux release that introduced it, "" where that means nothing
	Err     error  // why there is none; nil if there is
}

// A MissingError says that a feature is not to be had; errors.Is(err, errors.ErrUnsupported) holds for it.
type MissingError struct {
	Feature Feature
	Since   string // the Linux release that it takes, "" where that means nothing
	Needs   string // what else it takes: a setting, a privilege; "" if nothing
	Err     error  // what the probe got
}

func (e *MissingError) Error() string {
	text := fmt.Sprintf("there is no %s here: %v", e.Feature, e.Err)
	switch {
	case e.Since != "" && e.Needs != "":
		text += fmt.Sprintf(" (it takes Linux %s and %s)", e.Since, e.Needs)
	case e.Since != "":
		text += fmt.Sprintf(" (it takes Linux %s)", e.Since)
	case e.Needs != "":
		text += fmt.Sprintf(" (it takes %s)", e.Needs)
	}
	return text
}

// Unwrap returns what the probe got and errors.ErrUnsupported.
func (e *MissingError) Unwrap() []error { return []error{e.Err, errors.ErrUnsupported} }
