package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"

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

// appendRecord appends rec as a line. Bytes of a message that are not UTF-8
// become U+FFFD.
func appendRecord(dst []byte, rec *millicent.LogRecord) []byte {
	dst = appendText(append(dst, `{"tenant":`...), rec.Tenant)
	dst = appendText(append(dst, `,"function":`...), rec.Function)
	dst = appendText(append(dst, `,"version":`...), rec.Version)
	dst = appendText(append(dst, `,"stream":`...), rec.Stream)
	if rec.Invocation != "" {
		dst = appendText(append(dst, `,"invocation":`...), rec.Invocation)
	}
	dst = strconv.AppendInt(append(dst, `,"time":`...), rec.Time, 10)
	dst = appendText(append(dst, `,"message":`...), rec.Message)
	if rec.Delay != nil {
		dst = appendDelay(append(dst, `,"delay":`...), rec.Delay)
	}
	if rec.ErrorType != "" {
		dst = appendText(append(dst, `,"errorType":`...), rec.ErrorType)
	}
	return append(dst, '}', '\n')
}

// appendDelay appends d as JSON.
func appendDelay(dst []byte, d *millicent.Delay) []byte {
	if d.Start == nil && d.Wait != (millicent.Wait{}) {
		return append(d.Wait.AppendJSON(append(dst, `{"wait":`...)), '}')
	}
	b, err := json.Marshal(d)
	if err != nil {
		panic(err) // strings and numbers
	}
	return append(dst, b...)
}

// appendText appends s as JSON. Most texts are plain, and to have each one
// looked at by reflection takes longer than to write it.
func appendText(dst []byte, s string) []byte {
	before := len(dst)
	dst = append(dst, '"')
	plain := 0
	for i := range len(s) {
		switch escape := escapes[s[i]]; escape {
		case 0:
		case 1:
			return appendMarshalled(dst[:before], s)
		default:
			dst = append(append(dst, s[plain:i]...), '\\', escape)
			plain = i + 1
		}
	}
	return append(append(dst, s[plain:]...), '"')
}

// escapes says of each byte of a text how it stands in JSON: 0 as it is, 1 in a
// way that is left to encoding/json, else as that letter behind a backslash.
var escapes = func() (of [256]byte) {
	for c := range of {
		if c < ' ' || c >= 0x7f {
			of[c] = 1
		}
	}
	for c, letter := range map[byte]byte{'"': '"', '\\': '\\', '\t': 't', '\n': 'n', '\r': 'r'} {
		of[c] = letter
	}
	return of
}()

// appendMarshalled appends s as encoding/json writes it.
func appendMarshalled(dst []byte, s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // a string, into memory
	}
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
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
