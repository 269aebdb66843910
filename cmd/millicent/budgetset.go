package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millicent-run/millicent"
)

// budgetFlags are the flags of `millicent budget set`.
type budgetFlags struct {
	tenant             bool
	tag, key           string
	zone               string
	warn               []string
	webhook, notify    string
	throttle           string
	stop, breaker, end bool
}

func (c *cli) budgetSetCommand(account *string) *cobra.Command {
	var f budgetFlags
	cmd := &cobra.Command{
		Use:   "set [NAME[:ALIAS]] AMOUNT[/PERIOD]",
		Short: "Set a budget",
		Long: `Set a budget for a function, an alias, a tag, an access key or the whole account,
in place of the one that there is for the same and the same period.

AMOUNT is in the unit of the price book's currency, or in cents or millicents:
0.05, 5 cents, 20 millicents. PERIOD is hour, day or month, of the calendar
(UTC, or of --zone); without one the budget is for all time.

Without --stop and --throttle a budget only counts and warns.`,
		Example: `  millicent budget set hello 5 cents/day --stop
  millicent budget set hello:live 0.50/month --throttle 10/s@80% --stop
  millicent budget set --tag team=red 20/month --warn 80% --notify alarm
  millicent budget set --tenant 100/month --stop --breaker
  millicent budget set --key AKML0123456789ABCDEF 1/day --stop`,
		Args:              wantArgs(1, 5, "a function NAME (or --tenant, --tag or --key) and an AMOUNT/PERIOD"),
		ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := f.budget(args)
			if err != nil {
				return &usageError{cmd: cmd.CommandPath(), message: err.Error()}
			}
			b.Tenant = *account
			return c.setBudget(cmd.Context(), b)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.tenant, "tenant", false, "for the whole account")
	flags.StringVar(&f.tag, "tag", "", "for functions with the tag `NAME=VALUE`")
	flags.StringVar(&f.key, "key", "", "for calls with the access key of this `id`")
	flags.StringVar(&f.zone, "zone", "", "time `zone` of days and months, like Europe/Berlin (default UTC)")
	flags.StringSliceVar(&f.warn, "warn", nil, "`percentages` to warn at, like 50%,80%,100% (default 80%,100% with --webhook or --notify)")
	flags.StringVar(&f.webhook, "webhook", "", "`URL` that warnings are sent to")
	flags.StringVar(&f.notify, "notify", "", "`function` that warnings are sent to")
	flags.StringVar(&f.throttle, "throttle", "", "`rate` to let through, like 10/s once all is spent, or 10/s@80%")
	flags.BoolVar(&f.stop, "stop", false, "run nothing that the budget may not cover")
	flags.BoolVar(&f.end, "end-events", false, "end asynchronous events that are refused, as dead letters; they wait otherwise")
	flags.BoolVar(&f.breaker, "breaker", false, "pause a function that suddenly spends much more than usual")
	c.jsonFlag(cmd)
	return cmd
}

// budget returns the budget that flags and arguments describe.
func (f *budgetFlags) budget(args []string) (b millicent.Budget, err error) {
	b = millicent.Budget{Zone: f.zone, Webhook: f.webhook, Notify: f.notify, Stop: f.stop, EndEvents: f.end, Breaker: f.breaker}
	scopes := 0
	for _, given := range []bool{f.tenant, f.tag != "", f.key != ""} {
		if given {
			scopes++
		}
	}
	switch {
	case scopes > 1:
		return b, fmt.Errorf("want one of --tenant, --tag and --key")
	case scopes == 0:
		b.Scope.Function, b.Scope.Alias, _ = strings.Cut(args[0], ":")
		args = args[1:]
	case f.key != "":
		b.Scope.Key = f.key
	case f.tag != "":
		var ok bool
		if b.Scope.Tag, b.Scope.Value, ok = strings.Cut(f.tag, "="); !ok || b.Scope.Tag == "" {
			return b, fmt.Errorf("--tag %q: want NAME=VALUE", f.tag)
		}
	}
	if len(args) == 0 {
		return b, fmt.Errorf("want an AMOUNT, like 5 cents/day")
	}
	if b.Amount, b.Per, err = millicent.ParseAllowance(strings.Join(args, " ")); err != nil {
		return b, err
	}
	if b.Warn, err = f.warnings(); err != nil {
		return b, err
	}
	b.Throttle, err = parseThrottle(f.throttle)
	return b, err
}

func (f *budgetFlags) warnings() ([]int, error) {
	if len(f.warn) == 0 && (f.webhook != "" || f.notify != "") {
		return []int{80, 100}, nil
	}
	var all []int
	for _, s := range f.warn {
		n, err := parsePercent(s)
		if err != nil {
			return nil, fmt.Errorf("--warn %w", err)
		}
		all = append(all, n)
	}
	return all, nil
}

func parsePercent(s string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSuffix(s, "%"))
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q: want a percentage, like 80%%", s)
	}
	return n, nil
}

// parseThrottle reads a rate, like 10/s or 10/s@80%; nil for "".
func parseThrottle(s string) (*millicent.BudgetThrottle, error) {
	if s == "" {
		return nil, nil
	}
	rate, at, given := strings.Cut(s, "@")
	t := &millicent.BudgetThrottle{At: 100}
	var err error
	if t.Rate, err = strconv.ParseFloat(strings.TrimSuffix(rate, "/s"), 64); err != nil || t.Rate <= 0 {
		return nil, fmt.Errorf("--throttle %q: want a rate, like 10/s or 10/s@80%%", s)
	}
	if given {
		if t.At, err = parsePercent(at); err != nil {
			return nil, fmt.Errorf("--throttle %w", err)
		}
	}
	return t, nil
}

func (c *cli) setBudget(ctx context.Context, b millicent.Budget) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	status, err := api.SetBudget(ctx, b)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, status)
	}
	currency, err := c.currency(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "%s: %v%s, %v spent, %v left: %s\n", printable(status.ID), status.Amount, currency, status.Spent, status.Left,
		printable(strings.Join(actions(&status.Budget), ", ")))
	return err
}
