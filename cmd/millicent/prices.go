package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/millicent-run/millicent/internal/server"
)

func (c *cli) pricesShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Print a price book that is built in: default or hardware",
		Example: `  millicent prices show hardware > prices.yaml   # then say what your machine costs
  millicent up --prices prices.yaml`,
		Args:      wantArgs(1, 1, "a NAME: default or hardware"),
		ValidArgs: []string{"default", "hardware"},
		RunE: func(_ *cobra.Command, args []string) error {
			text, ok := server.PriceBook(args[0])
			if !ok {
				return fmt.Errorf("no price book %q is built in: there are default and hardware", args[0])
			}
			_, err := c.out.Write(text)
			return err
		},
	}
}

func (c *cli) pricesCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Check a price book, and print its prices",
		Args:  wantArgs(1, 1, "a FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			id, prices, err := server.CheckPriceBook(text)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			fmt.Fprintln(c.out, id)
			var rows [][]string
			for _, p := range prices {
				rows = append(rows, []string{p[0], p[1]})
			}
			return printTable(c.out, []string{"ITEM", "PRICE"}, rows, nil)
		},
	}
}
