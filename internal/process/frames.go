package process

import (
	"encoding/binary"
	"time"

	"github.com/millicent-run/millicent/internal/lifecycle"
)

// The framed log channel, _LAMBDA_TELEMETRY_LOG_FD: each frame is a 4-byte
// type, a 4-byte length, an 8-byte timestamp in microseconds and the message,
// all big-endian. The type is 0xa55a0003 for text and 0xa55a0002 for JSON,
// with a mask for the level.
const (
	frameHeader    = 16
	frameMagic     = 0xa55a0000
	frameMagicMask = 0xffff0000
)

// A frameDecoder cuts the framed channel into log records. It holds at most
// one record. Code of the function may write to the channel what is no frame:
// from the first such byte on the channel is read as plain lines, so that
// nothing is lost and no length is believed.
type frameDecoder struct {
	emit func(at time.Time, message string)

	buf   []byte    // of a header, or of the message
	left  uint32    // of the message, once in is true
	in    bool      // within a message
	at    time.Time // of the message
	plain *lifecycle.Lines
}

// write decodes p. Zero time means that the frame did not say.
func (d *frameDecoder) write(p []byte) {
	for len(p) > 0 && d.plain == nil {
		if !d.in {
			p = d.header(p)
			continue
		}
		n := min(len(p), int(min(d.left, lifecycle.MaxRecord)), lifecycle.MaxRecord-len(d.buf))
		d.buf = append(d.buf, p[:n]...)
		p, d.left = p[n:], d.left-uint32(n)
		if d.left == 0 {
			d.flushMessage()
			d.in = false
		} else if len(d.buf) == lifecycle.MaxRecord {
			d.flushMessage()
		}
	}
	if d.plain != nil {
		d.plain.Write(p)
	}
}

// header takes bytes of a header and returns the rest.
func (d *frameDecoder) header(p []byte) []byte {
	n := min(len(p), frameHeader-len(d.buf))
	d.buf = append(d.buf, p[:n]...)
	p = p[n:]
	if len(d.buf) < frameHeader {
		return p
	}
	if binary.BigEndian.Uint32(d.buf)&frameMagicMask != frameMagic {
		d.plain = &lifecycle.Lines{Emit: func(m string) { d.emit(time.Time{}, m) }}
		d.plain.Write(d.buf)
		d.buf = nil
		return p
	}
	d.left = binary.BigEndian.Uint32(d.buf[4:])
	d.at = time.UnixMicro(int64(binary.BigEndian.Uint64(d.buf[8:])))
	d.buf = d.buf[:0]
	d.in = d.left > 0
	return p
}

func (d *frameDecoder) flushMessage() {
	kept := d.buf
	if d.left > 0 {
		kept = kept[:lifecycle.RuneBoundary(kept)]
	}
	d.emit(d.at, string(kept))
	d.buf = append(d.buf[:0], d.buf[len(kept):]...)
}

// flush emits what is there of an unfinished message.
func (d *frameDecoder) flush() {
	if d.plain != nil {
		d.plain.Flush()
		return
	}
	if d.in && len(d.buf) > 0 {
		d.emit(d.at, string(d.buf))
		d.buf = d.buf[:0]
	}
}
