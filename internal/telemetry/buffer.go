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
	held    map[functionKey]*int // bytes by function; nil when all are of one
	latest  functionKey          // whose record was added last
	its     *int                 // bytes of that one; nil before the first
	closed  bool
}

// newBuffer returns a buffer for the records of one function.
func newBuffer(limit int) *buffer {
	return &buffer{wake: make(chan struct{}, 1), limit: limit}
}

// newSharedBuffer returns a buffer that functions share fairly: none may hold
// more of it than is free. One that logs without end gets half, n of them get
// n/(n+1) together, and what is left is for those who log little.
func newSharedBuffer(limit int) *buffer {
	b := newBuffer(limit)
	b.held = make(map[functionKey]*int)
	return b
}

// add puts a record in; false when there is no room or the buffer is closed.
func (b *buffer) add(rec *millicent.LogRecord) bool {
	size := recordBytes + len(rec.Message)
	b.mu.Lock()
	defer b.mu.Unlock()
	free := b.limit - b.bytes
	if b.closed || size > free {
		return false
	}
	if b.held != nil {
		held := b.heldBy(keyOf(rec))
		if *held+size > free {
			return false
		}
		*held += size
	}
	full := b.full()
	b.bytes += size
	b.records = append(b.records, *rec)
	if len(b.records) == 1 || b.full() != full {
		b.signal()
	}
	return true
}

// heldBy returns how many bytes a function holds. mu is held.
func (b *buffer) heldBy(key functionKey) *int {
	if b.its != nil && key == b.latest {
		return b.its
	}
	held := b.held[key]
	if held == nil {
		held = new(int)
		b.held[key] = held
	}
	b.latest, b.its = key, held
	return held
}

// full reports whether so much of the buffer is used that waiting for more is
// over. One function alone may get there. mu is held.
func (b *buffer) full() bool { return b.bytes > b.limit/4 }

// urgent reports whether what is in the buffer should be taken at once.
func (b *buffer) urgent() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed || b.full()
}

// take returns what is in the buffer, which goes on with spare; closed says
// that nothing comes after it.
func (b *buffer) take(spare []millicent.LogRecord) (records []millicent.LogRecord, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	records, b.records, b.bytes = b.records, spare[:0], 0
	clear(b.held)
	b.its = nil
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
