package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/millicent-run/millicent"
)

// formatVersion is the version of the files' format, docs/formats/logs.md.
const formatVersion = 1

// header is the first line of each file.
type header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
}

const (
	formatName = "millicent.log"
	maxHeader  = 256 // bytes in which the header's line ends
)

func headerLine() []byte {
	b, err := json.Marshal(header{formatName, formatVersion})
	if err != nil {
		panic(err) // a string and a number
	}
	return append(b, '\n')
}

// errTorn says that a file ends within its header.
var errTorn = errors.New("log file without a whole header")

// checkHeader reports whether r, a file, is in the format that this package
// reads.
func checkHeader(r io.ReaderAt) error {
	b := make([]byte, maxHeader)
	n, err := r.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	line, _, ok := bytes.Cut(b[:n], []byte("\n"))
	if !ok && n < maxHeader {
		return errTorn
	}
	var h header
	if !ok || json.Unmarshal(line, &h) != nil || h.Format != formatName {
		return errors.New("not a log file of millicent")
	}
	if h.Version != formatVersion {
		return fmt.Errorf("log file has format version %d, known is %d", h.Version, formatVersion)
	}
	return nil
}

// An encoder appends records to a buffer as lines.
type encoder struct {
	bytes.Buffer
	json *json.Encoder
}

func newEncoder() *encoder {
	e := new(encoder)
	e.json = json.NewEncoder(&e.Buffer)
	e.json.SetEscapeHTML(false)
	return e
}

// encode appends rec. Bytes of a message that are not UTF-8 become U+FFFD.
func (e *encoder) encode(rec *millicent.LogRecord) {
	if err := e.json.Encode(rec); err != nil {
		panic(err) // strings and a number, into memory
	}
}

// decodeLine reads a record's line, without its newline.
func decodeLine(line []byte) (millicent.LogRecord, error) {
	var rec millicent.LogRecord
	if err := json.Unmarshal(line, &rec); err != nil {
		return millicent.LogRecord{}, fmt.Errorf("log line: %w", err)
	}
	if rec.Function == "" {
		return millicent.LogRecord{}, errors.New("log line without a function")
	}
	return rec, nil
}

// block is how much of a file is read at a time.
const block = 64 << 10

// linesBackward yields the lines of the first size bytes of r that are not
// empty, the last one first. A line is valid until the next one.
func linesBackward(r io.ReaderAt, size int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var tail []byte // of a line that begins in what is not read yet
		for end := size; end > 0; {
			begin := max(0, end-block)
			n := int(end - begin)
			b := make([]byte, n+len(tail))
			if _, err := r.ReadAt(b[:n], begin); err != nil {
				yield(nil, err)
				return
			}
			copy(b[n:], tail)
			end = begin
			for i := bytes.LastIndexByte(b, '\n'); i >= 0; i = bytes.LastIndexByte(b, '\n') {
				line := b[i+1:]
				b = b[:i]
				if len(line) > 0 && !yield(line, nil) {
					return
				}
			}
			tail = b
		}
		if len(tail) > 0 {
			yield(tail, nil)
		}
	}
}
