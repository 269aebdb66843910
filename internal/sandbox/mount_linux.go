package sandbox

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/internal/sandbox/rootfs"
)

// open returns m's directory as a mount, attached nowhere.
func (m Mount) open() (*os.File, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	fd, err := rootfs.Clone(unix.AT_FDCWD, m.Source, rootfs.ReadOnly|rootfs.NoSuid|rootfs.NoDev)
	if err != nil {
		return nil, fmt.Errorf("show %s: %w", m.Source, err)
	}
	return os.NewFile(uintptr(fd), m.Source), nil
}

func (m Mount) check() error {
	for _, p := range []string{m.Source, m.Target} {
		if !filepath.IsAbs(p) || filepath.Clean(p) != p || p == "/" {
			return fmt.Errorf("mount of %q at %q: not clean absolute paths", m.Source, m.Target)
		}
	}
	return nil
}
