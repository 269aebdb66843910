package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/client"
)

// A billing is which bill the flags of a command name.
type billing struct {
	data   dataFlag
	tenant string
	month  string
}

// flags adds the flags that name a bill.
func (b *billing) flags(cmd *cobra.Command) {
	cmd.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "tenant" {
			name = "account" // a tenant is an account
		}
		return pflag.NormalizedName(name)
	})
	b.data.add(cmd.Flags())
	cmd.Flags().StringVar(&b.tenant, "account", "", "account `id`, also --tenant; of another one with --data only")
	cmd.Flags().StringVar(&b.month, "month", "", "`month` like 2026-11 (default this one, UTC)")
}

// begin returns the begin of the month.
func (b *billing) begin(cmd *cobra.Command) (time.Time, error) {
	if b.month == "" {
		now := time.Now().UTC()
		return time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC), nil
	}
	month, err := time.Parse("2006-01", b.month)
	if err != nil {
		return month, &usageError{cmd: cmd.CommandPath(), message: fmt.Sprintf("a month is one like 2026-11, not %q", b.month)}
	}
	return month, nil
}

func (c *cli) billCommand() *cobra.Command {
	var b billing
	var by, book string
	cmd := &cobra.Command{
		Use:   "bill",
		Short: "Show what a month cost",
		Long: `Show what a month cost: by function, alias, key, tag, tag:KEY or day, at list prices,
which is what the receipts of the invocations add up to; and what is owed, after
free quantities and volume prices.

With --book also show what it would have cost by another price book: one that
the server knows, by its name, or a file.

With --data, the data directory of a server on this machine, which may be stopped,
bills of all accounts are shown.`,
		Example: `  millicent bill
  millicent bill --by day --month 2026-10
  millicent bill --by tag:team
  millicent bill --book hardware      # by what your own machine costs
  millicent bill --data ./data --by tenant`,
		Args: wantArgs(0, 0, "no arguments"),
		RunE: c.ofData(&b.data, func(cmd *cobra.Command, _ []string) error {
			month, err := b.begin(cmd)
			if err != nil {
				return err
			}
			if book != "" {
				return c.reprice(cmd.Context(), b.tenant, month, book)
			}
			return c.bill(cmd.Context(), b.tenant, month, by)
		}),
	}
	b.flags(cmd)
	cmd.Flags().StringVar(&by, "by", "function", "a row for each of this `kind`: function, alias, key, memory, tag (all of them), tag:KEY or day; with --data also tenant")
	cmd.Flags().StringVar(&book, "book", "", "also price by this `book`: a name, or a file")
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) bill(ctx context.Context, tenant string, month time.Time, by string) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	q := client.UsageQuery{Tenant: tenant, From: month, To: month.AddDate(0, 1, 0), By: []string{by}}
	if by == "day" {
		q.Each, q.By = "day", nil
	}
	if by == "tenant" && tenant == "" {
		q.Tenant = "all"
	}
	rows, currency, err := api.Usage(ctx, q)
	if err != nil {
		return err
	}
	q.Each, q.By = "day", nil
	days, _, err := api.Usage(ctx, q)
	if err != nil {
		return err
	}
	var inv *client.Invoice
	if q.Tenant != "all" {
		if inv, err = api.Invoice(ctx, tenant, month); err != nil {
			return err
		}
	}
	if c.json {
		return printJSON(c.out, map[string]any{"currency": currency, "rows": rows, "invoice": inv})
	}
	return c.printBill(month, by, currency, rows, days, inv)
}

