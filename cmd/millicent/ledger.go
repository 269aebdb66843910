package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millicent-run/millicent/client"
	"github.com/millicent-run/millicent/internal/meter"
	"github.com/millicent-run/millicent/internal/server"
)

var errLedger = errors.New("the ledger is not as it was written")

func (c *cli) ledgerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ledger",
		Short: "Show the end of the usage ledger, and verify all of it",
		Long: `Show the end of the usage ledger, and verify all of it.

The ledger is a chain of groups of records, each with the hash of the one before
it. Who can write to the server's disk could make the whole chain anew. Note the
head elsewhere from time to time, with somebody else or on paper: verification
with that anchor tells whether anything up to there was changed.`,
		Example: `  millicent ledger head
  millicent ledger verify --anchor 42:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.ledgerHeadCommand(), c.ledgerVerifyCommand(), c.ledgerExportCommand(), c.ledgerSkipCommand())
	return cmd
}

func (c *cli) ledgerHeadCommand() *cobra.Command {
	var data dataFlag
	cmd := &cobra.Command{
		Use:     "head",
		Short:   "Print the head of the ledger, to be noted elsewhere",
		Long:    "Print the head of the ledger: the number of its last group, and that group's\nhash, by which all before it is fixed.",
		Example: "  millicent ledger head\n  millicent ledger head >> /somewhere/else/heads.txt",
		Args:    wantArgs(0, 0, "no arguments"),
		RunE: c.ofData(&data, func(cmd *cobra.Command, _ []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			head, err := api.LedgerHead(cmd.Context())
			if err != nil {
				return err
			}
			if c.json {
				return printJSON(c.out, head)
			}
			if head.Seq == 0 {
				fmt.Fprintln(c.err, "the ledger is empty")
				return nil
			}
			_, err = fmt.Fprintf(c.out, "%d:%s\n", head.Seq, head.Hash)
			return err
		}),
	}
	data.add(cmd.Flags())
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) ledgerVerifyCommand() *cobra.Command {
	var data string
	var anchors []string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Verify that the whole ledger is as it was written",
		Long: `Verify that the whole ledger is as it was written: each record, how groups of
them follow one another, and that none is missing. What is found first is named.

The server verifies its own ledger. --data verifies that of a server that does
not run.`,
		Example: "  millicent ledger verify\n  millicent ledger verify --data ./data --anchor \"$(cat head.txt)\"",
		Args:    wantArgs(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := c.verifyLedger(cmd, data, anchors)
			if err != nil {
				return err
			}
			if c.json {
				if err := printJSON(c.out, report); err != nil {
					return err
				}
			}
			if !report.OK {
				return fmt.Errorf("%w: %s; the first record in doubt is %d. Copies of the data directory may have it; usage is counted without it after `millicent ledger skip %d`",
					errLedger, report.Problem, report.BadRecord, report.BadGroup)
			}
			if !c.json {
				fmt.Fprintf(c.out, "%d records in %d groups are as they were written\nhead %d:%s\n",
					report.Records, report.Groups, report.Head.Seq, report.Head.Hash)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "data `directory` of a server that does not run")
	f.StringArrayVar(&anchors, "anchor", nil, "a `HEAD` that was noted and has to be met; may be repeated")
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) ledgerSkipCommand() *cobra.Command {
	var data dataFlag
	cmd := &cobra.Command{
		Use:   "skip GROUP | FIRST-LAST",
		Short: "Have usage counted without damaged groups of records",
		Long: `Have usage counted without a damaged group of records, or all that are damaged
from one to another. Nothing is counted beyond such a group until that is decided,
so that no bill is less than it should be without anybody's knowing: bills,
budgets and the log name the group.

What its records would have cost is on no bill and in no budget. The server logs
at each start that the group is left out, and "millicent ledger verify" finds it
ever after. A group that is not damaged is not skipped.`,
		Example: "  millicent ledger skip 42 --data ./data\n  millicent ledger skip 40-4711 --data ./data",
		Args:    wantArgs(1, 1, "one GROUP, by its number, or FIRST-LAST"),
		RunE: c.ofData(&data, func(cmd *cobra.Command, args []string) error {
			first, last, ranged := strings.Cut(args[0], "-")
			if !ranged {
				last = first
			}
			from, err := strconv.ParseUint(first, 10, 63)
			to, bad := strconv.ParseUint(last, 10, 63)
			if err != nil || bad != nil || from == 0 || to < from {
				return &usageError{cmd: cmd.CommandPath(), message: fmt.Sprintf("want the number of a group, or two like 40-42, not %q", args[0])}
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			groups, err := api.SkipGroups(cmd.Context(), from, to)
			for _, group := range groups {
				fmt.Fprintf(c.out, "group %d is left out from now on\n", group)
			}
			return err
		}),
	}
	data.add(cmd.Flags())
	return cmd
}

func (c *cli) ledgerExportCommand() *cobra.Command {
	var data dataFlag
	var after uint64
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print the records of the ledger, one line of JSON each",
		Long: `Print the records of the ledger, one line of JSON each, oldest first. With
--data, which names the data directory of a server on this machine, which may be
stopped, those of all accounts; otherwise the caller's.`,
		Example: "  millicent ledger export > usage.ndjson\n  millicent ledger export --after 1200 --data ./data",
		Args:    wantArgs(0, 0, "no arguments"),
		RunE: c.ofData(&data, func(cmd *cobra.Command, _ []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			return api.LedgerRecords(cmd.Context(), after, data.dir != "", c.out)
		}),
	}
	f := cmd.Flags()
	data.add(f)
	f.Uint64Var(&after, "after", 0, "leave out groups up to this `number`")
	return cmd
}

// verifyLedger verifies the ledger of a data directory, or of the server.
func (c *cli) verifyLedger(cmd *cobra.Command, data string, anchors []string) (client.LedgerReport, error) {
	var heads []meter.Anchor
	for _, a := range anchors {
		head, err := meter.ParseHead(a)
		if err != nil {
			return client.LedgerReport{}, &usageError{cmd: cmd.CommandPath(), message: err.Error()}
		}
		heads = append(heads, head)
	}
	if data != "" {
		r, err := server.VerifyLedger(cmd.Context(), data, heads...)
		head := client.LedgerHead{Seq: r.Head.Seq, Records: r.Head.Records, Hash: fmt.Sprintf("%x", r.Head.Hash)}
		return client.LedgerReport{
			OK: r.OK, Groups: r.Groups, Records: r.Records, First: r.First, Head: head,
			Problem: r.Problem, BadGroup: r.BadGroup, BadRecord: r.BadRecord,
		}, err
	}
	api, err := c.client()
	if err != nil {
		return client.LedgerReport{}, err
	}
	return api.VerifyLedger(cmd.Context(), anchors...)
}
