package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"monban/internal/plain"
	"monban/seccomp"
)

func doctorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "what this kernel can do",
		Long:    "Doctor tries each thing that Monban can use, for real, and says what works here and what does not.",
		Example: "  monban doctor",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			features := seccomp.Features()
			w := cmd.OutOrStdout()
			if asJSON {
				type feature struct {
					Name   string `json:"name"`
					OK     bool   `json:"ok"`
					Since  string `json:"since,omitempty"`
					Detail string `json:"detail,omitempty"`
					Error  string `json:"error,omitempty"`
				}
				out := []feature{}
				for _, f := range features {
					e := feature{string(f.Feature), f.Err == nil, f.Since, f.Detail, ""}
					if f.Err != nil {
						e.Error = f.Err.Error()
					}
					out = append(out, e)
				}
				return printJSON(w, "doctor/1", map[string]any{"features": out})
			}
			for _, f := range features {
				mark, what := styled(w, green, "yes"), f.Detail
				if f.Err != nil {
					mark, what = styled(w, red, "no "), f.Err.Error()
				}
				since := ""
				if f.Since != "" {
					since = "Linux " + f.Since
				}
				plain.Paragraph(w, strings.Repeat(" ", 44), "%s  %-24s %-13s %s", mark, f.Feature, since, what)
			}
			plain.Fprintf(w, "\n")
			plain.Fprintf(w, "%s\n", advice(features))
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// advice is what follows from the features for monban run.
func advice(features []seccomp.Support) string {
	lacks := map[seccomp.Feature]error{}
	for _, f := range features {
		lacks[f.Feature] = f.Err
	}
	ptrace := lacks[seccomp.FeaturePtrace]
	switch filters, tried := lacks[seccomp.FeatureFilterMode]; {
	case filters != nil || !tried:
		return "No program can be put behind a gate here; explain, ask, diff and compile work all the same."
	case errors.Is(ptrace, errors.ErrUnsupported):
		return "monban run needs --allow-exec here, with gates that allow execve: controlling a program is built for amd64 and arm64."
	case ptrace != nil:
		return "monban run needs --allow-exec here, with gates that allow execve: ptrace is refused."
	}
	return "monban run works here: try  monban run -- ls"
}
