package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/client"
)

func (c *cli) budgetCommand() *cobra.Command {
	var account, data string
	cmd := &cobra.Command{
		Use:   "budget",
		Short: "Set, list, show and delete budgets",
		Long: `Set, list, show and delete budgets: what a function, alias, tag, access key or
the whole account may spend in an hour, a day, a month or in all.

A budget that stops is never exceeded: before an invocation runs, the most that
it can cost is reserved, and what it did not need is given back at its end.
Callers are answered 429 TooManyRequestsException then, which costs nothing;
asynchronous events wait for the next period.

With --data, the data directory of a server on this machine, budgets are the
operator's, for any --account: its tenant sees them, and cannot change them.`,
		Example: `  millicent budget set hello 5 cents/day --stop
  millicent budget set --tenant 20/month --warn 50%,80%,100% --webhook https://example.com/hook
  millicent budget list
  millicent budget show hello
  millicent budget delete hello
  millicent budget set --data ./data --account 123456789012 --tenant 20/month --stop`,
		Args: unknownCommand,
		PersistentPreRun: func(*cobra.Command, []string) {
			if data != "" {
				c.endpoint = "unix:" + filepath.Join(data, adminSocket)
			}
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&data, "data", "", "data `directory` of a server on this machine: act as its operator")
	cmd.PersistentFlags().StringVar(&account, "account", "", "account `id` that it is about, with --data (default the server's)")
	cmd.AddCommand(c.budgetSetCommand(&account), c.budgetListCommand(&account), c.budgetShowCommand(&account),
		c.budgetDeleteCommand(&account), c.budgetResumeCommand(&account), c.budgetStormsCommand(&account))
	return cmd
}

func (c *cli) budgetListCommand(account *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List budgets, with what is spent and left of them",
		Example: "  millicent budget list\n  millicent budget list --json",
		Args:    wantArgs(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := c.budgets(cmd.Context(), *account, "")
			if err != nil {
				return err
			}
			if c.json {
				return printJSON(c.out, all)
			}
			if len(all.Budgets) == 0 {
				_, err := fmt.Fprintln(c.err, "no budgets")
				return err
			}
			var rows [][]string
			for _, b := range all.Budgets {
				rows = append(rows, []string{b.ID, b.Amount.String(), b.Spent.String(), b.Reserved.String(), b.Left.String(), when(b.Resumes), b.State})
			}
			currency, err := c.currency(cmd.Context())
			if err != nil {
				return err
			}
			return printTable(c.out, []string{"BUDGET", "AMOUNT" + currency, "SPENT", "RESERVED", "LEFT", "RESUMES", "STATE"}, rows, budgetColour)
		},
	}
	c.jsonFlag(cmd)
	return cmd
}

// currency returns the currency of the prices in force, and so of the budgets,
// after a space; empty where there is no price book.
func (c *cli) currency(ctx context.Context) (string, error) {
	api, err := c.client()
	if err != nil {
		return "", err
	}
	books, err := api.PriceBooks(ctx)
	for _, b := range books {
		if b.InForce {
			return " " + b.Currency, nil
		}
	}
	return "", err
}

