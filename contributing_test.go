package monban_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The recipes of CONTRIBUTING.md change three files at most by hand, and those are there.
func TestRecipes(t *testing.T) {
	_, recipes, _ := strings.Cut(read(t, "CONTRIBUTING.md"), "\n## Recipes\n")
	all := strings.Split(recipes, "\n### ")[1:]
	if len(all) != 5 {
		t.Errorf("%d recipes", len(all))
	}
	step := regexp.MustCompile(`(?m)^(\d+)\. (.*)$`)
	file := regexp.MustCompile("`([a-z/_]+\\.(?:go|csv|txt|md))`")
	for _, text := range all {
		name, _, _ := strings.Cut(text, "\n")
		steps := step.FindAllStringSubmatch(text, -1)
		if len(steps) == 0 || len(steps) > 3 || steps[len(steps)-1][1] != string(rune('0'+len(steps))) {
			t.Errorf("%s: %d steps", name, len(steps))
		}
		for _, s := range steps {
			for _, m := range file.FindAllStringSubmatch(s[2], -1) {
				if _, err := os.Stat(m[1]); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
}
