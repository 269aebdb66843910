package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"unicode"

	"golang.org/x/term"
)

// isTerminal reports whether a person is on the other side of a stream.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// A colour is an SGR sequence's parameter.
type colour string

const (
	bold   colour = "1"
	dim    colour = "2"
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
)

// paint colours text for a terminal; elsewhere, and where NO_COLOR is set, it
// returns it as it is.
func paint(w io.Writer, col colour, text string) string {
	if text == "" || col == "" || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" || !isTerminal(w) {
		return text
	}
	return "\x1b[" + string(col) + "m" + text + "\x1b[0m"
}

// printJSON prints a value for programs.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printTable prints rows under a head, in columns. The last column is painted
// as tint says, which may be nil.
func printTable(w io.Writer, head []string, rows [][]string, tint func(cell string) colour) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.Join(head, "\t"))
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = printable(cell)
		}
		if last := len(cells) - 1; tint != nil {
			cells[last] = paint(w, tint(row[last]), cells[last])
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	return tw.Flush()
}

// printable replaces control characters, which would break the table or
// command the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// size writes a number of bytes for people.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000*1000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// A bar shows progress on a terminal, and nothing elsewhere.
type bar struct {
	w     io.Writer // nil when there is no terminal
	label string
	last  int // percent shown
}

func (c *cli) newBar(label string) *bar {
	b := &bar{label: label, last: -1}
	if isTerminal(c.err) && os.Getenv("TERM") != "dumb" && !c.json {
		b.w = c.err
	}
	return b
}

// show draws the bar at done of total.
func (b *bar) show(done, total int64) {
	if b.w == nil || total <= 0 {
		return
	}
	percent := int(100 * min(done, total) / total)
	if percent == b.last {
		return
	}
	b.last = percent
	const width = 30
	full := width * percent / 100
	fmt.Fprintf(b.w, "\r%s [%s%s] %3d%%", b.label, strings.Repeat("=", full), strings.Repeat(" ", width-full), percent)
}

// clear removes the bar.
func (b *bar) clear() {
	if b.w != nil && b.last >= 0 {
		fmt.Fprint(b.w, "\r\x1b[K")
		b.last = -1
	}
}
