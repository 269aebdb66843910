package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/client"
)

func (c *cli) logsCommand() *cobra.Command {
	var q client.LogQuery
	var since string
	cmd := &cobra.Command{
		Use:   "logs NAME",
		Short: "Print a function's log",
		Example: `  millicent logs hello
  millicent logs -f hello             # and go on until Ctrl-C
  millicent logs hello --since 10m
  millicent logs hello --since 2026-01-02T15:04:05Z --limit 100 --json`,
		Args:              wantArgs(1, 1, "one function NAME"),
		ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if q.Since, err = parseSince(since, time.Now()); err != nil {
				return &usageError{cmd: cmd.CommandPath(), message: err.Error()}
			}
			q.Function = args[0]
			return c.logs(cmd.Context(), q)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&q.Follow, "follow", "f", false, "go on with new lines until Ctrl-C")
	f.StringVar(&since, "since", "", "from this `time` on: a duration like 10m, or 2026-01-02T15:04:05Z")
	f.IntVarP(&q.Limit, "limit", "n", 0, "the newest `N` lines (default 1000)")
	c.jsonFlag(cmd)
	return cmd
}

// parseSince reads a time, or a duration before now; zero for "".
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("--since %q: want a duration like 10m, or a time like 2026-01-02T15:04:05Z", s)
	}
	return t, nil
}

func (c *cli) logs(ctx context.Context, q client.LogQuery) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	enc := json.NewEncoder(c.out)
	enc.SetEscapeHTML(false)
	some := false
	emit := func(rec millicent.LogRecord) error {
		some = true
		if c.json {
			return enc.Encode(rec)
		}
		at := time.UnixMicro(rec.Time).Local().Format("2006-01-02T15:04:05.000")
		_, err := fmt.Fprintln(c.out, paint(c.out, dim, at), plain(c.out, rec.Message))
		return err
	}
	if q.Follow {
		// A name with a mistake in it would be followed in silence.
		if _, err := api.Function(ctx, q.Function); err != nil {
			return err
		}
	}
	if err := api.Logs(ctx, q, emit); err != nil || some {
		return err
	}
	// Nothing: because there is no such function? The log of one that was
	// deleted may still be there, so this comes last.
	_, err = api.Function(ctx, q.Function)
	return err
}

// sgr is an escape sequence that colours text, and nothing else.
var sgr = regexp.MustCompile("\x1b\\[[0-9;]*m")

// plain takes from a function's text what would command the terminal; colours
// stay. Text that does not go to a terminal is left as it is.
func plain(w io.Writer, text string) string {
	if !isTerminal(w) {
		return text
	}
	return stripControls(text)
}

func stripControls(text string) string {
	var out strings.Builder
	last := 0
	for _, at := range append(sgr.FindAllStringIndex(text, -1), []int{len(text), len(text)}) {
		for _, r := range text[last:at[0]] {
			if r == '\n' || r == '\t' || !unicode.IsControl(r) {
				out.WriteRune(r)
			}
		}
		out.WriteString(text[at[0]:at[1]])
		last = at[1]
	}
	return out.String()
}