func budgetColour(state string) colour {
	switch state {
	case millicent.BudgetOpen:
		return green
	case millicent.BudgetStopped:
		return red
	}
	return yellow
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

// budgets returns the budgets of an account: those of an ID or about a
// function, or all.
func (c *cli) budgets(ctx context.Context, account, name string) (client.Budgets, error) {
	api, err := c.client()
	if err != nil {
		return client.Budgets{}, err
	}
	all, err := api.Budgets(ctx, account)
	if err != nil || name == "" {
		return all, err
	}
	var found client.Budgets
	function, alias, _ := strings.Cut(name, ":")
	for _, b := range all.Budgets {
		if b.ID == name || b.Scope.Function == function && (alias == "" || b.Scope.Alias == alias) {
			found.Budgets = append(found.Budgets, b)
		}
	}
	for _, s := range all.Storms {
		if s.Function == function {
			found.Storms = append(found.Storms, s)
		}
	}
	if len(found.Budgets) == 0 {
		return found, fmt.Errorf("there is no budget %s (see `millicent budget list`)", name)
	}
	return found, nil
}

func (c *cli) budgetShowCommand(account *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "show NAME[:ALIAS] | BUDGET",
		Short:             "Show the budgets of a function, or one by its name in the list",
		Example:           "  millicent budget show hello\n  millicent budget show tenant/month",
		Args:              wantArgs(1, 1, "a function NAME, or a BUDGET as in `millicent budget list`"),
		ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := c.budgets(cmd.Context(), *account, args[0])
			if err != nil {
				return err
			}
			if c.json {
				return printJSON(c.out, found)
			}
			currency, err := c.currency(cmd.Context())
			if err != nil {
				return err
			}
			for _, b := range found.Budgets {
				c.printBudget(&b, currency)
			}
			return c.printStorms(found.Storms)
		},
	}
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) printBudget(b *millicent.BudgetStatus, currency string) {
	fmt.Fprintf(c.out, "%s: %s\n", printable(b.ID), paint(c.out, budgetColour(b.State), b.State))
	lines := [][2]string{
		{"amount", b.Amount.String() + currency},
		{"spent", fmt.Sprintf("%v (%d%%)", b.Spent, b.Percent(b.Spent))},
		{"reserved", fmt.Sprintf("%v by %d running", b.Reserved, b.Running)},
		{"left", b.Left.String()},
		{"refused", fmt.Sprint(b.Refused)},
	}
	if !b.To.IsZero() {
		lines = append(lines, [2]string{"period", when(b.From) + " to " + when(b.To) + b.To.Local().Format(" MST")})
	}
	if !b.Resumes.IsZero() {
		lines = append(lines, [2]string{"resumes", when(b.Resumes)})
	}
	lines = append(lines, [2]string{"then", strings.Join(actions(&b.Budget), ", ")}, [2]string{"set by", string(b.Owner)})
	for _, l := range lines {
		fmt.Fprintf(c.out, "  %-9s %s\n", l[0], printable(l[1]))
	}
}

// actions returns what a budget does.
func actions(b *millicent.Budget) (all []string) {
	for _, percent := range b.Warn {
		all = append(all, fmt.Sprintf("warns at %d%%", percent))
	}
	if b.Webhook != "" {
		all = append(all, "tells "+b.Webhook)
	}
	if b.Notify != "" {
		all = append(all, "tells the function "+b.Notify)
	}
	if t := b.Throttle; t != nil {
		all = append(all, fmt.Sprintf("throttles to %g/s at %d%%", t.Rate, t.At))
	}
	if b.Stop {
		all = append(all, "stops")
	}
	if b.EndEvents {
		all = append(all, "ends events")
	}
	if b.Breaker {
		all = append(all, "pauses in storms")
	}
	if len(all) == 0 {
		return []string{"only counts"}
	}
	return all
}

func (c *cli) budgetDeleteCommand(account *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "delete NAME[:ALIAS] | BUDGET",
		Aliases:           []string{"rm"},
		Short:             "Delete a function's budget, or one by its name in the list",
		Example:           "  millicent budget delete hello\n  millicent budget delete tenant/month",
		Args:              wantArgs(1, 1, "a function NAME, or a BUDGET as in `millicent budget list`"),
		ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := c.budgets(cmd.Context(), *account, args[0])
			if err != nil {
				return err
			}
			if len(found.Budgets) > 1 {
				var ids []string
				for _, b := range found.Budgets {
					ids = append(ids, b.ID)
				}
				return fmt.Errorf("%s has several budgets: say which of %s", args[0], strings.Join(ids, ", "))
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			return api.DeleteBudget(cmd.Context(), *account, found.Budgets[0].ID)
		},
	}
	return cmd
}

func (c *cli) budgetStormsCommand(account *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "storms",
		Short:   "List functions that the storm breaker paused, with the evidence",
		Example: "  millicent budget storms",
		Args:    wantArgs(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := c.budgets(cmd.Context(), *account, "")
			if err != nil {
				return err
			}
			if c.json {
				return printJSON(c.out, all.Storms)
			}
			if len(all.Storms) == 0 {
				_, err := fmt.Fprintln(c.err, "no function is paused")
				return err
			}
			return c.printStorms(all.Storms)
		},
	}
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) printStorms(storms []millicent.Storm) error {
	for _, s := range storms {
		_, err := fmt.Fprintf(c.out, "%s is paused until %s by %s: %s\n", s.Function, when(s.Until), printable(s.Budget), s.String())
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) budgetResumeCommand(account *string) *cobra.Command {
	return &cobra.Command{
		Use:               "resume NAME",
		Short:             "End a function's pause; what it spent then counts as usual from now on",
		Example:           "  millicent budget resume hello",
		Args:              wantArgs(1, 1, "a function NAME"),
		ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			return api.ResumeFunction(cmd.Context(), *account, args[0])
		},
	}
}
