package server

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/millicent-run/millicent/internal/durable"
)

// makeData makes the data directory and closes it to other users. A directory
// that is not empty and not ours is left alone: a slip in --data must not
// change it.
func makeData(dir string) error {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read the data directory: %w", err)
	}
	fresh := len(entries) == 0 || len(entries) == 1 && entries[0].Name() == "lost+found" // a file system of its own
	if !fresh {
		if _, err := os.Stat(filepath.Join(dir, "standalone")); err != nil {
			return fmt.Errorf("%s is not a data directory of millicent, and it is not empty", dir)
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("close the data directory to others: %w", err)
	}
	return nil
}

// hostName derives the name of a server's cgroups and images from its data
// directory: the next server on the directory, and no other, may sweep them.
func hostName(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return "millicent-" + hex.EncodeToString(sum[:6])
}

const secretSize = 32

// loadSecret returns the data directory's secret, made at first use.
func loadSecret(dir string) ([]byte, error) {
	name := filepath.Join(dir, "secret")
	secret, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return makeSecret(name)
	case err != nil:
		return nil, fmt.Errorf("read the secret: %w", err)
	case len(secret) != secretSize:
		return nil, fmt.Errorf("the secret %s has %d bytes instead of %d", name, len(secret), secretSize)
	}
	return secret, nil
}

// makeSecret writes a new secret.
func makeSecret(name string) ([]byte, error) {
	secret := make([]byte, secretSize)
	_, _ = rand.Read(secret) // it never fails
	if err := durable.WriteFile(name, secret, 0o600); err != nil {
		return nil, fmt.Errorf("make the secret: %w", err)
	}
	return secret, nil
}
