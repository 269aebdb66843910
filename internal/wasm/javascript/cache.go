package javascript

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// A Cache keeps bundles in a directory. What it has can be made again, and what
// is damaged is.
type Cache struct {
	Dir  string // "" for no cache
	Kept string // another one, to read; "" for none

	Added func(name string) // is told the name of a new file
}

// cacheFormat is part of the keys: it changes with what Make makes.
const cacheFormat = "bundle-1"

// Make returns the bundle of a package whose content has a digest, and whether
// it was kept from before.
func (c Cache) Make(ctx context.Context, digest, dir, handler string) (b *Bundle, kept bool, err error) {
	if c.Dir == "" {
		b, err = Make(ctx, dir, handler)
		return b, false, err
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%s\n%q\n%q", cacheFormat, digest, handler))
	name := "javascript-" + hex.EncodeToString(key[:16])
	for _, dir := range []string{c.Dir, c.Kept} {
		if content, err := os.ReadFile(filepath.Join(dir, name)); dir != "" && err == nil {
			if b := decode(content); b != nil {
				return b, true, nil
			}
		}
	}
	if b, err = Make(ctx, dir, handler); err != nil {
		return nil, false, err
	}
	if err := write(filepath.Join(c.Dir, name), b.encode()); err != nil {
		return nil, false, fmt.Errorf("keep a bundle: %w", err)
	}
	if c.Added != nil {
		c.Added(name)
	}
	return b, false, nil
}

// write puts a whole file in place.
func write(file string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // what it is for has failed already
	}
	return err
}

// encode returns b as a file: a digest of the rest, the size of the head, the
// head as JSON, and the code.
func (b *Bundle) encode() []byte {
	head, err := json.Marshal(head{b.Name, b.sources, b.mappings})
	if err != nil {
		panic(fmt.Sprintf("javascript: encode a bundle: %v", err)) // strings
	}
	out := make([]byte, sha256.Size, sha256.Size+4+len(head)+len(b.Code))
	out = binary.LittleEndian.AppendUint32(out, uint32(len(head)))
	out = append(append(out, head...), b.Code...)
	digest := sha256.Sum256(out[sha256.Size:])
	copy(out, digest[:])
	return out
}

type head struct {
	Name     string   `json:"name"`
	Sources  []string `json:"sources"`
	Mappings string   `json:"mappings"`
}

// decode reads what encode wrote; nil for anything else.
func decode(file []byte) *Bundle {
	if len(file) < sha256.Size+4 {
		return nil
	}
	rest := file[sha256.Size:]
	if digest := sha256.Sum256(rest); !bytes.Equal(digest[:], file[:sha256.Size]) {
		return nil
	}
	n := uint64(binary.LittleEndian.Uint32(rest))
	if rest = rest[4:]; n > uint64(len(rest)) {
		return nil
	}
	var h head
	if json.Unmarshal(rest[:n], &h) != nil {
		return nil
	}
	return &Bundle{Name: h.Name, Code: rest[n:], sources: h.Sources, mappings: h.Mappings}
}
