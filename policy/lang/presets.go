package lang

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"monban/internal/nearest"

	"monban/policy"
)

//go:embed presets/*.gate
var presetFiles embed.FS

// Presets are the names of the policies that come with Monban, such as @container, sorted.
func Presets() []string {
	entries, err := presetFiles.ReadDir("presets")
	if err != nil {
		panic(err) // the directory is embedded
	}
	var names []string
	for _, e := range entries {
		names = append(names, "@"+strings.TrimSuffix(e.Name(), ".gate"))
	}
	slices.Sort(names)
	return names
}

// PresetSource is a preset's text.
func PresetSource(name string) ([]byte, error) { return presetSource(name) }

func presetSource(name string) ([]byte, error) {
	src, err := presetFiles.ReadFile("presets/" + strings.TrimPrefix(name, "@") + ".gate")
	if err != nil || !strings.HasPrefix(name, "@") {
		return nil, fmt.Errorf("unknown preset %s%s", name, presetHint(name))
	}
	return src, nil
}

func presetHint(name string) string {
	if hint := nearest.Hint(name, Presets()); hint != "" {
		return hint
	}
	return " (there are " + strings.Join(Presets(), ", ") + ")"
}

// LoadPreset resolves a policy that comes with Monban.
func LoadPreset(name string, o Options) (*policy.Policy, error) {
	src, err := presetSource(name)
	if err != nil {
		return nil, err
	}
	f, err := Parse(name, src)
	if err != nil {
		return nil, err
	}
	f.preset = true
	return f.resolve(o) // what Check would find in a preset, its tests have found
}
