package telemetry

import (
	"io/fs"
	"slices"
	"strings"
	"time"
)

// sweepEvery is how often the logs are searched for what has expired.
const sweepEvery = time.Hour

// A fileInfo is a log file with its last change.
type fileInfo struct {
	key functionKey
	logFile
	changed time.Time
}

// surplus returns which files have to go at now: those last changed more than
// maxAge ago, and of the others the oldest as long as they exceed maxBytes.
// When they do, a tenth more goes, so that it is not to be done again soon.
func surplus(files []fileInfo, now time.Time, maxAge time.Duration, maxBytes int64) []fileInfo {
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(a, b fileInfo) int { return a.changed.Compare(b.changed) })
	var total int64
	for _, f := range files {
		total += f.size
	}
	target := maxBytes
	n := 0
	for ; n < len(files); n++ {
		expired := now.Sub(files[n].changed) > maxAge
		if !expired && total > target {
			target = maxBytes - maxBytes/10
		}
		if !expired && total <= target {
			break
		}
		total -= files[n].size
	}
	return files[:n]
}

// sweep removes what has expired, and empty folders.
func (l *Logs) sweep(now time.Time) {
	folders, err := fs.Glob(l.root.FS(), "*/*")
	if err != nil {
		panic(err) // the pattern is good
	}
	var all []fileInfo
	var total int64
	for _, folder := range folders {
		tenant, name, _ := strings.Cut(folder, "/")
		key := functionKey{tenant, name}
		if !key.valid() {
			continue
		}
		infos, err := l.list(key)
		if err != nil {
			l.cfg.Log.Warn("log folder can't be read", "function", name, "error", err)
			continue
		}
		all = append(all, infos...)
	}
	for _, f := range all {
		total += f.size
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	l.total = total
	for _, f := range surplus(all, now, l.cfg.MaxAge, l.cfg.TotalBytes) {
		delete(l.journals, f.key)
		if l.remove(f.key, f.logFile) {
			// Fails where there are more files, and is meant to.
			_ = l.root.Remove(f.key.dir())
		}
	}
}
