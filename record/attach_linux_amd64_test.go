package record

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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

// Where a container's control group is, by the names that engines give it.
func TestContainer(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{
		"system.slice/docker-0123456789ab.scope/init", "machine.slice/libpod-1123456789ab.scope", "kubepods/pod1/cri-containerd-2123456789ab.scope",
		"kubepods/pod1/crio-3123456789ab.scope", "docker/4123456789ab", "user.slice/51234567.scope", "user.slice/51234568.scope",
		"cpu/docker/6123456789ab", "memory/docker/6123456789ab",
	} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "7123456789ab"), nil, 0o600); err != nil { // not a group
		t.Fatal(err)
	}
	for id, want := range map[string]string{
		"012345": "system.slice/docker-0123456789ab.scope", "1123456789ab": "machine.slice/libpod-1123456789ab.scope",
		"212345": "kubepods/pod1/cri-containerd-2123456789ab.scope", "312345": "kubepods/pod1/crio-3123456789ab.scope", "412345": "docker/4123456789ab",
		"51234568": "user.slice/51234568.scope", "612345": "cpu/docker/6123456789ab",
	} {
		if got, err := containerBelow(root, id); err != nil || got != filepath.Join(root, want) {
			t.Errorf("%s: %s, %v", id, got, err)
		}
	}
	var several *GroupsError
	if _, err := containerBelow(root, "512345"); !errors.As(err, &several) || several.Container != "512345" || len(several.Groups) != 2 {
		t.Errorf("two: %v", err)
	}
	for id, want := range map[string]string{"01234": `"01234" is not a container ID: give 6 characters of it at least`, "712345": "belongs to a container 712345", "docker-": "belongs to"} {
		if got, err := containerBelow(root, id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s, %v", id, got, err)
		}
	}
}

// The processes of a control group, and of those below it.
func TestMembers(t *testing.T) {
	root := t.TempDir()
	for dir, procs := range map[string]string{"a": "12\n", "a/b": "13\n14\n0\n", "a/threaded": "", "c": ""} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if dir == "a/threaded" {
			continue
		}
		if err := os.WriteFile(filepath.Join(root, dir, "cgroup.procs"), []byte(procs), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := members(filepath.Join(root, "a"))
	if slices.Sort(got); err != nil || !slices.Equal(got, []int{12, 13, 14}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := members(filepath.Join(root, "c")); err == nil || !strings.Contains(err.Error(), "no process is in this control group") {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := Cgroup("no such group"); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "/sys/fs/cgroup/no such group") {
		t.Errorf("%v, %v", got, err)
	}
}
