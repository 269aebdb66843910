package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

func (c *cli) queueCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "queue [NAME]",
		Short: "Show the events that wait, by function",
		Long: `Show the asynchronous invocations (invocation type Event) that have not ended, by
function: how many wait, run, and wait for another attempt, how old the oldest
is, and when the next attempt is due. Beside them, records on their way to
webhooks and NATS subjects, and dead letters (see ` + "`millicent dlq`" + `).`,
		Example: `  millicent queue
  millicent queue hello
  millicent queue --json`,
		Args:              wantArgs(0, 1, "one function NAME at most"),
		ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			return c.showQueues(cmd.Context(), name)
		},
	}
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) showQueues(ctx context.Context, name string) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	queues, err := api.EventQueues(ctx)
	if err != nil {
		return err
	}
	shown := queues[:0]
	for _, q := range queues {
		if name == "" || q.Function == name {
			shown = append(shown, q)
		}
	}
	if c.json {
		return printJSON(c.out, shown)
	}
	if len(shown) == 0 {
		_, err := fmt.Fprintln(c.err, "no events wait")
		return err
	}
	var rows [][]string
	now := time.Now()
	for _, q := range shown {
		rows = append(rows, []string{
			q.Function, strconv.Itoa(q.Ready + q.Delayed + q.Running), strconv.Itoa(q.Ready), strconv.Itoa(q.Running), strconv.Itoa(q.Delayed),
			span(now.Sub(q.Oldest), q.Oldest), span(q.NextRetry.Sub(now), q.NextRetry), strconv.Itoa(q.Deliveries), strconv.Itoa(q.DeadLetters),
		})
	}
	head := []string{"NAME", "DEPTH", "READY", "IN FLIGHT", "DELAYED", "OLDEST", "NEXT RETRY", "DELIVERIES", "DEAD LETTERS"}
	return printTable(c.out, head, rows, nil)
}

// span returns a length of time for people, and - when its end is not known.
func span(d time.Duration, end time.Time) string {
	if end.IsZero() {
		return "-"
	}
	if d = max(d, 0); d > time.Minute {
		return d.Round(time.Second).String()
	}
	return d.Round(100 * time.Millisecond).String()
}
