package format

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"monban/abi"
	"monban/policy/lang"
)

// Options that say nothing are for the running machine, in every format: as the package's own comment shows it.
func TestZeroOptions(t *testing.T) {
	native := abi.X86_64 // where Linux has none such
	if a, err := abi.ParseArch(runtime.GOARCH); err == nil {
		native = a
	}
	files := map[string]string{
		"t.gate":    "default errno(EPERM)\nallow read write\n",
		"a.gate":    "arch native compat\ndefault errno(EPERM)\nallow read write\n",
		"t.json":    `{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}`,
		"t.policy":  "read: 1\nwrite: 1\n",
		"t.strace":  "read(3, \"\", 1) = 0\nexit_group(0) = ?\n+++ exited with 0 +++\n",
		"t.service": "[Service]\nExecStart=/bin/true\nSystemCallFilter=read write\n",
		"t.kafel":   "POLICY a { ALLOW { read, write } }\nUSE a DEFAULT KILL\n",
		"t.fc":      `{"main": {"default_action": "trap", "filter_action": "allow", "filter": [{"syscall": "read"}]}}`,
		"t.yaml": "apiVersion: security-profiles-operator.x-k8s.io/v1beta1\nkind: SeccompProfile\nmetadata: {name: t}\n" +
			"spec:\n  defaultAction: SCMP_ACT_ERRNO\n  syscalls:\n  - names: [read]\n    action: SCMP_ACT_ALLOW\n",
	}
	prefix := map[string]string{"t.kafel": "kafel:", "t.fc": "firecracker:", "t.policy": "minijail:", "t.strace": "strace:", "t.service": "systemd:"}
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		g, err := Read(prefix[name]+file, Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if g.Policy == nil || len(g.Policy.Archs) == 0 || g.Policy.Archs[0] != native {
			t.Errorf("%s is for %v, want %v first", name, g.Policy.Archs, native)
		}
		same, err := Read(prefix[name]+file, Options{Native: native})
		if err != nil || lang.Print(same.Policy) != lang.Print(g.Policy) {
			t.Errorf("%s: %v\n%s\nand for %v by name\n%s", name, err, lang.Print(g.Policy), native, lang.Print(same.Policy))
		}
	}
	if g, err := Read("@container", Options{}); err != nil || g.Policy.Archs[0] != native {
		t.Errorf("@container: %v", err)
	}
}
