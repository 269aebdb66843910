package wire

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/millicent-run/millicent/internal/wasm"
)

// A Spec is a wasm.Spec without what does not travel: directory and log.
type Spec struct{ wasm.Spec }

// Append appends s to a frame.
func (s *Spec) Append(b []byte) []byte {
	b = appendString(b, s.Digest)
	b = appendString(b, s.Module)
	b = appendString(b, s.Handler)
	b = binary.AppendUvarint(b, uint64(max(s.MemoryMB, 0)))
	b = appendStrings(b, s.Environ)
	return binary.AppendUvarint(b, uint64(max(s.InitTime, 0)))
}

// maxMemoryMB is more than a function can have.
const maxMemoryMB = 1 << 20

// Decode reads s from a body.
func (s *Spec) Decode(p []byte) error {
	f := fields{p: p}
	s.Digest, s.Module, s.Handler = f.string(), f.string(), f.string()
	s.MemoryMB = int(f.uint(maxMemoryMB))
	s.Environ = f.strings(nil)
	s.InitTime = f.duration()
	return f.end()
}

// A FileHead begins a file that Parts follow.
type FileHead struct {
	Path     string // slash-separated
	Size     int64
	Modified time.Time
}

// maxFile is more than a package or the cache takes.
const maxFile = 1 << 30

// Append appends h to a frame.
func (h *FileHead) Append(b []byte) []byte {
	b = appendString(b, h.Path)
	b = binary.AppendUvarint(b, uint64(h.Size))
	return binary.AppendVarint(b, h.Modified.Unix())
}

// Decode reads h from a body.
func (h *FileHead) Decode(p []byte) error {
	f := fields{p: p}
	h.Path = f.string()
	h.Size = int64(f.uint(maxFile))
	h.Modified = time.Unix(f.int(), 0)
	return f.end()
}

// AppendOpening appends o to a frame.
func AppendOpening(b []byte, o wasm.Opening) []byte {
	b = appendBool(appendBool(appendBool(b, o.Loaded), o.Compiled), o.Ready)
	b = binary.AppendUvarint(b, uint64(max(o.Load, 0)))
	b = binary.AppendUvarint(b, uint64(max(o.Init, 0)))
	return binary.AppendUvarint(b, uint64(max(o.Idle, 0)))
}

// DecodeOpening reads an Opening from a body.
func DecodeOpening(p []byte) (o wasm.Opening, err error) {
	f := fields{p: p}
	o.Loaded, o.Compiled, o.Ready = f.bool(), f.bool(), f.bool()
	o.Load, o.Init = f.duration(), f.duration()
	o.Idle = int64(f.uint(1 << 50))
	return o, f.end()
}

// AppendFailed appends what an Open or a Prepare failed of.
func AppendFailed(b []byte, err error) []byte {
	var own *wasm.Failure
	if errors.As(err, &own) {
		return appendFailure(append(b, failedOwn), own)
	}
	if errors.Is(err, wasm.ErrNotPrepared) {
		return append(b, failedUnprepared)
	}
	const most = 16 << 10
	text := err.Error()
	return appendString(append(b, failedElse), text[:min(len(text), most)])
}

// What a failure begins with.
const (
	failedElse       = iota // why, in words
	failedOwn               // a Failure
	failedUnprepared        // nothing else: it is wasm.ErrNotPrepared
)

// DecodeFailed returns the error that a body tells of; a *wasm.Failure if it
// is the module's own, or wasm.ErrNotPrepared.
func DecodeFailed(p []byte) error {
	f := fields{p: p}
	var told error
	switch f.uint(failedUnprepared) {
	case failedOwn:
		told = f.failure()
	case failedUnprepared:
		told = wasm.ErrNotPrepared
	default:
		told = errors.New(f.string())
	}
	if err := f.end(); err != nil {
		return err
	}
	return told
}

// Bounds of a failure: of its texts as much is sent, of a document all or none.
const (
	maxText     = 64 << 10
	maxDocument = 1 << 20
)

func appendFailure(b []byte, v *wasm.Failure) []byte {
	b = appendString(b, v.Type[:min(len(v.Type), maxText)])
	b = appendString(b, v.Message[:min(len(v.Message), maxText)])
	document := v.Document
	if len(document) > maxDocument { // cut, it would be none
		document = nil
	}
	return appendString(appendBool(b, v.Timeout), string(document))
}

func (f *fields) failure() *wasm.Failure {
	v := &wasm.Failure{Type: f.string(), Message: f.string(), Timeout: f.bool()}
	if document := f.bytes(); len(document) > 0 {
		v.Document = append([]byte(nil), document...)
	}
	return v
}

// AppendRequest appends a request, but for its event, which is the rest, its
// log and its way to the outside. Without a deadline it has none.
func AppendRequest(b []byte, r *wasm.Request) []byte {
	var deadline int64
	if !r.Deadline.IsZero() {
		deadline = r.Deadline.UnixNano()
	}
	return appendStrings(binary.AppendVarint(b, deadline), r.Environ)
}

// DecodeRequest reads a request into r, whose Environ is used again. Its event
// is a part of the body.
func DecodeRequest(p []byte, r *wasm.Request) error {
	f := fields{p: p}
	r.Deadline = time.Time{}
	if deadline := f.int(); deadline != 0 {
		r.Deadline = time.Unix(0, deadline)
	}
	r.Environ = f.strings(r.Environ[:0])
	if f.bad {
		return ErrFrame
	}
	r.Event = f.p
	return nil
}

// AppendAnswer appends an answer, but for its payload, which is the rest.
func AppendAnswer(b []byte, a *wasm.Answer) []byte {
	b = binary.AppendUvarint(b, uint64(max(a.CPU, 0)))
	b = binary.AppendUvarint(b, a.Fuel)
	b = binary.AppendUvarint(b, uint64(max(a.Peak, 0)))
	if a.Failure == nil {
		return append(b, 0)
	}
	return appendFailure(append(b, 1), a.Failure)
}

// DecodeAnswer reads an answer. Its payload is a copy.
func DecodeAnswer(p []byte) (*wasm.Answer, error) {
	f := fields{p: p}
	a := &wasm.Answer{CPU: f.duration(), Fuel: f.uint(1<<64 - 1), Peak: int(f.uint(1 << 50))}
	if f.bool() {
		a.Failure = f.failure()
	}
	if f.bad {
		return nil, ErrFrame
	}
	if len(f.p) > 0 || a.Failure == nil {
		a.Payload = append([]byte{}, f.p...)
	}
	return a, nil
}
