package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millicent-run/millicent/client"
)

func (c *cli) rightsizeCommand() *cobra.Command {
	var data dataFlag
	cmd := &cobra.Command{
		Use:   "rightsize [NAME]",
		Short: "Show what functions would cost at other memory sizes",
		Long: `Show what the invocations of the last 30 days would have cost at other memory
sizes, and what an always-on server would have.

Sizes at which a function ran are measured; the range is two standard errors of
the mean. Others are estimated: CPU time stays the same, cores come with memory
(1769 MB for each), and the rest of the duration is waiting. The range then goes
from code that can use several cores to code that cannot.`,
		Example:           "  millicent rightsize\n  millicent rightsize hello",
		Args:              wantArgs(0, 1, "a function NAME, or none for all"),
		ValidArgsFunction: c.completeFunctions,
		RunE: c.ofData(&data, func(cmd *cobra.Command, args []string) error {
			return c.rightsize(cmd.Context(), strings.Join(args, ""))
		}),
	}
	data.add(cmd.Flags())
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) rightsize(ctx context.Context, name string) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	reports, err := api.RightSize(ctx, name)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, reports)
	}
	if len(reports) == 0 {
		said := "nothing was invoked in the last 30 days"
		if name != "" {
			said = fmt.Sprintf("%s was not invoked in the last 30 days", printable(name))
		}
		_, err := fmt.Fprintln(c.err, said)
		return err
	}
	for i, r := range reports {
		if i > 0 {
			fmt.Fprintln(c.out)
		}
		if err := c.printSizes(&r); err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) printSizes(r *client.SizeReport) error {
	fmt.Fprintf(c.out, "%s  %d invocations at %d MB, at most %d MB held, %s %s\n",
		paint(c.out, bold, r.Function), r.Invocations, r.MemoryMB, r.PeakMB, millicents(r.Cost), r.Currency)
	var rows [][]string
	for _, s := range r.Sizes {
		basis := "estimated"
		if s.Measured > 0 {
			basis = "measured"
		}
		note := ""
		switch {
		case !s.Fits:
			note = "too small"
		case s.MemoryMB == r.Best:
			note = "cheapest"
		}
		rows = append(rows, []string{
			strconv.Itoa(s.MemoryMB) + " MB", between(milliseconds(s.DurationLow), milliseconds(s.DurationHigh)) + " ms",
			between(millicents(s.CostLow), millicents(s.CostHigh)), basis, note,
		})
	}
	if err := printTable(c.out, []string{"SIZE", "DURATION", r.Currency, "BASIS", ""}, rows, sizeColour); err != nil {
		return err
	}
	if r.Server == "" {
		return nil
	}
	servers := ""
	if r.Servers > 1 {
		servers = fmt.Sprintf("%d × ", r.Servers)
	}
	_, err := fmt.Fprintf(c.out, "always on, for 30 days: %s%s  %s %s\n", servers, printable(r.Server), millicents(r.ServerCost), r.Currency)
	return err
}

func sizeColour(note string) colour {
	if note == "cheapest" {
		return green
	}
	return red
}

func milliseconds(us int64) string { return strconv.FormatFloat(float64(us)/1000, 'f', 1, 64) }

// between writes a range, or the one value that both ends are.
func between(low, high string) string {
	if low == high {
		return low
	}
	return low + "–" + high
}
