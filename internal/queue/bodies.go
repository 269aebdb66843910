package queue

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/millicent-run/millicent/internal/durable"
)

// bodies is the directory of the bodies that are too large for the log: each
// in a file with a random name, written once.
type bodies struct{ dir string }

// openBodies opens the directory, which is made if need be. Without a
// directory, there can be no large bodies.
func openBodies(dir string) (*bodies, error) {
	if dir == "" {
		return &bodies{}, nil
	}
	dir = filepath.Join(dir, "bodies")
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of bodies: %w", err)
	}
	return &bodies{dir}, nil
}

func (b *bodies) name(f bodyFile) string {
	return filepath.Join(b.dir, hex.EncodeToString(f.id[:]))
}

// write keeps a body, durably.
func (b *bodies) write(body []byte) (bodyFile, error) {
	if b.dir == "" {
		return bodyFile{}, errors.New("there is no directory for large bodies")
	}
	f := bodyFile{size: int64(len(body))}
	_, _ = rand.Read(f.id[:]) // never fails
	if err := durable.WriteFile(b.name(f), body, 0o600); err != nil {
		b.remove([]bodyFile{f})
		return bodyFile{}, err
	}
	return f, nil
}

// read returns a body.
func (b *bodies) read(f bodyFile) ([]byte, error) {
	file, err := os.Open(b.name(f))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	body := make([]byte, f.size)
	if _, err := io.ReadFull(file, body); err != nil {
		return nil, fmt.Errorf("read body %x: %w", f.id, err)
	}
	return body, nil
}

// remove removes bodies. What can't be removed now is swept at the next Open.
func (b *bodies) remove(files []bodyFile) {
	for _, f := range files {
		if f.size > 0 {
			os.Remove(b.name(f))
		}
	}
}

// sweep removes the files that no message refers to: a crash left them.
func (b *bodies) sweep(refs map[[16]byte]int) error {
	if b.dir == "" {
		return nil
	}
	d, err := os.Open(b.dir)
	if err != nil {
		return fmt.Errorf("sweep bodies: %w", err)
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(1000)
		for _, name := range names {
			var id [16]byte
			if n, err := hex.Decode(id[:], []byte(name)); len(name) == 32 && err == nil && n == 16 && refs[id] > 0 {
				continue
			}
			if err := os.Remove(filepath.Join(b.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("sweep bodies: %w", err)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("sweep bodies: %w", err)
		}
	}
}
