package async

import (
	"fmt"
	"testing"
	"time"

	"github.com/millicent-run/millicent/internal/queue"
)

// However many events fail, the operator's log has a line of each function
// every ten seconds.
func TestTellerIsBounded(t *testing.T) {
	var teller teller
	now := time.Unix(0, 0)
	key := func(name string) told { return told{queue.Name{Name: name}, "event failed"} }
	lines, untold := 0, 0
	for range 1000 {
		if n, ok := teller.due(key("f"), now); ok {
			lines++
			untold += n
		}
		now = now.Add(100 * time.Millisecond)
	}
	if lines != 10 || untold != 891 {
		t.Errorf("%d lines, which tell of %d others", lines, untold)
	}
	if _, ok := teller.due(key("g"), now); !ok {
		t.Error("another function's failure is not told")
	}
	for i := range 3 * maxTold {
		teller.due(key(fmt.Sprint(i)), now)
	}
	if len(teller.told) > maxTold {
		t.Errorf("%d functions are kept in mind", len(teller.told))
	}
}
