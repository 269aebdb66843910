package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millicent-run/millicent"
)

func (c *cli) explainCommand() *cobra.Command {
	var function string
	var limit int
	cmd := &cobra.Command{
		Use:   "explain [REQUEST-ID]",
		Short: "Tell why an invocation was slow to start",
		Long: `Tell what an invocation waited for before its function ran: whether its start
was cold, why, from what, how long each part of it took, and what would help.
Without a REQUEST-ID, list the latest starts.

The request id is in each answer's x-amzn-RequestId, in the function's log, and
in the list. Older invocations are looked up in the logs, sooner with
--function.`,
		Example: `  millicent explain                   # the latest starts
  millicent explain --function hello
  millicent explain 8f1e2c2a-5c5e-4d8e-9d0a-0c7f9b0a1b2c
  millicent explain 8f1e2c2a-5c5e-4d8e-9d0a-0c7f9b0a1b2c --json | jq .delay.start.initUs`,
		Args: wantArgs(0, 1, "one REQUEST-ID, or none for a list"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case limit < 0:
				return &usageError{cmd: cmd.CommandPath(), message: "--limit is not to be negative"}
			case len(args) == 0:
				return c.listStarts(cmd.Context(), function, limit)
			case cmd.Flags().Changed("limit"):
				return &usageError{cmd: cmd.CommandPath(), message: "--limit is for the list, without a REQUEST-ID"}
			}
			return c.explain(cmd.Context(), args[0], function)
		},
	}
	f := cmd.Flags()
	f.StringVar(&function, "function", "", "of this function only, its `NAME`")
	f.IntVarP(&limit, "limit", "n", 0, "the newest `N` starts (default 20)")
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) explain(ctx context.Context, id, function string) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	e, err := api.Explain(ctx, id, function)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, e)
	}
	printExplanation(c.out, e)
	return nil
}

func (c *cli) listStarts(ctx context.Context, function string, limit int) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	list, err := api.Starts(ctx, function, limit)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, list)
	}
	if len(list) == 0 {
		fmt.Fprintln(c.err, "no starts since the server did")
		return nil
	}
	var rows [][]string
	for _, e := range list {
		s := startOf(&e)
		rows = append(rows, []string{
			localTime(e.Time), e.Function, e.Version, string(s.Cause), s.From, micros(s.Total()), e.Invocation,
		})
	}
	return printTable(c.out, []string{"TIME", "FUNCTION", "VERSION", "CAUSE", "FROM", "START", "REQUEST"}, rows, nil)
}

// startOf returns the start that an invocation waited for, the zero record if
// there was none.
func startOf(e *millicent.Explanation) millicent.StartRecord {
	if e.Delay == nil || e.Delay.Start == nil {
		return millicent.StartRecord{}
	}
	return *e.Delay.Start
}

func localTime(t time.Time) string { return t.Local().Format("2006-01-02T15:04:05.000") }

// micros writes a duration in microseconds.
func micros(d time.Duration) string { return fmt.Sprintf("%d µs", d.Microseconds()) }

// printExplanation prints an explanation for people.
func printExplanation(w io.Writer, e *millicent.Explanation) {
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-12s %s\n", name, printable(value))
		}
	}
	field("request", e.Invocation)
	field("function", e.Function+", version "+e.Version)
	field("environment", e.Environment)
	field("reported", localTime(e.Time))
	field("ran", ran(e))
	start := startOf(e)
	field("from", start.Origin())
	if start.Compiled {
		field("code", "compiled ahead")
	}
	if start.Memory > 0 {
		held := fmt.Sprintf("%d MB", (start.Memory+1<<20-1)>>20)
		if e.Report != nil {
			held += fmt.Sprintf(" of %d MB", e.Report.MemoryMB)
		}
		field("memory", held)
	}

	fmt.Fprintln(w)
	for _, sentence := range e.Verdict() {
		fmt.Fprintln(w, paint(w, bold, printable(sentence)))
	}
	if e.Delay != nil && e.Delay.Start != nil {
		fmt.Fprintln(w)
		printPhases(w, e.Delay)
	}
	if help := e.Advice(); len(help) > 0 {
		fmt.Fprintln(w, "\nWhat would help:")
		for _, line := range help {
			fmt.Fprintln(w, "  - "+printable(line))
		}
	}
}

// ran says how the function itself did.
func ran(e *millicent.Explanation) string {
	if e.Report == nil {
		return ""
	}
	s := fmt.Sprintf("%.2f ms", e.Report.DurationMs)
	if e.Report.Status != "" {
		s += ", " + e.Report.Status
	}
	if e.Report.ErrorType != "" {
		s += ": " + e.Report.ErrorType
	}
	return s
}

// A phase is a part of the time until an invocation's answer.
type phase struct {
	name string
	took time.Duration
}

// barWidth is the length of the longest bar, in characters.
const barWidth = 30

// printPhases prints a line and a bar for each phase of a delay with a start,
// and the time of the start altogether.
func printPhases(w io.Writer, d *millicent.Delay) {
	s := d.Start
	phases := []phase{
		{"queue", d.Wait.Before},
		{"acquire", s.Acquire},
		{"attach", s.Attach},
		{"boot", s.Boot},
		{"user init", s.Init},
		{"first byte", s.FirstByte},
	}
	longest := time.Duration(1)
	for _, p := range phases {
		longest = max(longest, p.took)
	}
	line := func(name string, took time.Duration, bar string) {
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("  %-12s %12s  %s", name, micros(took), bar), " "))
	}
	for _, p := range phases {
		line(p.name, p.took, strings.Repeat("#", int(float64(p.took)/float64(longest)*barWidth+.5)))
	}
	line("start", s.Total(), "acquire to user init")
}
