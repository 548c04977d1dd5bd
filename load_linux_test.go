package monban

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadEnds(t *testing.T) {
	if _, err := Load(os.DevNull+"/none", Options{}); err == nil {
		t.Error("what cannot be opened was loaded")
	}
	if _, err := Load("/dev/zero", Options{}); err == nil || !strings.Contains(err.Error(), "it is a device, not a regular file") {
		t.Errorf("/dev/zero: %v", err)
	}
	file := filepath.Join(t.TempDir(), "a.gate")
	if err := os.WriteFile(file, []byte("include \"/dev/zero\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file, Options{}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("an include of /dev/zero: %v", err)
	}
}
