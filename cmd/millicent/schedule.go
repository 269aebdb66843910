package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millicent-run/millicent/client"
)

func (c *cli) scheduleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schedule",
		Short: "Call functions and send to queues at set times",
		Long: `Call functions and send to queues at set times: the schedules of the EventBridge
Scheduler API. A schedule's NAME may begin with a group, like jobs/nightly.

A time that passes while the server is down is run when it comes back within a
minute. Later, what recurs is skipped, and at(…) is run late; --catch-up says
otherwise.`,
		Example: `  millicent schedule create nightly 'cron(0 3 * * ? *)' hello --zone Europe/Berlin
  millicent schedule list
  millicent schedule show nightly
  millicent schedule next nightly 5
  millicent schedule pause nightly`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.scheduleCreateCommand(), c.scheduleListCommand(), c.scheduleShowCommand(), c.scheduleNextCommand(),
		c.scheduleStateCommand("pause", "Stop a schedule, and what waits of it", client.ScheduleDisabled),
		c.scheduleStateCommand("resume", "Have a schedule run again from now on", client.ScheduleEnabled),
		c.scheduleDeleteCommand())
	return cmd
}

// splitSchedule returns the group and the name of a schedule.
func splitSchedule(arg string) (group, name string) {
	group, name, ok := strings.Cut(arg, "/")
	if !ok {
		return "default", arg
	}
	return group, name
}

// joinSchedule is the inverse of splitSchedule.
func joinSchedule(group, name string) string {
	if group == "default" || group == "" {
		return name
	}
	return group + "/" + name
}

func (c *cli) scheduleListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list [GROUP]",
		Short:   "List schedules",
		Example: "  millicent schedule list\n  millicent schedule list jobs --json",
		Args:    wantArgs(0, 1, "one GROUP at most"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.listSchedules(cmd.Context(), strings.Join(args, ""))
		},
	}
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) listSchedules(ctx context.Context, group string) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	all, err := api.Schedules(ctx, group)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, all)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(c.err, "no schedules")
		return err
	}
	var rows [][]string
	for _, s := range all {
		st, err := api.ScheduleStatus(ctx, s.GroupName, s.Name, 1)
		if client.IsNotFound(err) {
			continue // deleted meanwhile
		}
		if err != nil {
			return err
		}
		next := "-"
		if len(st.Next) > 0 && !st.Paused {
			next = st.Next[0].Format(time.RFC3339)
		}
		rows = append(rows, []string{joinSchedule(s.GroupName, s.Name), targetName(s.Target.Arn), next, strconv.Itoa(st.Missed), s.State})
	}
	return printTable(c.out, []string{"NAME", "TARGET", "NEXT", "MISSED", "STATE"}, rows, func(state string) colour {
		if state == client.ScheduleEnabled {
			return green
		}
		return yellow
	})
}

// targetName shortens the ARN of a function or a queue.
func targetName(arn string) string {
	p := strings.SplitN(arn, ":", 7)
	switch {
	case len(p) == 7 && p[2] == "lambda":
		return p[6]
	case len(p) == 6 && p[2] == "sqs":
		return "queue:" + p[5]
	}
	return arn
}

func (c *cli) scheduleShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show NAME",
		Short:   "Show a schedule, what ran last, what was missed, and what comes next",
		Example: "  millicent schedule show nightly",
		Args:    wantArgs(1, 1, "one schedule [GROUP/]NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			group, name := splitSchedule(args[0])
			return c.showSchedule(cmd.Context(), group, name)
		},
	}
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) showSchedule(ctx context.Context, group, name string) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	s, err := api.Schedule(ctx, group, name)
	if err != nil {
		return err
	}
	st, err := api.ScheduleStatus(ctx, group, name, 3)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, map[string]any{"schedule": s, "status": st})
	}
	for _, line := range scheduleLines(s, st) {
		if _, err := fmt.Fprintf(c.out, "%-12s %s\n", line[0], printable(line[1])); err != nil {
			return err
		}
	}
	return nil
}

