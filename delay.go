package millicent

import (
	"encoding/json"
	"strconv"
	"time"
)

// A Delay is what kept an invocation from running at once.
type Delay struct {
	Wait  Wait         `json:"wait,omitzero"`
	Start *StartRecord `json:"start,omitempty"` // nil where nothing had to be started
}

// A Wait is the time that an invocation waited for an environment.
type Wait struct {
	For    WaitReason    // empty when there was an idle one
	Time   time.Duration // until it had one
	Before time.Duration // of that: before the start of the one that it got began
}

// A WaitReason says what an invocation waited for.
type WaitReason string

// What invocations wait for.
const (
	WaitStart WaitReason = "start" // a new environment
	WaitBusy  WaitReason = "busy"  // one of the version's environments, which were all busy
	WaitSlot  WaitReason = "slot"  // for a new one, until fewer were being started
	WaitRoom  WaitReason = "room"  // for room on the machine
)

// Durations travel as whole microseconds, in members whose names end in Us.

// maxMicros is the longest duration that is read.
const maxMicros = int64(365 * 24 * time.Hour / time.Microsecond)

// micros is a duration on the wire.
type micros time.Duration

// MarshalJSON implements json.Marshaler.
func (d micros) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).Microseconds())
}

// UnmarshalJSON implements json.Unmarshaler. What cannot be a duration of
// ours becomes the nearest that can.
func (d *micros) UnmarshalJSON(b []byte) error {
	var us int64
	if err := json.Unmarshal(b, &us); err != nil {
		return err
	}
	*d = micros(time.Duration(min(max(us, 0), maxMicros)) * time.Microsecond)
	return nil
}

type waitWire struct {
	For    WaitReason `json:"for"`
	Time   micros     `json:"timeUs"`
	Before micros     `json:"beforeUs,omitzero"`
}

// MarshalJSON implements json.Marshaler.
func (w Wait) MarshalJSON() ([]byte, error) { return w.AppendJSON(nil), nil }

// AppendJSON appends w as JSON. On a busy server most log records have one.
func (w Wait) AppendJSON(b []byte) []byte {
	reason, err := json.Marshal(string(w.For))
	if err != nil {
		panic(err) // a string
	}
	b = append(append(b, `{"for":`...), reason...)
	b = strconv.AppendInt(append(b, `,"timeUs":`...), w.Time.Microseconds(), 10)
	if w.Before != 0 {
		b = strconv.AppendInt(append(b, `,"beforeUs":`...), w.Before.Microseconds(), 10)
	}
	return append(b, '}')
}

// UnmarshalJSON implements json.Unmarshaler.
func (w *Wait) UnmarshalJSON(b []byte) error {
	var in waitWire
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*w = Wait{in.For, time.Duration(in.Time), time.Duration(in.Before)}
	return nil
}

type startWire struct {
	Cause       StartCause `json:"cause,omitempty"`
	From        string     `json:"from,omitempty"`
	Acquire     micros     `json:"acquireUs"`
	Attach      micros     `json:"attachUs"`
	Boot        micros     `json:"bootUs"`
	Init        micros     `json:"initUs"`
	Total       micros     `json:"totalUs"` // for readers; follows from the others
	FirstByte   micros     `json:"firstByteUs,omitzero"`
	Compiled    bool       `json:"compiled,omitempty"`
	Memory      int64      `json:"memoryBytes,omitempty"`
	Environment string     `json:"environment,omitempty"`
	Runtime     string     `json:"runtime,omitempty"`
	Others      int        `json:"others,omitempty"`
	Gone        micros     `json:"goneUs,omitzero"`
	For         string     `json:"for,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (r StartRecord) MarshalJSON() ([]byte, error) {
	return json.Marshal(startWire{
		Cause: r.Cause, From: r.From,
		Acquire: micros(r.Acquire), Attach: micros(r.Attach), Boot: micros(r.Boot), Init: micros(r.Init),
		Total: micros(r.Total()), FirstByte: micros(r.FirstByte),
		Compiled: r.Compiled, Memory: r.Memory, Environment: r.Environment, Runtime: r.Runtime, Others: r.Others, Gone: micros(r.Gone), For: r.For,
	})
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *StartRecord) UnmarshalJSON(b []byte) error {
	var in startWire
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*r = StartRecord{
		Cause: in.Cause, From: in.From,
		Acquire: time.Duration(in.Acquire), Attach: time.Duration(in.Attach),
		Boot: time.Duration(in.Boot), Init: time.Duration(in.Init), FirstByte: time.Duration(in.FirstByte),
		Compiled: in.Compiled, Memory: in.Memory, Environment: in.Environment, Runtime: in.Runtime, Others: in.Others, Gone: time.Duration(in.Gone), For: in.For,
	}
	return nil
}
