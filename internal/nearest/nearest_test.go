package nearest

import "testing"

func TestWord(t *testing.T) {
	names := []string{"AF_INET", "AF_INET6", "AF_UNIX", "openat", "openat2", "read"}
	for word, want := range map[string]string{
		"AF_INTE": "AF_INET", "af_unix": "AF_UNIX", "opneat": "openat", "openat3": "openat", "raed": "read",
		"AF_INET6": "", "": "", "x": "", "zzzzzz": "", "sendfile": "",
	} {
		if got := Word(word, names); got != want {
			t.Errorf("Word(%q) = %q, want %q", word, got, want)
		}
		hint := ""
		if want != "" {
			hint = " (did you mean " + want + "?)"
		}
		if got := Hint(word, names); got != hint {
			t.Errorf("Hint(%q) = %q, want %q", word, got, hint)
		}
	}
}
