package wire

import "encoding/binary"

// A Control is a packet of the server on the control connection, a pair of
// sequenced-packet sockets. The worker says nothing there.
type Control struct {
	Session uint64 // for the server to choose
	Cancel  uint64 // end this request of the session, by its number from 1; zero begins a session, whose pipes come along: to read from, and to write to
}

// ControlSize is how long a packet is.
const ControlSize = 16

// Append appends c's packet.
func (c Control) Append(b []byte) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, c.Session), c.Cancel)
}

// Decode reads a packet.
func (c *Control) Decode(p []byte) error {
	if len(p) != ControlSize {
		return ErrFrame
	}
	c.Session, c.Cancel = binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:])
	return nil
}
