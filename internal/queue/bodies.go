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
	if err := os.MkdirAll(dir, 0o700); err != nil {
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
	name := b.name(f)
	if err := writeSynced(name+".new", body); err != nil {
		os.Remove(name + ".new")
		return bodyFile{}, err
	}
	if err := os.Rename(name+".new", name); err != nil {
		os.Remove(name + ".new")
		return bodyFile{}, err
	}
	if err := syncDir(b.dir); err != nil {
		os.Remove(name)
		return bodyFile{}, err
	}
	return f, nil
}

func writeSynced(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
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
