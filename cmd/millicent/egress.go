package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func (c *cli) egressCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "egress",
		Short: "Show or set where a function may connect to",
		Long: `Show or set where a function may connect to.

A function without an allow-list may connect to what the server's --egress
allows. An allow-list narrows that and never widens it. Its entries:

  api.example.com      a host name; the function can resolve names listed, and no others
  *.example.com        every name below it
  192.0.2.7            an address
  10.0.0.0/8           a network
  *                    everything that the server allows
  none                 nothing

Each but none may end with a port, like *.example.com:443.`,
		Example: `  millicent egress show hello
  millicent egress set hello api.example.com:443 '*.amazonaws.com:443'
  millicent egress set hello none
  millicent egress set hello --clear`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.egressShowCommand(), c.egressSetCommand())
	return cmd
}

func (c *cli) egressShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "show NAME",
		Short:             "Print a function's allow-list, one entry a line",
		Example:           "  millicent egress show hello",
		Args:              wantArgs(1, 1, "one function NAME"),
		ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			allow, err := api.Egress(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.printEgress(allow)
		},
	}
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) egressSetCommand() *cobra.Command {
	var clear bool
	cmd := &cobra.Command{
		Use:   "set NAME ENTRY...",
		Short: "Replace a function's allow-list",
		Long: `Replace a function's allow-list. Environments that run already are replaced by
new ones that obey it. ` + "`millicent egress --help`" + ` tells what an entry can be.`,
		Example: `  millicent egress set hello api.example.com:443
  millicent egress set hello --clear     # as the server allows`,
		Args:              wantArgs(1, -1, "a function NAME and its entries"),
		ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if clear == (len(args) > 1) {
				return &usageError{cmd: cmd.CommandPath(), message: "want either entries or --clear"}
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			allow, err := api.SetEgress(cmd.Context(), args[0], args[1:])
			if err != nil {
				return err
			}
			return c.printEgress(allow)
		},
	}
	cmd.Flags().BoolVar(&clear, "clear", false, "remove the list: allow what the server does")
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) printEgress(allow []string) error {
	if c.json {
		return printJSON(c.out, map[string][]string{"allow": append([]string{}, allow...)})
	}
	if len(allow) == 0 {
		_, err := fmt.Fprintln(c.err, "no allow-list: what the server allows")
		return err
	}
	_, err := fmt.Fprintln(c.out, strings.Join(allow, "\n"))
	return err
}
