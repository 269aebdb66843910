package natsd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/internal/durable"
)

// formatVersion is the version of the directory's layout.
const formatVersion = 1

// modeStandalone is the mode of a directory that one server uses by itself.
const modeStandalone = "standalone"

// format is the content of format.json.
type format struct {
	Format int    `json:"format"`
	Mode   string `json:"mode"`
}

// Blocks returns the directory of a stream's blocks, in the directory of a
// server's state.
func Blocks(dir, stream string) string {
	return filepath.Join(dir, "jetstream", "jetstream", "$G", "streams", stream, "msgs")
}

// lockDir takes the directory's lock, which lasts until the file is closed or
// the process ends. The lock belongs to the open file, so that a second server
// in the same process is refused as well.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the state directory: %w", err)
	}
	if err := lock(f); err != nil {
		defer f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("the data directory %s is in use by another millicent server%s", dir, holder(f))
		}
		return nil, fmt.Errorf("lock the state directory %s: %w", dir, err)
	}
	if err := writeHolder(f); err != nil {
		return nil, errors.Join(fmt.Errorf("write the lock of the state directory: %w", err), f.Close())
	}
	return f, nil
}

// lockTime is how long a lock is waited for: a server that was killed while it
// began a process has left its lock to that, until it is another program.
const lockTime = time.Second

// lock takes a file's lock.
func lock(f *os.File) error {
	for late := time.Now().Add(lockTime); ; time.Sleep(lockTime / 100) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(late) {
			return err
		}
	}
}

// holder names the process that holds a lock file, for the message.
func holder(f *os.File) string {
	b := make([]byte, 20)
	n, _ := f.ReadAt(b, 0) // io.EOF is expected, and without a number there is just less to say
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}

func writeHolder(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// checkFormat refuses a directory that this program must not open, and marks
// a new one.
func checkFormat(dir string) error {
	name := filepath.Join(dir, "format.json")
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return writeFormat(dir, name)
	}
	if err != nil {
		return fmt.Errorf("read the format of the state directory: %w", err)
	}
	return decideFormat(dir, b)
}

// decideFormat says whether the content of format.json is one that this
// program can open.
func decideFormat(dir string, content []byte) error {
	var f format
	if err := json.Unmarshal(content, &f); err != nil {
		return fmt.Errorf("the state directory %s has a damaged format.json: %w", dir, err)
	}
	switch {
	case f.Format > formatVersion:
		return fmt.Errorf("the state directory %s has format %d, written by a newer millicent; this one knows formats up to %d",
			dir, f.Format, formatVersion)
	case f.Format < 1:
		return fmt.Errorf("the state directory %s has a damaged format.json: format %d", dir, f.Format)
	case f.Mode != modeStandalone:
		return fmt.Errorf("the state directory %s belongs to a server of mode %q; a standalone server cannot open it", dir, f.Mode)
	}
	return nil
}

func writeFormat(dir, name string) error {
	if _, err := os.Stat(filepath.Join(dir, "jetstream")); err == nil {
		return fmt.Errorf("the state directory %s holds data but no format.json; it was not written by millicent", dir)
	}
	b, err := json.Marshal(format{Format: formatVersion, Mode: modeStandalone})
	if err != nil {
		return err
	}
	if err := durable.WriteFile(name, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the format of the state directory: %w", err)
	}
	return nil
}
