package schedule

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
)

// tickFormat is the version of a tick's encoding: docs/formats/schedules.md.
const tickFormat = 1

// A tick is one time of a schedule, as it is put into the schedule's queue.
type tick struct {
	Format   int       `json:"format"`
	Schedule string    `json:"schedule"` // ID
	Time     time.Time `json:"time"`
	Missed   int       `json:"missed,omitempty"` // ticks of the schedule that were skipped so far
}

func decodeTick(b []byte) (t tick, err error) {
	if err := json.Unmarshal(b, &t); err != nil {
		return t, fmt.Errorf("decode a tick: %w", err)
	}
	if t.Format != tickFormat {
		return t, fmt.Errorf("a tick of format %d, and this is millicent for format %d", t.Format, tickFormat)
	}
	if t.Schedule == "" || t.Time.IsZero() {
		return t, fmt.Errorf("a tick without a schedule or a time")
	}
	t.Time = t.Time.UTC()
	return t, nil
}

// id names a tick among all: made of the schedule and the time.
func (t tick) id() string { return t.Schedule + "/" + t.Time.UTC().Format(time.RFC3339Nano) }

// execution returns the tick's execution id, the same for all its attempts.
func (t tick) execution() string {
	sum := sha256.Sum256([]byte(t.id()))
	return hex.EncodeToString(sum[:8])
}

// request returns the id of the tick's invocation, the same for all its
// attempts.
func (t tick) request() string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(t.id())).String()
}

// offset returns by how much the tick comes late within a window: always the
// same, and even over the window's seconds.
func (t tick) offset(window time.Duration) time.Duration {
	seconds := uint64(window / time.Second)
	if seconds == 0 {
		return 0
	}
	sum := sha256.Sum256([]byte("window/" + t.id()))
	var n uint64
	for _, b := range sum[:8] {
		n = n<<8 | uint64(b)
	}
	return time.Duration(n%seconds) * time.Second
}

// message returns the tick as it is put into its queue.
func (t tick) message(d *millicent.Schedule) (queue.Message, error) {
	t.Format = tickFormat
	body, err := json.Marshal(t)
	m := queue.Message{Queue: queueOf(d), Body: body, Dedup: t.id()}
	if d.Window > 0 {
		m.NotBefore = t.Time.Add(t.offset(d.Window))
	}
	return m, err
}
