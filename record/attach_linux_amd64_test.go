package record

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// A program's name, which it chooses, does not make it somebody else's child.
func TestTree(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skipf("needs sleep: %v", err)
	}
	program, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"plain", "x) S 1 2"} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, program, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(file, "60")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { cmd.Process.Kill(); cmd.Wait() }()
		tree, err := Tree(os.Getpid())
		if err != nil || tree[0] != os.Getpid() || !slices.Contains(tree, cmd.Process.Pid) {
			t.Errorf("%q is not in the tree of its parent: %v, %v", name, tree, err)
		}
	}
}
