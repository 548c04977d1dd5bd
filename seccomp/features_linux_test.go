package seccomp

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/sys"
)

func init() {
	// Behind a filter that says yes to whatever seccomp(2) is asked, and no to it.
	deeds["faked features"] = func() {
		for _, errno := range []unix.Errno{0, unix.EOPNOTSUPP} {
			_, _ = onThread(func() error {
				check(NoNewPrivs())
				check(Install(bpf.Program{
					{Code: bpf.LD | bpf.W | bpf.ABS, K: bpf.OffsetNr},
					{Code: bpf.JMP | bpf.JEQ | bpf.K, Jf: 1, K: unix.SYS_SECCOMP},
					{Code: bpf.RET | bpf.K, K: uint32(bpf.Errno) | uint32(errno)},
					{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)},
				}, 0))
				_, filter := tryFilterMode()
				_, sizes := tryNotificationSizes()
				report(fmt.Sprint(int(errno)), filter != nil && tryAction(bpf.Log) != nil && sizes != nil)
				return nil
			})()
		}
	}
	// The answer of the first question stays: this process gives up seccomp(2) after it.
	deeds["have"] = func() {
		report("before", Have(FeatureTSYNC))
		check(NoNewPrivs())
		check(Install(bpf.Program{
			{Code: bpf.LD | bpf.W | bpf.ABS, K: bpf.OffsetNr},
			{Code: bpf.JMP | bpf.JEQ | bpf.K, Jf: 1, K: unix.SYS_SECCOMP},
			{Code: bpf.RET | bpf.K, K: uint32(bpf.Errno) | uint32(unix.EPERM)},
			{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)},
		}, TSYNC))
		report("cached", Have(FeatureTSYNC))
		report("fresh", Have(FeatureLOG))
	}
}

func TestHave(t *testing.T) {
	seen := map[Feature]bool{}
	for _, s := range Features() {
		if seen[s.Feature] {
			t.Errorf("%s is probed twice", s.Feature)
		}
		seen[s.Feature] = true
		for range 2 {
			err := Have(s.Feature)
			missing, ok := errors.AsType[*MissingError](err)
			switch {
			case (err == nil) != (s.Err == nil):
				t.Errorf("%s: %v, and Features says %v", s.Feature, err, s.Err)
			case err == nil:
			case !ok || !errors.Is(err, errors.ErrUnsupported) || missing.Feature != s.Feature || missing.Since != s.Since || missing.Err.Error() != s.Err.Error():
				t.Errorf("%s: %#v", s.Feature, err)
			}
		}
	}
	for _, f := range []Feature{
		FeatureFilterMode, FeatureStrictMode, FeatureNoNewPrivs, FeatureUnprivileged, FeatureTSYNC, FeatureLOG, FeatureSpecAllow, FeatureNewListener,
		FeatureTSYNCErrno, FeatureWaitKillableRecv, FeatureNotificationSizes, FeatureAddFD, FeatureReturnFD, FeatureSyncWakeUp, FeaturePtrace,
		FeatureDump, FeatureUserNamespaces, FeatureLandlock, FeatureLoggedActions, FeatureBPFCompiler, ActionFeature(bpf.Log | 7),
	} {
		if !seen[f] {
			t.Errorf("%s has no probe", f)
		}
	}
	if err := Have("time travel"); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "time travel") {
		t.Error(err)
	}
}

func TestHaveOnce(t *testing.T) {
	got := deed(t, "have")
	want := "before: <nil>\ncached: <nil>\nfresh: there is no flag LOG here: operation not permitted (it takes Linux 4.14)\n"
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestFakedFeatures(t *testing.T) {
	if got := deed(t, "faked features"); got != "0: true\n95: true\n" {
		t.Error(got)
	}
}

func TestMissingError(t *testing.T) {
	for _, c := range []struct {
		err  MissingError
		want string
	}{
		{MissingError{"x", "5.9", "", unix.EINVAL}, "there is no x here: invalid argument (it takes Linux 5.9)"},
		{MissingError{"x", "5.9", "root", unix.EACCES}, "there is no x here: permission denied (it takes Linux 5.9 and root)"},
		{MissingError{"x", "", "root", unix.EACCES}, "there is no x here: permission denied (it takes root)"},
		{MissingError{"x", "", "", sys.ErrAnswered}, "there is no x here: a filter answers in the kernel's place"},
	} {
		if got := c.err.Error(); got != c.want || !errors.Is(&c.err, c.err.Err) || !errors.Is(&c.err, errors.ErrUnsupported) {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// What tells of a moment is asked again.
func TestPassing(t *testing.T) {
	for err, want := range map[error]bool{nil: false, unix.EINVAL: false, unix.EPERM: false, fmt.Errorf("fork: %w", unix.EAGAIN): true, unix.EMFILE: true} {
		if passing(err) != want {
			t.Errorf("%v", err)
		}
	}
}
