package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/client"
)

// lettersPage is how many dead letters are asked for at a time.
const lettersPage = 1000

func (c *cli) dlqCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dlq",
		Short: "List, show, replay and purge dead letters",
		Long: `List, show, replay and purge dead letters: asynchronous invocations that ended in
failure and had neither a destination nor a dead-letter queue to go to, and
records that did not reach their destination. They are kept for 14 days, at most
10,000 of a function.

With --queue, NAME is a queue: what went there as dead letters of other queues, or
of functions (DeadLetterConfig). A replay moves a message back to the queue that
it comes from.`,
		Example: `  millicent dlq list
  millicent dlq show hello 4711
  millicent dlq replay hello --all --dry-run
  millicent dlq purge hello 4711
  millicent dlq replay --queue orders-dead --all`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.dlqListCommand(), c.dlqShowCommand(),
		c.dlqActCommand("replay", "Run dead letters again", `Run the events of dead letters again, with their request ids and fresh attempts,
or send the records again, or with --queue move messages back to the queues that
they come from. They are dead letters no more then.`, true),
		c.dlqActCommand("purge", "Remove dead letters", "Remove dead letters for good.", false))
	return cmd
}

// queueFlag adds the flag by which NAME is a queue.
func queueFlag(cmd *cobra.Command, queue *bool) {
	cmd.Flags().BoolVar(queue, "queue", false, "NAME is a queue")
}

func (c *cli) dlqListCommand() *cobra.Command {
	var of client.Letters
	cmd := &cobra.Command{
		Use:               "list [NAME]",
		Aliases:           []string{"ls"},
		Short:             "List the dead letters, of one function or of all",
		Example:           "  millicent dlq list\n  millicent dlq list hello --json\n  millicent dlq list --queue",
		Args:              wantArgs(0, 1, "one NAME at most"),
		ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				of.Name = args[0]
			}
			letters, err := c.allLetters(cmd.Context(), of)
			if err != nil {
				return err
			}
			return c.printLetters(letters, of.Queue)
		},
	}
	queueFlag(cmd, &of.Queue)
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) allLetters(ctx context.Context, of client.Letters) ([]millicent.DeadLetter, error) {
	api, err := c.client()
	if err != nil {
		return nil, err
	}
	all := []millicent.DeadLetter{}
	for after := uint64(0); ; after = all[len(all)-1].Number {
		page, err := api.DeadLetters(ctx, of, after, lettersPage)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < lettersPage {
			return all, nil
		}
	}
}

func (c *cli) printLetters(letters []millicent.DeadLetter, queue bool) error {
	if c.json {
		return printJSON(c.out, letters)
	}
	if len(letters) == 0 {
		_, err := fmt.Fprintln(c.err, "no dead letters")
		return err
	}
	var rows [][]string
	if queue {
		for _, l := range letters {
			rows = append(rows, []string{
				strconv.FormatUint(l.Number, 10), l.Queue, l.ID, l.Received.Local().Format(time.DateTime), l.Source, strconv.Itoa(l.Size), l.Message,
			})
		}
		return printTable(c.out, []string{"NUMBER", "QUEUE", "MESSAGE ID", "SENT", "FROM", "BYTES", "ERROR"}, rows, nil)
	}
	for _, l := range letters {
		rows = append(rows, []string{
			strconv.FormatUint(l.Number, 10), qualified(l.Function, l.Qualifier), l.ID, l.Failed.Local().Format(time.DateTime),
			strconv.Itoa(l.Attempts), l.Condition, l.Message,
		})
	}
	return printTable(c.out, []string{"NUMBER", "NAME", "REQUEST", "FAILED", "ATTEMPTS", "CONDITION", "MESSAGE"}, rows, nil)
}

// qualified returns a function's name with its qualifier, if there is one.
func qualified(name, qualifier string) string {
	if qualifier == "" {
		return name
	}
	return name + ":" + qualifier
}

func (c *cli) dlqShowCommand() *cobra.Command {
	var of client.Letters
	cmd := &cobra.Command{
		Use:               "show NAME NUMBER",
		Short:             "Show a dead letter, with its event",
		Example:           "  millicent dlq show hello 4711\n  millicent dlq show hello 4711 --json",
		Args:              wantArgs(2, 2, "a NAME and the NUMBER of a dead letter"),
		ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			numbers, err := letterNumbers(cmd, args[1:])
			if err != nil {
				return err
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			of.Name = args[0]
			l, err := api.DeadLetter(cmd.Context(), of, numbers[0])
			if err != nil {
				return err
			}
			if c.json {
				return printJSON(c.out, l)
			}
			return c.printLetter(l)
		},
	}
	queueFlag(cmd, &of.Queue)
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) printLetter(l *millicent.DeadLetter) error {
	failed := "" // a queue does not know
	if !l.Failed.IsZero() {
		failed = l.Failed.Local().Format(time.DateTime)
	}
	for _, line := range [][2]string{
		{"Function", qualified(l.Function, l.Qualifier)}, {"Queue", l.Queue}, {"From", l.Source}, {"ID", l.ID}, {"Target", l.Target},
		{"Condition", l.Condition}, {"Code", l.Code}, {"Message", l.Message}, {"Attempts", strconv.Itoa(l.Attempts)},
		{"Received", l.Received.Local().Format(time.DateTime)}, {"Failed", failed},
	} {
		if line[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(c.out, "%-10s %s\n", line[0], printable(line[1])); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(c.out, "\n%s\n", printable(l.Body))
	return err
}

func (c *cli) dlqActCommand(verb, short, long string, replay bool) *cobra.Command {
	a := millicent.DeadLetterAction{Replay: replay}
	queue := false
	cmd := &cobra.Command{
		Use:               verb + " NAME [NUMBER...]",
		Short:             short,
		Long:              long + "\n\nNUMBER... says which, as `millicent dlq list` shows them; --all takes all.",
		Example:           fmt.Sprintf("  millicent dlq %s hello 4711 4712\n  millicent dlq %s hello --all --dry-run\n  millicent dlq %s --queue orders-dead --all", verb, verb, verb),
		Args:              wantArgs(1, 1000, "a NAME, and NUMBERs of dead letters or --all"),
		ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			numbers, err := letterNumbers(cmd, args[1:])
			if err != nil {
				return err
			}
			if a.All == (len(numbers) > 0) {
				return &usageError{cmd: cmd.CommandPath(), message: "give NUMBERs of dead letters, or --all"}
			}
			if a.Numbers = numbers; queue {
				a.Queue = args[0]
			} else {
				a.Function = args[0]
			}
			return c.actOnLetters(cmd.Context(), a)
		},
	}
	cmd.Flags().BoolVar(&a.All, "all", false, "all dead letters")
	queueFlag(cmd, &queue)
	cmd.Flags().BoolVar(&a.DryRun, "dry-run", false, "only show which")
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) actOnLetters(ctx context.Context, a millicent.DeadLetterAction) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	done, err := api.ActOnDeadLetters(ctx, a)
	if err != nil {
		return err
	}
	if a.DryRun || c.json {
		return c.printLetters(done, a.Queue != "")
	}
	verb := "purged"
	if a.Replay {
		verb = "replayed"
	}
	_, err = fmt.Fprintf(c.out, "%s: %d %s\n", a.Function+a.Queue, len(done), verb)
	return err
}

func letterNumbers(cmd *cobra.Command, args []string) ([]uint64, error) {
	var numbers []uint64
	for _, s := range args {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return nil, &usageError{cmd: cmd.CommandPath(), message: fmt.Sprintf("%q is not the number of a dead letter", s)}
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}
