package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (c *cli) runtimesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "runtimes",
		Short: "List the language runtimes, and what serves them",
		Long: `List the language runtimes that the server knows, and the interpreter on its
machine that serves each. A version that is not installed is served by the
nearest one of the same language, unless the server runs with
--strict-runtimes.`,
		Example: "  millicent runtimes\n  millicent runtimes --json | jq -r '.[] | select(.exact).name'",
		Args:    wantArgs(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			runtimes, err := api.Runtimes(cmd.Context())
			if err != nil {
				return err
			}
			if c.json {
				return printJSON(c.out, runtimes)
			}
			var rows [][]string
			for _, r := range runtimes {
				note := r.Note
				if note == "" && r.Interpreter != "" && !r.Exact {
					note = fmt.Sprintf("served by %s", r.Version)
				}
				switch {
				case familyOf(r.Name) == "provided":
					r.Interpreter = "the package's bootstrap"
				case r.Interpreter == "":
					r.Interpreter = "-"
				}
				rows = append(rows, []string{r.Name, r.Interpreter, r.Version, note})
			}
			return printTable(c.out, []string{"RUNTIME", "INTERPRETER", "VERSION", "NOTE"}, rows, func(string) colour { return yellow })
		},
	}
	c.jsonFlag(cmd)
	return cmd
}
