package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/client"
)

func (c *cli) listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the functions",
		Example: "  millicent list\n  millicent list --json | jq -r '.[].FunctionName'",
		Args:    wantArgs(0, 0, "no arguments"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.list(cmd.Context()) },
	}
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) list(ctx context.Context) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	functions, err := api.Functions(ctx)
	if err != nil {
		return err
	}
	if c.json {
		if functions == nil {
			functions = []client.Configuration{}
		}
		return printJSON(c.out, functions)
	}
	if len(functions) == 0 {
		_, err := fmt.Fprintln(c.err, "no functions yet: `millicent deploy DIR` makes one")
		return err
	}
	provisioned, err := api.Provisioned(ctx)
	if err != nil {
		return err
	}
	cells := provisionedCells(provisioned)
	head := []string{"NAME", "RUNTIME", "HANDLER", "MEMORY", "TIMEOUT", "CODE", "MODIFIED", "PROVISIONED", "STATE"}
	rows := make([][]string, 0, len(functions))
	for _, f := range functions {
		rows = append(rows, []string{
			f.FunctionName, f.Runtime, f.Handler, fmt.Sprintf("%d MB", f.MemorySize), fmt.Sprintf("%d s", f.Timeout),
			size(f.CodeSize), modified(f.LastModified), cells[f.FunctionName], state(f),
		})
	}
	if len(cells) == 0 {
		head, rows = without(head, rows, slices.Index(head, "PROVISIONED"))
	}
	return printTable(c.out, head, rows, stateColour)
}

// without returns a table without a column.
func without(head []string, rows [][]string, column int) ([]string, [][]string) {
	for i := range rows {
		rows[i] = slices.Delete(rows[i], column, column+1)
	}
	return slices.Delete(head, column, column+1), rows
}

// state returns a function's state. The list leaves it out, as Lambda's does,
// of functions that are ready.
func state(f client.Configuration) string {
	switch {
	case f.LastUpdateStatus == millicent.UpdateFailed:
		return "UpdateFailed"
	case f.State == "":
		return millicent.StateActive
	}
	return f.State
}

func stateColour(state string) colour {
	switch state {
	case millicent.StateActive:
		return green
	case millicent.StatePending:
		return yellow
	}
	return red
}

// modified writes a time of the Lambda API for people.
func modified(s string) string {
	t, err := time.Parse("2006-01-02T15:04:05.000-0700", s)
	if err != nil {
		return s
	}
	return t.Local().Format("2006-01-02 15:04")
}

// completeFunctions completes the names of functions, where a server answers
// soon.
func (c *cli) completeFunctions(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	none := cobra.ShellCompDirectiveNoFileComp
	if len(args) > 0 && cmd.Name() != "delete" {
		return nil, none
	}
	api, err := c.client()
	if err != nil {
		return nil, none
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	functions, err := api.Functions(ctx)
	if err != nil {
		return nil, none
	}
	var names []string
	for _, f := range functions {
		if strings.HasPrefix(f.FunctionName, prefix) {
			names = append(names, f.FunctionName)
		}
	}
	return names, none
}
