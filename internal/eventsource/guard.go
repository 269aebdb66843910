package eventsource

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// What a NATS server may send: it is a stranger's. The client library makes
// room for as much as the server announces.
const (
	maxLine    = 64 << 10 // of control, the longest is an INFO
	maxMessage = 8 << 20  // bytes of a message; NATS advises against more
)

var errLine = errors.New("the NATS server sent a line that is none of the protocol")

// greet reads a server's INFO, does the TLS handshake when it is to be done,
// and returns the connection as one without TLS.
func greet(ctx context.Context, raw net.Conn, d *dialer) (net.Conn, error) {
	deadline, _ := ctx.Deadline()
	if err := raw.SetDeadline(deadline); err != nil {
		return nil, err
	}
	line, err := readLine(raw)
	if err != nil {
		return nil, err
	}
	line, wanted, err := withoutTLS(line)
	if err != nil {
		return nil, err
	}
	conn := raw
	if wanted || d.tls {
		secure := tls.Client(raw, &tls.Config{ServerName: d.host, RootCAs: d.roots, MinVersion: tls.VersionTLS12})
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = secure
	}
	if err := raw.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	return &guarded{Conn: conn, in: io.MultiReader(bytes.NewReader(line), conn)}, nil
}

// readLine reads a line and nothing beyond it.
func readLine(r io.Reader) ([]byte, error) {
	var line []byte
	for one := make([]byte, 1); len(line) < maxLine; {
		if _, err := io.ReadFull(r, one); err != nil {
			return nil, fmt.Errorf("no greeting came: %w", err)
		}
		if line = append(line, one[0]); one[0] == '\n' {
			return line, nil
		}
	}
	return nil, errLine
}

// withoutTLS returns an INFO line that asks for no TLS, and whether it did.
func withoutTLS(line []byte) (plain []byte, required bool, err error) {
	rest, ok := bytes.CutPrefix(line, []byte("INFO "))
	if !ok {
		return nil, false, errLine
	}
	var info map[string]json.RawMessage
	if err := json.Unmarshal(rest, &info); err != nil {
		return nil, false, fmt.Errorf("%w: %w", errLine, err)
	}
	required = string(info["tls_required"]) == "true"
	delete(info, "tls_required")
	delete(info, "tls_available")
	plain, err = json.Marshal(info)
	return bytes.Join([][]byte{[]byte("INFO "), plain, []byte("\r\n")}, nil), required, err
}

// guarded is a connection whose reader ends with an error where the server
// announces more than it may send.
type guarded struct {
	net.Conn
	in io.Reader

	line []byte // of control, as far as it has come
	skip int    // bytes of a message that are still to come
	end  string // what has to follow it
}

func (g *guarded) Read(p []byte) (int, error) {
	n, err := g.in.Read(p)
	if wrong := g.look(p[:n]); wrong != nil {
		return 0, wrong
	}
	return n, err
}

// look follows what was read. It allows only what cannot be read in two ways.
func (g *guarded) look(p []byte) error {
	for len(p) > 0 {
		if g.skip > 0 {
			n := min(g.skip, len(p))
			g.skip, p = g.skip-n, p[n:]
			continue
		}
		if g.end != "" {
			if p[0] != g.end[0] {
				return errLine
			}
			g.end, p = g.end[1:], p[1:]
			continue
		}
		part, rest, whole := bytes.Cut(p, []byte("\n"))
		if g.line = append(g.line, part...); len(g.line) > maxLine {
			return errLine
		}
		if !whole {
			return nil
		}
		size, message, err := announced(g.line)
		if err != nil {
			return err
		}
		g.line, p = g.line[:0], rest
		if message {
			g.skip, g.end = size, "\r\n"
		}
	}
	return nil
}

// announced returns what a control line without its end says of the message
// that follows, if one does: its size is the last word of MSG and HMSG. Lines
// of these are taken in their one plain form, so that nobody reads another
// size out of them.
func announced(line []byte) (size int, message bool, err error) {
	verb, rest, _ := bytes.Cut(line, []byte(" "))
	if len(verb) == 0 || !bytes.ContainsAny(verb[:1], "MmHh") {
		return 0, false, nil
	}
	args, ok := bytes.CutSuffix(rest, []byte("\r"))
	digits := args[bytes.LastIndexByte(args, ' ')+1:]
	if !ok || string(verb) != "MSG" && string(verb) != "HMSG" || bytes.ContainsAny(args, "\t\r") || len(digits) == 0 || digits[0] < '0' || digits[0] > '9' {
		return 0, false, errLine
	}
	size, err = strconv.Atoi(string(digits))
	switch {
	case err != nil:
		return 0, false, errLine
	case size > maxMessage:
		return 0, false, fmt.Errorf("the NATS server announced a message of %d bytes", size)
	}
	return size, true, nil
}
