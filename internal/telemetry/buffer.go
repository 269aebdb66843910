package telemetry

import (
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/millicent-run/millicent"
)

// maxMessage is the longest message kept of one record, that of CloudWatch.
const maxMessage = 256 << 10

// recordBytes is what a record takes in memory beside its message, roughly.
const recordBytes = 256

// A buffer holds records between a writer that does not wait and a reader.
type buffer struct {
	wake chan struct{} // holds a token when there may be something to take

	mu      sync.Mutex
	records []millicent.LogRecord
	bytes   int
	limit   int
	closed  bool
}

func newBuffer(limit int) *buffer {
	return &buffer{wake: make(chan struct{}, 1), limit: limit}
}

// add puts a record in; false when there is no room or the buffer is closed.
func (b *buffer) add(rec millicent.LogRecord) bool {
	size := recordBytes + len(rec.Message)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.bytes+size > b.limit {
		return false
	}
	b.bytes += size
	b.records = append(b.records, rec)
	if len(b.records) == 1 {
		b.signal()
	}
	return true
}

// take returns what is in the buffer, which goes on with spare; closed says
// that nothing comes after it.
func (b *buffer) take(spare []millicent.LogRecord) (records []millicent.LogRecord, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	records, b.records, b.bytes = b.records, spare[:0], 0
	return records, b.closed
}

// close ends the buffer; what is in it can still be taken.
func (b *buffer) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.signal()
}

func (b *buffer) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// cut returns a message no longer than maxMessage.
func cut(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	end := maxMessage
	for end > maxMessage-utf8.UTFMax && !utf8.RuneStart(message[end]) {
		end--
	}
	return strings.Clone(message[:end])
}
