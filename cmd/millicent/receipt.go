package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/client"
	"github.com/millicent-run/millicent/internal/meter"
)

// maxReceipt bounds a receipt that is read; the longest have some 50 KB.
const maxReceipt = 1 << 20

func (c *cli) receiptCommand() *cobra.Command {
	var data dataFlag
	var account string
	var attempt int
	cmd := &cobra.Command{
		Use:   "receipt REQUEST-ID",
		Short: "Print the receipt of an invocation, which proves it is in the ledger",
		Long: `Print the receipt of an invocation: what it used, and the proof that this is in
the ledger. With --json the receipt has the whole proof, from the record to the
head of the ledger, and "millicent receipt verify" checks it without a server.

The request id is in each answer's x-amzn-RequestId, and in the function's log. An
asynchronous event that ran several times has a receipt for each attempt: without
--attempt that of the latest is printed.`,
		Example: `  millicent receipt 8f1e2c2a-5c5e-4d8e-9d0a-0c7f9b0a1b2c
  millicent receipt 8f1e2c2a-5c5e-4d8e-9d0a-0c7f9b0a1b2c --attempt 1
  millicent receipt 8f1e2c2a-5c5e-4d8e-9d0a-0c7f9b0a1b2c --json > receipt.json
  millicent receipt verify receipt.json`,
		Args: wantArgs(1, 1, "one REQUEST-ID"),
		RunE: c.ofData(&data, func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			text, err := api.Receipt(cmd.Context(), args[0], attempt, account)
			if err != nil {
				return err
			}
			return c.printReceipt(text, "")
		}),
	}
	cmd.Flags().StringVar(&account, "account", "", "account `id` of the invocation, with --data")
	data.add(cmd.Flags())
	cmd.Flags().IntVar(&attempt, "attempt", 0, "`number` of an asynchronous event's run, from 1")
	c.jsonFlag(cmd)
	cmd.AddCommand(c.receiptVerifyCommand())
	return cmd
}

func (c *cli) receiptVerifyCommand() *cobra.Command {
	var anchor string
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check a receipt, without a server",
		Long: `Check a receipt, without a server: that its record is in its group, and its
group in the chain that ends with its head. FILE may be - for standard input.

The head is what a receipt rests on. Compare it with one that was noted:
--anchor does, where that has the same number.`,
		Example: "  millicent receipt verify receipt.json\n  millicent receipt verify receipt.json --anchor \"$(cat head.txt)\"",
		Args:    wantArgs(1, 1, "one FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := readReceipt(args[0], c.in)
			if err != nil {
				return err
			}
			return c.printReceipt(text, anchor)
		},
	}
	cmd.Flags().StringVar(&anchor, "anchor", "", "the `HEAD` that the receipt has to lead to")
	c.jsonFlag(cmd)
	return cmd
}

func readReceipt(name string, in io.Reader) ([]byte, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close() // only ever read
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxReceipt+1))
	if err == nil && len(text) > maxReceipt {
		err = errors.New("too large to be a receipt")
	}
	return text, err
}

// printReceipt checks a receipt and prints it; an anchor, unless empty, has to
// be its head.
func (c *cli) printReceipt(text []byte, anchor string) error {
	var r pricedReceipt
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("not a receipt: %w", err)
	}
	rec, group, err := r.Check()
	if err != nil {
		return fmt.Errorf("the receipt proves nothing: %w", err)
	}
	if anchor != "" {
		want, err := meter.ParseHead(anchor)
		if err != nil {
			return err
		}
		if want.Seq != r.Head.Seq || want.Hash != r.Head.Hash {
			return fmt.Errorf("the receipt proves nothing: its head is %v, and not the one given", r.Head)
		}
	}
	if c.json {
		return printJSON(c.out, r)
	}
	printUsage(c.out, rec)
	r.printCharge(c.out)
	fmt.Fprintf(c.out, "\n%-12s record %d of the ledger, in group %d of %d\n", "proven", r.Number, group.Seq, r.Head.Seq)
	_, err = fmt.Fprintf(c.out, "%-12s %v\n", "head", r.Head)
	return err
}

// A pricedReceipt is a receipt with what it charges.
type pricedReceipt struct {
	meter.Receipt
	Charge *client.Charge `json:"charge,omitempty"`
}

// printCharge prints what the receipt charges, for people: each item's quantity
// times its price.
func (r *pricedReceipt) printCharge(w io.Writer) {
	if r.Charge == nil {
		return
	}
	for i, l := range r.Charge.Lines {
		name := ""
		if i == 0 {
			name = "price"
		}
		times := fmt.Sprintf("%d %s", l.Quantity, l.Unit)
		if l.Per > 1 {
			times += fmt.Sprintf(" ÷ %d", l.Per)
		}
		of := ""
		if l.Item == "init_gb_second" {
			of = " of Init"
		}
		fmt.Fprintf(w, "%-12s %v = %s × %v per %s%s\n", name, l.Amount, times, l.Price, printable(l.PerUnit), of)
	}
	fmt.Fprintf(w, "%-12s %v %s\n", "total", r.Charge.Total, printable(r.Charge.Currency))
}

// printUsage prints a record for people.
func printUsage(w io.Writer, r millicent.UsageRecord) {
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-12s %s\n", name, printable(value))
		}
	}
	field("request", r.ID)
	if r.Attempt > 1 {
		field("attempt", strconv.Itoa(r.Attempt))
	}
	field("account", r.Tenant)
	name := r.Function
	if r.Alias != "" {
		name += ":" + r.Alias
	}
	field("function", name+", version "+r.Version)
	field("access key", r.Key)
	if r.Root != r.ID {
		field("chain of", r.Root)
		field("caused by", r.Parent)
	}
	field("started", r.Start.Local().Format("2006-01-02T15:04:05.000Z07:00"))
	start := "warm"
	if r.Cold {
		start = fmt.Sprintf("cold, init %.2f ms", r.Init.Seconds()*1000)
	}
	field("ran", fmt.Sprintf("%.2f ms, %s, %s", r.Duration.Seconds()*1000, r.Outcome, start))
	field("billed", fmt.Sprintf("%d ms of %d MB", r.Billed.Milliseconds(), r.MemoryMB))
	field("memory", fmt.Sprintf("%d MB at most", r.PeakMemoryMB))
	field("processor", fmt.Sprintf("%.2f ms", r.CPU.Seconds()*1000))
	field("bytes", fmt.Sprintf("%d in, %d out, %d to other hosts", r.In, r.Out, r.Egress))
	field("price book", r.PriceBook)
}
