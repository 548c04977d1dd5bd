package report

import (
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"monban/gate"
	"monban/lint"
)

// The parts of SARIF 2.1.0 (docs.oasis-open.org/sarif) that a list of findings needs.
type (
	sarifText struct {
		Text string `json:"text"`
	}
	sarifRule struct {
		ID      string         `json:"id"`
		Name    string         `json:"name"`
		Short   sarifText      `json:"shortDescription"`
		Full    sarifText      `json:"fullDescription"`
		Help    sarifText      `json:"help"`
		HelpURI string         `json:"helpUri,omitempty"`
		Default map[string]any `json:"defaultConfiguration"`
	}
	sarifPlace struct {
		Physical struct {
			Artifact struct {
				URI string `json:"uri"`
			} `json:"artifactLocation"`
			Region *sarifRegion `json:"region,omitempty"`
		} `json:"physicalLocation"`
	}
	sarifRegion struct {
		Line   int `json:"startLine"`
		Column int `json:"startColumn,omitempty"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Justification string `json:"justification"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifPlace       `json:"locations"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
		Fixes        []sarifFix         `json:"fixes,omitempty"`
	}
)

var sarifLevel = map[lint.Severity]string{lint.High: "error", lint.Medium: "warning", lint.Low: "note", lint.Advice: "note"}

// FindingsSARIF writes findings in SARIF 2.1.0, as code forges take it.
func FindingsSARIF(w io.Writer, all []Findings) error {
	rules := []sarifRule{}
	for e := range lint.Checks() {
		r := sarifRule{ID: e.ID, Name: e.Name, Short: sarifText{e.Title}, Full: sarifText{e.Why}, Help: sarifText{e.Fix},
			Default: map[string]any{"level": sarifLevel[e.Severity]}}
		for word := range strings.FieldsSeq(e.Reference) {
			if strings.HasPrefix(word, "https:") {
				r.HelpURI = strings.TrimSuffix(word, ",")
			}
		}
		rules = append(rules, r)
	}
	results := []sarifResult{}
	for i := range all {
		g := all[i].Gate
		shown, _ := all[i].shown()
		for i := range shown {
			results = append(results, sarifOf(g, &shown[i]))
		}
		for _, ignored := range all[i].Ignored {
			r := sarifOf(g, &ignored.Finding)
			r.Suppressions = []sarifSuppression{{"inSource", ignored.Reason}}
			results = append(results, r)
		}
	}
	text, err := jsonText(map[string]any{
		"version": "2.1.0",
		"$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
		"runs": []any{map[string]any{
			"tool":    map[string]any{"driver": map[string]any{"name": "monban", "rules": rules}},
			"results": results,
		}},
	})
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

func sarifOf(g *gate.Gate, f *lint.Finding) sarifResult {
	message := f.Title + ". " + f.Why + ". Witness: " + Witness(f) + ". Fix: " + f.Fix
	// Two brackets make a link of a message's words.
	r := sarifResult{RuleID: f.ID, Level: sarifLevel[f.Severity], Message: sarifText{strings.ReplaceAll(message, "](", `]\(`)}}
	var at sarifPlace
	at.Physical.Artifact.URI = uri(g.Name)
	if f.Pos.Line > 0 {
		at.Physical.Artifact.URI = uri(f.Pos.File)
		at.Physical.Region = &sarifRegion{f.Pos.Line, f.Pos.Col}
	}
	r.Locations = []sarifPlace{at}
	r.Fixes = sarifFixes(g, f)
	return r
}

// uri is a file's name as a relative reference (RFC 3986).
func uri(file string) string { return (&url.URL{Path: filepath.ToSlash(file)}).String() }
