package millicenttest

import (
	"strconv"
	"strings"
)

// A Stock is what a server holds in readiness for starts to come, as its
// metrics tell.
type Stock struct {
	Bare, Booted int // prepared sandboxes, without a runtime and with one
	Python       int // of the booted
	Zygotes      int
	Changing     int // sandboxes that are being prepared or given up
	SpareDisks   int // beside those of the sandboxes
}

// ReadStock finds the stock in the text of /metrics.
func ReadStock(metrics string) (st Stock) {
	for line := range strings.Lines(metrics) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.Atoi(value)
		if err != nil {
			continue // a comment, or no count
		}
		switch kind, prepared := strings.CutPrefix(name, "millicent_prepared_sandboxes"); {
		case prepared && kind == `{kind="bare"}`:
			st.Bare += n
		case prepared:
			st.Booted += n
			if strings.HasPrefix(kind, `{kind="python`) {
				st.Python += n
			}
		case name == "millicent_zygotes":
			st.Zygotes = n
		case name == "millicent_spare_disks":
			st.SpareDisks = n
		case name == "millicent_changing_sandboxes":
			st.Changing = n
		}
	}
	return st
}

// Sandboxes is how many sandboxes a stock is.
func (st Stock) Sandboxes() int { return st.Bare + st.Booted + st.Zygotes }

// Processes is how many processes a stock is: the first one of each sandbox,
// and what runs in it.
func (st Stock) Processes() int { return st.Bare + 2*st.Booted + 2*st.Zygotes }

// Disks is how many loop devices a stock has: each sandbox's, and the spare
// ones.
func (st Stock) Disks() int { return st.Sandboxes() + st.SpareDisks }

// FDs is how many descriptors a server holds for a stock: one of each disk; of
// a sandbox a handle of the first process and two sockets to it, four sockets
// in the network, and one more for the Runtime API or, with a runtime, a link
// of two pipes, two of its output, and a counter. With Python there is a socket
// for descriptors. A zygote has handles of two processes and three sockets.
func (st Stock) FDs() int {
	return st.Disks() + 8*st.Bare + 12*st.Booted + st.Python + 5*st.Zygotes
}

// Goroutines is how many of a server's goroutines are a stock's.
func (st Stock) Goroutines() int { return 2*st.Bare + 2*st.Booted + 3*st.Zygotes }
