package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

func (c *cli) invoiceCommand() *cobra.Command {
	var b billing
	var format, file string
	cmd := &cobra.Command{
		Use:   "invoice",
		Short: "Write the invoice of a month, as HTML, CSV or JSON",
		Long: `Write the invoice of a month, as HTML, CSV or JSON. What it charges is the sum of
the month's receipts, to the last unit. The page is laid out for printing: a
browser makes a PDF of it.`,
		Example: `  millicent invoice --month 2026-10 -o october.html
  millicent invoice --format csv`,
		Args: wantArgs(0, 0, "no arguments"),
		RunE: c.ofData(&b.data, func(cmd *cobra.Command, _ []string) error {
			switch format {
			case "html", "csv", "json":
			default:
				return &usageError{cmd: cmd.CommandPath(), message: fmt.Sprintf("format %q: choose html, csv or json", format)}
			}
			month, err := b.begin(cmd)
			if err != nil {
				return err
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			return c.output(file, func(w io.Writer) error {
				return api.WriteInvoice(cmd.Context(), w, b.tenant, month, format)
			})
		}),
	}
	b.flags(cmd)
	cmd.Flags().StringVar(&format, "format", "html", "`format`: html, csv or json")
	outputFlag(cmd, &file)
	return cmd
}

func outputFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "output", "o", "", "write to this `file`")
}

// output writes to a file, which is there only when all was written, or to
// standard output where none is named.
func (c *cli) output(file string, write func(io.Writer) error) error {
	if file == "" {
		return write(c.out)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	err = write(f)
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		os.Remove(file)
	}
	return err
}

func (c *cli) exportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Export bills for other programs",
		Args:  unknownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.exportFocusCommand())
	return cmd
}

func (c *cli) exportFocusCommand() *cobra.Command {
	var b billing
	var file string
	cmd := &cobra.Command{
		Use:   "focus",
		Short: "Export a month as a FOCUS 1.2 dataset, in CSV",
		Long: `Export a month as a cost and usage dataset of the FinOps Open Cost and Usage
Specification (FOCUS) 1.2, in CSV: a row for each day, function, alias, set of
tags and item, and rows for credits and for roundings. BilledCost adds up to the
invoice's total. An empty field is null.`,
		Example: "  millicent export focus --month 2026-10 -o october.csv",
		Args:    wantArgs(0, 0, "no arguments"),
		RunE: c.ofData(&b.data, func(cmd *cobra.Command, _ []string) error {
			month, err := b.begin(cmd)
			if err != nil {
				return err
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			return c.output(file, func(w io.Writer) error {
				return api.WriteFocus(cmd.Context(), w, b.tenant, month)
			})
		}),
	}
	b.flags(cmd)
	outputFlag(cmd, &file)
	return cmd
}

func (c *cli) pricesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "prices",
		Short: "List the price books, show and check one",
		Long: `List the price books that the server knows. They are chosen with
` + "`millicent up --prices FILE`" + `.`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.listPrices(cmd.Context()) },
	}
	c.jsonFlag(cmd)
	cmd.AddCommand(c.pricesShowCommand(), c.pricesCheckCommand())
	return cmd
}

func (c *cli) listPrices(ctx context.Context) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	books, err := api.PriceBooks(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, books)
	}
	var rows [][]string
	for _, b := range books {
		force := ""
		if b.InForce {
			force = "now"
		}
		rows = append(rows, []string{
			b.ID, b.Currency, b.Prices["request"].String(), b.Prices["gb_second"].String(), b.Prices["cpu_second"].String(), b.Prices["egress_gb"].String(), force,
		})
	}
	return printTable(c.out, []string{"BOOK", "CURRENCY", "REQUEST", "GB-SECOND", "CPU-SECOND", "EGRESS GB", "IN FORCE"}, rows, nil)
}
