package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"monban/seccomp"
)

func doctorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "what this kernel can do",
		Long:  "Doctor tries each thing that Monban can use, for real, and says what works here and what does not.",
		Args:  cobra.NoArgs,
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
					e := feature{f.Name, f.OK, f.Since, f.Detail, ""}
					if f.Err != nil {
						e.Error = f.Err.Error()
					}
					out = append(out, e)
				}
				return printJSON(w, out)
			}
			for _, f := range features {
				mark, what := styled(w, green, "yes"), f.Detail
				if !f.OK {
					mark = styled(w, red, "no ")
					if f.Err != nil {
						what = f.Err.Error()
					}
				}
				since := ""
				if f.Since != "" {
					since = "Linux " + f.Since
				}
				fmt.Fprintf(w, "%s  %-28s %-12s %s\n", mark, f.Name, since, what)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
