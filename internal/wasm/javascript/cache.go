package javascript

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/millicent-run/millicent/internal/wasm/sealed"
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
	if b := c.Find(digest, handler); b != nil {
		return b, true, nil
	}
	name := fileName(digest, handler)
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

// Find returns the bundle that Make would return, if it is kept; else nil.
func (c Cache) Find(digest, handler string) *Bundle {
	name := fileName(digest, handler)
	for _, dir := range []string{c.Dir, c.Kept} {
		if content, err := os.ReadFile(filepath.Join(dir, name)); dir != "" && err == nil {
			if b := decode(content); b != nil {
				return b
			}
		}
	}
	return nil
}

// fileName is what a bundle is kept as.
func fileName(digest, handler string) string {
	key := sha256.Sum256(fmt.Appendf(nil, "%s\n%q\n%q", cacheFormat, digest, handler))
	return "javascript-" + hex.EncodeToString(key[:16])
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

type head struct {
	Name     string   `json:"name"`
	Sources  []string `json:"sources"`
	Mappings string   `json:"mappings"`
}

// encode returns b as a sealed file, whose content is the code.
func (b *Bundle) encode() []byte { return sealed.Seal(head{b.Name, b.sources, b.mappings}, b.Code) }

// decode reads what encode wrote; nil for anything else.
func decode(file []byte) *Bundle {
	var h head
	code, ok := sealed.Open(file, &h)
	if !ok {
		return nil
	}
	return &Bundle{Name: h.Name, Code: code, sources: h.Sources, mappings: h.Mappings}
}