func (c *cli) printBill(month time.Time, by, currency string, rows, days []client.UsageRow, inv *client.Invoice) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintf(c.err, "nothing was used in %s\n", month.Format("January 2006"))
		return err
	}
	slices.SortStableFunc(rows, func(a, b client.UsageRow) int {
		if by == "day" {
			return a.Time.Compare(b.Time)
		}
		return b.Charged.Compare(a.Charged)
	})
	head := []string{strings.ToUpper(by), "INVOCATIONS", "ERRORS", "GB-SECONDS", currency}
	var table [][]string
	for _, r := range rows {
		name := strings.Join(r.Names, " ")
		if by == "day" {
			name = r.Time.Format(time.DateOnly)
		}
		switch {
		case name == "", by == "memory" && name == "0":
			name = "-"
		case by == "memory":
			name += " MB"
		}
		table = append(table, []string{
			name, strconv.FormatInt(r.Invocations, 10), strconv.FormatInt(r.Errors, 10), gbSeconds(r.Quantities), millicents(r.Charged),
		})
	}
	if err := printTable(c.out, head, table, nil); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "\n%s  by day, from %s\n", spark(month, days), month.Format("2 January 2006"))
	if inv == nil {
		return nil
	}
	return c.printTotal(inv)
}

// printTotal prints what an invoice comes to.
func (c *cli) printTotal(inv *client.Invoice) error {
	fmt.Fprintln(c.out)
	tw := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "at list prices\t%s %s\n", inv.Charged, inv.Currency)
	units := strings.NewReplacer("_", "-", "gb", "GB")
	for _, s := range inv.Sections {
		for _, credit := range s.Credits {
			reason := "free"
			if credit.Reason == "volume" {
				reason = "volume price"
			}
			fmt.Fprintf(tw, "%s: %s\t-%s %s\t%s\n", reason, units.Replace(credit.Item), credit.Amount, inv.Currency, printable(s.Book))
		}
	}
	so := ""
	if !inv.Final {
		so = " so far"
	}
	fmt.Fprintf(tw, "to pay%s\t%s %s\n", so, inv.Total, inv.Currency)
	return tw.Flush()
}

func (c *cli) reprice(ctx context.Context, tenant string, month time.Time, book string) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	var out *client.Repriced
	if text, failed := os.ReadFile(book); failed == nil {
		out, err = api.RepriceBy(ctx, tenant, month, text)
	} else {
		out, err = api.Reprice(ctx, tenant, month, book)
	}
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, out)
	}
	var rows [][]string
	for _, inv := range []*client.Invoice{&out.Billed, &out.Repriced} {
		var books []string
		for _, s := range inv.Sections {
			books = append(books, s.Book)
		}
		rows = append(rows, []string{strings.Join(books, " "), inv.Charged.String(), inv.Credited.String(), inv.Total.String() + " " + inv.Currency})
	}
	if err := printTable(c.out, []string{"PRICES", "LIST", "CREDITS", "TOTAL"}, rows, nil); err != nil {
		return err
	}
	if out.Billed.Currency != out.Repriced.Currency {
		return nil // amounts of two currencies have no difference
	}
	sign := ""
	if out.Difference.Sign() > 0 {
		sign = "+"
	}
	_, err = fmt.Fprintf(c.out, "\ndifference  %s%s %s\n", sign, out.Difference, out.Billed.Currency)
	return err
}

// millicents writes an amount with five decimal places: to the millicent.
func millicents(m millicent.MoneySum) string {
	if m.Sign() > 0 && m.Compare((millicent.Millicent/2).Sum()) < 0 {
		return "<0.00001"
	}
	whole, fraction, _ := strings.Cut(m.Add((millicent.Millicent / 2).Sum()).String(), ".")
	return whole + "." + (fraction + "00000")[:5]
}

// gbSeconds writes the GB-seconds of what was used, handlers and Init.
func gbSeconds(quantities map[string]int64) string {
	mbms := quantities["gb_second"] + quantities["init_gb_second"]
	return strconv.FormatFloat(float64(mbms)/1024/1000, 'f', 3, 64)
}

// spark draws what each day of a month cost, up to the last one with any.
func spark(month time.Time, days []client.UsageRow) string {
	var amounts []float64
	most := 0.0
	for _, d := range days {
		for len(amounts) < d.Time.Day() {
			amounts = append(amounts, 0)
		}
		amounts[d.Time.Day()-1] = d.Charged.Float()
		most = max(most, d.Charged.Float())
	}
	levels := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, m := range amounts {
		switch {
		case m <= 0:
			b.WriteRune('·')
		default:
			b.WriteRune(levels[int(math.Round(m/most*float64(len(levels)-1)))])
		}
	}
	return b.String()
}
