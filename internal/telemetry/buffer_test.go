package telemetry

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millicent-run/millicent"
)

// TestSharedBufferIsFair fills the buffer with the records of some functions
// that log without end, and finds room for those of one that does not.
func TestSharedBufferIsFair(t *testing.T) {
	const limit = 1 << 20
	for _, loud := range []int{1, 2, 9} {
		b := newSharedBuffer(limit)
		record := func(function string) millicent.LogRecord {
			return millicent.LogRecord{Tenant: "1", Function: function, Message: strings.Repeat("x", 100)}
		}
		refused := 0
		for range 2 * limit / recordBytes {
			for i := range loud {
				if !b.add(new(record(fmt.Sprint("loud-", i)))) {
					refused++
				}
			}
		}
		quiet := 0
		for b.add(new(record("quiet"))) {
			quiet++
		}
		share := limit / (recordBytes + 100) / (loud + 1)
		if refused == 0 || quiet < share/2-1 {
			t.Errorf("%d loud functions: %d of their records refused, %d of the quiet one taken; want about half of %d", loud, refused, quiet, share)
		}
		if records, _ := b.take(nil); len(records) == 0 {
			t.Error("nothing to take")
		}
		if !b.add(new(record("loud-0"))) {
			t.Error("no room in an empty buffer")
		}
	}
}
