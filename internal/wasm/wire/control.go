package wire

import "encoding/binary"

// A Control is a packet of the server on the control connection, a pair of
// sequenced-packet sockets. The worker says nothing there: its end of it closes
// when the worker ends.
type Control struct {
	Cancel  bool   // end what the session runs; else a session begins
	Session uint64 // for the server to choose; its socket comes with the packet that begins it
}

// ControlSize is how long a packet is.
const ControlSize = 9

// Append appends c's packet.
func (c Control) Append(b []byte) []byte {
	return binary.LittleEndian.AppendUint64(appendBool(b, c.Cancel), c.Session)
}

// Decode reads a packet.
func (c *Control) Decode(p []byte) error {
	if len(p) != ControlSize || p[0] > 1 {
		return ErrFrame
	}
	c.Cancel, c.Session = p[0] == 1, binary.LittleEndian.Uint64(p[1:])
	return nil
}