// scheduleLines are what is shown of a schedule: names and values.
func scheduleLines(s client.Schedule, st client.ScheduleStatus) [][2]string {
	last, missed := "never", strconv.Itoa(st.Missed)
	if !st.Last.IsZero() {
		last = st.Last.Format(time.RFC3339)
	}
	lines := [][2]string{
		{"name", joinSchedule(s.GroupName, s.Name)}, {"state", s.State},
		{"expression", s.ScheduleExpression + " in " + s.ScheduleExpressionTimezone}, {"target", targetName(s.Target.Arn)},
	}
	if s.Target.Input != "" {
		lines = append(lines, [2]string{"input", s.Target.Input})
	}
	if m := s.FlexibleTimeWindow.MaximumWindowInMinutes; m != nil {
		lines = append(lines, [2]string{"window", strconv.Itoa(*m) + " minutes"})
	}
	if d := s.Target.DeadLetterConfig; d != nil {
		lines = append(lines, [2]string{"dead letters", targetName(d.Arn)})
	}
	lines = append(lines, [2]string{"catch-up", st.CatchUp}, [2]string{"last", last}, [2]string{"missed", missed}, [2]string{"waiting", strconv.Itoa(st.Waiting)})
	if f := st.Failed; f != nil {
		lines = append(lines, [2]string{"failed", f.Time.Format(time.RFC3339) + " " + f.Code + ": " + f.Message})
	}
	next := "none"
	for i, t := range st.Next {
		if next = t.Format(time.RFC3339); i > 0 {
			next = lines[len(lines)-1][1] + ", " + next
			lines = lines[:len(lines)-1]
		}
		lines = append(lines, [2]string{"next", next})
	}
	if len(st.Next) == 0 {
		lines = append(lines, [2]string{"next", next})
	}
	return lines
}

func (c *cli) scheduleNextCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "next NAME [N]",
		Short:   "Print the next N times of a schedule, one a line",
		Example: "  millicent schedule next nightly\n  millicent schedule next jobs/hourly 20",
		Args:    wantArgs(1, 2, "one schedule [GROUP/]NAME, and the number N of times"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n := 5
			if len(args) == 2 {
				var err error
				if n, err = strconv.Atoi(args[1]); err != nil || n < 1 || n > 100 {
					return &usageError{cmd: cmd.CommandPath(), message: fmt.Sprintf("N is a number from 1 to 100, not %q", args[1])}
				}
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			group, name := splitSchedule(args[0])
			st, err := api.ScheduleStatus(cmd.Context(), group, name, n)
			if err != nil {
				return err
			}
			if c.json {
				return printJSON(c.out, st.Next)
			}
			for _, t := range st.Next {
				fmt.Fprintln(c.out, t.Format(time.RFC3339))
			}
			if len(st.Next) == 0 {
				fmt.Fprintln(c.err, "no times are to come")
			}
			return nil
		},
	}
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) scheduleStateCommand(verb, short, state string) *cobra.Command {
	return &cobra.Command{
		Use:     verb + " NAME...",
		Short:   short,
		Example: "  millicent schedule " + verb + " nightly",
		Args:    wantArgs(1, 100, "schedules [GROUP/]NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.eachSchedule(args, func(api *client.Client, group, name string) error {
				return api.SetScheduleState(cmd.Context(), group, name, state)
			})
		},
	}
}

func (c *cli) scheduleDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "delete NAME...",
		Short:   "Delete schedules, and what waits of them",
		Example: "  millicent schedule delete nightly jobs/hourly",
		Args:    wantArgs(1, 100, "schedules [GROUP/]NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.eachSchedule(args, func(api *client.Client, group, name string) error {
				return api.DeleteSchedule(cmd.Context(), group, name)
			})
		},
	}
}

func (c *cli) eachSchedule(args []string, do func(api *client.Client, group, name string) error) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	for _, arg := range args {
		group, name := splitSchedule(arg)
		if err := do(api, group, name); err != nil {
			return err
		}
	}
	return nil
}
