package telemetry

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
)

// Why records are missing, as the reason of a platform.logsDropped record.
const (
	reasonOverflow = "More was logged than could be written."
	reasonDisk     = "The log could not be written to its file."
	reasonSlow     = "The log was read too slowly."
)

// A drop is how much of a function's log is missing.
type drop struct {
	last    millicent.LogRecord // for version and stream
	records int
	bytes   int
	reason  string
}

// drops counts what is missing of each function's log until that is written
// into it.
type drops struct {
	mu sync.Mutex
	of map[functionKey]drop
}

func (d *drops) add(key functionKey, more drop) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of == nil {
		d.of = make(map[functionKey]drop)
	}
	sum := d.of[key]
	sum.records += more.records
	sum.bytes += more.bytes
	sum.last, sum.reason = more.last, more.reason
	sum.last.Message = ""
	d.of[key] = sum
}

// take returns what was counted and begins anew.
func (d *drops) take() map[functionKey]drop {
	d.mu.Lock()
	defer d.mu.Unlock()
	of := d.of
	d.of = nil
	return of
}

// notice returns the record that tells of a drop, in the form of Lambda's
// Telemetry API.
func notice(d drop, now time.Time) millicent.LogRecord {
	type record struct {
		DroppedBytes   int    `json:"droppedBytes"`
		DroppedRecords int    `json:"droppedRecords"`
		Reason         string `json:"reason"`
	}
	message, err := json.Marshal(struct {
		Time   string `json:"time"`
		Type   string `json:"type"`
		Record record `json:"record"`
	}{now.UTC().Format("2006-01-02T15:04:05.000Z"), "platform.logsDropped", record{d.bytes, d.records, d.reason}})
	if err != nil {
		panic(err) // strings and numbers only
	}
	rec := d.last
	rec.Invocation = ""
	rec.Time = now.UnixMicro()
	rec.Message = string(message)
	return rec
}
