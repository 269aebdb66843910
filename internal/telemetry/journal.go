package telemetry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/millicent-run/millicent"
)

// A functionKey names a function's log.
type functionKey struct{ tenant, name string }

// valid reports whether both names are safe as names of folders: what a
// tenant or a function may be called, and no more.
func (k functionKey) valid() bool { return validName(k.tenant) && validName(k.name) }

func validName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

func (k functionKey) dir() string { return path.Join(k.tenant, k.name) }

func keyOf(rec *millicent.LogRecord) functionKey { return functionKey{rec.Tenant, rec.Function} }

// A logFile is one file of a function's log.
type logFile struct {
	seq  uint64
	size int64
}

const fileSuffix = ".jsonl"

func (k functionKey) path(seq uint64) string {
	return path.Join(k.dir(), fmt.Sprintf("%012d%s", seq, fileSuffix))
}

// parseFileName returns the number of a log file; false for any other file.
func parseFileName(name string) (seq uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, fileSuffix)
	if !ok || len(digits) < 12 {
		return 0, false
	}
	seq, err := strconv.ParseUint(digits, 10, 63)
	return seq, err == nil
}

// A journal is what is known of the files of a function's log. The last file
// is the one that is written.
type journal struct {
	key   functionKey
	files []logFile // by number; may be empty
	torn  bool      // the last file does not end in a newline
	fresh bool      // the next record begins a new file
}

// journal returns a function's journal, from its folder the first time; nil
// when it has no folder. The lock is held.
func (l *Logs) journal(key functionKey) (*journal, error) {
	if j := l.journals[key]; j != nil {
		return j, nil
	}
	infos, err := l.list(key)
	if err != nil || infos == nil {
		return nil, err
	}
	j := &journal{key: key}
	for _, info := range infos {
		j.files = append(j.files, info.logFile)
	}
	if err := l.inspect(j); err != nil {
		return nil, err
	}
	l.journals[key] = j
	return j, nil
}

// list returns the log files in a function's folder by number; nil when there
// is no folder.
func (l *Logs) list(key functionKey) ([]fileInfo, error) {
	entries, err := fs.ReadDir(l.root.FS(), key.dir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	infos := make([]fileInfo, 0, len(entries))
	for _, entry := range entries {
		seq, ok := parseFileName(entry.Name())
		if !ok || !entry.Type().IsRegular() {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, fileInfo{key, logFile{seq, info.Size()}, info.ModTime()})
	}
	slices.SortFunc(infos, func(a, b fileInfo) int {
		if a.seq < b.seq {
			return -1
		}
		return 1
	})
	return infos, nil
}

// inspect looks at how the last file, of an earlier run, begins and ends.
func (l *Logs) inspect(j *journal) error {
	if len(j.files) == 0 {
		return nil
	}
	last := j.files[len(j.files)-1]
	f, err := l.root.Open(j.key.path(last.seq))
	if err != nil {
		return err
	}
	defer f.Close()
	if checkHeader(f) != nil {
		j.fresh = true // torn at its beginning, or of another version: leave it alone
		return nil
	}
	var end [1]byte
	if _, err := f.ReadAt(end[:], last.size-1); err != nil {
		return err
	}
	j.torn = end[0] != '\n'
	return nil
}

// append writes records to the end of a function's log and begins new files
// as it must. It returns how many records are in files. The lock is held.
func (l *Logs) append(key functionKey, records []millicent.LogRecord) (written int, err error) {
	j, err := l.journal(key)
	if err != nil {
		return 0, err
	}
	if j == nil {
		if err := l.root.MkdirAll(key.dir(), 0o700); err != nil {
			return 0, err
		}
		j = &journal{key: key}
		l.journals[key] = j
	}
	for written < len(records) {
		l.lines = l.lines[:0]
		room := l.cfg.FileBytes - j.size()
		n := 0
		for written+n < len(records) {
			before := len(l.lines)
			l.lines = appendRecord(l.lines, &records[written+n])
			if int64(len(l.lines)) > room && (n > 0 || !j.empty()) {
				l.lines = l.lines[:before]
				break
			}
			n++
		}
		if n > 0 {
			if err := l.extend(j, l.lines); err != nil {
				delete(l.journals, key) // look again at how the file ends
				return written, err
			}
			written += n
		}
		if written < len(records) {
			j.fresh = true
		}
	}
	return written, nil
}

// size returns the size of the file that the next record goes to.
func (j *journal) size() int64 {
	if j.empty() {
		return int64(len(headerLine()))
	}
	return j.files[len(j.files)-1].size
}

// empty reports whether the next record begins a file.
func (j *journal) empty() bool { return j.fresh || len(j.files) == 0 }

// extend writes whole lines to the end of j's last file, or to a new one.
func (l *Logs) extend(j *journal, lines []byte) error {
	if j.empty() {
		var seq uint64 = 1
		if n := len(j.files); n > 0 {
			seq = j.files[n-1].seq + 1
		}
		j.files = append(j.files, logFile{seq: seq})
		lines = append(headerLine(), lines...)
		j.fresh, j.torn = false, false
		l.shorten(j, int64(len(lines)))
	} else if j.torn {
		lines = append([]byte("\n"), lines...)
		j.torn = false
	}
	last := &j.files[len(j.files)-1]
	f, err := l.root.OpenFile(j.key.path(last.seq), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	n, err := f.Write(lines)
	last.size += int64(n)
	l.total += int64(n)
	return errors.Join(err, f.Close())
}

// shorten removes j's oldest files until a new one of FileBytes fits.
func (l *Logs) shorten(j *journal, more int64) {
	sum := max(more, l.cfg.FileBytes)
	for _, f := range j.files {
		sum += f.size
	}
	for len(j.files) > 1 && sum > l.cfg.FunctionBytes {
		f := j.files[0]
		if !l.remove(j.key, f) {
			return
		}
		j.files = j.files[1:]
		sum -= f.size
	}
}

// remove removes a file; what can't be removed is left to the next sweep.
func (l *Logs) remove(key functionKey, f logFile) bool {
	if err := l.root.Remove(key.path(f.seq)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.cfg.Log.Warn("log file can't be removed", "function", key.name, "error", err)
		return false
	}
	l.total -= f.size
	return true
}
