package learn

import (
	"slices"

	"monban/abi"
	"monban/inspect"
	"monban/policy"
	"monban/policy/lang"
	"monban/scan"
)

// Scan is the gate of a scan: what can be reached is allowed.
func Scan(r *scan.Result, o Options) *lang.File {
	f := &lang.File{Name: "the scan"}
	f.Add(&lang.Header{Word: "arch", Args: lang.Archs([]abi.Arch{r.Arch})}, lang.HeadAction("default", o.other()))
	reachable := names(r)
	byPurpose(f, nil, allow, reachable)
	for _, e := range o.Extra {
		var lines []lang.Line
		lacking := slices.DeleteFunc(slices.Clone(e.Calls), func(c string) bool { return slices.Contains(reachable, c) })
		for some := range slices.Chunk(lacking, perLine) {
			items := lang.Calls(some...)
			items[0].Optional = true
			lines = append(lines, &lang.Rules{Do: lang.Act(allow), Items: items})
		}
		if lines != nil {
			f.Section(e.Why, lines...)
		}
	}
	return f
}

// names are the calls of a scan that have names.
func names(r *scan.Result) (names []string) {
	for _, c := range r.Calls {
		if c.Name != "" {
			names = append(names, c.Name)
		}
	}
	return names
}

// byPurpose adds rules for calls, by what calls are for.
func byPurpose(f *lang.File, on []abi.Arch, do policy.Action, calls []string) {
	sorted := map[string][]string{}
	for _, c := range calls {
		p := inspect.Purpose(c)
		sorted[p] = append(sorted[p], c)
	}
	for _, p := range inspect.Purposes() {
		var lines []lang.Line
		for some := range slices.Chunk(sorted[p], perLine) {
			lines = append(lines, &lang.Rules{On: lang.Archs(on), Do: lang.Act(do), Items: lang.Calls(some...)})
		}
		if lines != nil {
			f.Section(p, lines...)
		}
	}
}
