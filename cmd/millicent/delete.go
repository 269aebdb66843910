package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func (c *cli) deleteCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "delete NAME...",
		Aliases: []string{"rm"},
		Short:   "Delete functions, with all their versions and URLs",
		Long: `Delete functions, with all their versions and URLs. On a terminal it asks
first.`,
		Example:           "  millicent delete hello\n  millicent delete hello world --yes",
		Args:              wantArgs(1, -1, "at least one function NAME"),
		ValidArgsFunction: c.completeFunctions,
		RunE:              func(cmd *cobra.Command, args []string) error { return c.delete(cmd.Context(), args, yes) },
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func (c *cli) delete(ctx context.Context, names []string, yes bool) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := api.Function(ctx, name); err != nil {
			return err // before anything is deleted
		}
	}
	if !yes && isTerminal(c.in) && !c.confirm("Delete "+strings.Join(names, ", ")+"?") {
		return fmt.Errorf("nothing deleted")
	}
	for _, name := range names {
		if err := api.Delete(ctx, name); err != nil {
			return fmt.Errorf("delete %s: %w", name, err)
		}
		fmt.Fprintln(c.err, "deleted", printable(name))
	}
	return nil
}

// confirm asks a question; all but yes is no.
func (c *cli) confirm(question string) bool {
	fmt.Fprintf(c.err, "%s [y/N] ", question)
	line, err := bufio.NewReader(c.in).ReadString('\n')
	if err != nil {
		return false
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes"
}
