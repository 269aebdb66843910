package telemetry

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/millicent-run/millicent"
)

// Bounds of a search for an invocation. One at a time is made.
const (
	searchBytes = 2 << 30
	searchTime  = 10 * time.Second
)

// An InvocationQuery names an invocation.
type InvocationQuery struct {
	Tenant     string
	Function   string // empty: any of the tenant's
	Invocation string // request id
}

// Explain finds an invocation in the logs: by its report, which is the last
// of its records, or where there is none yet by another one. Searches take
// turns, and each is bounded; the newest files are read first.
//
// Errors have CodeNotFound, which says how far the search went; CodeThrottled
// when its turn does not come; CodeInvalid for an impossible name.
func (l *Logs) Explain(ctx context.Context, q InvocationQuery) (*millicent.Explanation, error) {
	if !validName(q.Tenant) || !validName(q.Invocation) || q.Function != "" && !validName(q.Function) {
		return nil, millicent.Errorf(millicent.CodeInvalid, "The name of the invocation is not valid.")
	}
	ctx, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	select {
	case l.searching <- struct{}{}:
		defer func() { <-l.searching }()
	case <-ctx.Done():
		return nil, millicent.Errorf(millicent.CodeThrottled, "Other logs are being searched.")
	}
	if err := l.sync(ctx); err != nil {
		return nil, err
	}
	files, err := l.searched(q)
	if err != nil {
		return nil, err
	}
	return l.search(ctx, q, files)
}

// searched returns the files in which an invocation may be, the latest changed
// first.
func (l *Logs) searched(q InvocationQuery) ([]fileInfo, error) {
	functions := []string{q.Function}
	if q.Function == "" {
		entries, err := fs.ReadDir(l.root.FS(), q.Tenant)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		functions = functions[:0]
		for _, entry := range entries {
			if validName(entry.Name()) {
				functions = append(functions, entry.Name())
			}
		}
	}
	var files []fileInfo
	for _, name := range functions {
		infos, err := l.list(functionKey{q.Tenant, name})
		if err != nil {
			return nil, err
		}
		files = append(files, infos...)
	}
	slices.SortFunc(files, func(a, b fileInfo) int {
		return cmp.Or(b.changed.Compare(a.changed), cmp.Compare(b.seq, a.seq))
	})
	return files, nil
}

// search reads files until the invocation is found or a bound is reached.
func (l *Logs) search(ctx context.Context, q InvocationQuery, files []fileInfo) (*millicent.Explanation, error) {
	left := int64(searchBytes)
	for _, file := range files {
		if ctx.Err() != nil || left < file.size {
			return nil, millicent.Errorf(millicent.CodeNotFound,
				"The invocation %s is not in the newest logs, and not all could be searched: name its function.", q.Invocation)
		}
		left -= file.size
		e, err := l.searchFile(ctx, q.Invocation, file)
		if err != nil || e != nil {
			return e, err
		}
	}
	return nil, millicent.Errorf(millicent.CodeNotFound,
		"No invocation %s is in the logs. Those that the platform refused are not, and logs expire.", q.Invocation)
}

// searchFile returns nil where the invocation is not in a file, the file is of
// another version, or has gone.
func (l *Logs) searchFile(ctx context.Context, id string, file fileInfo) (*millicent.Explanation, error) {
	f, err := l.root.Open(file.key.path(file.seq))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if checkHeader(f) != nil {
		return nil, nil
	}
	needle := []byte(`"invocation":"` + id + `"`)
	if has, err := contains(ctx, f, file.size, needle); !has || err != nil {
		return nil, err
	}
	for line, err := range linesBackward(f, file.size) {
		if err != nil {
			return nil, err
		}
		if !bytes.Contains(line, needle) {
			continue
		}
		if rec, err := decodeLine(line); err == nil && rec.Invocation == id && keyOf(&rec) == file.key {
			return explanation(&rec), nil
		}
	}
	return nil, nil
}

// contains reports whether the first size bytes of r hold needle: most files
// do not, and to read lines takes ten times as long. It ends early with ctx.
func contains(ctx context.Context, r io.ReaderAt, size int64, needle []byte) (bool, error) {
	b := make([]byte, 4*block)
	for at := int64(0); at < size && ctx.Err() == nil; {
		n, err := r.ReadAt(b[:min(int64(len(b)), size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		if bytes.Contains(b[:n], needle) {
			return true, nil
		}
		if n < len(b) {
			break
		}
		at += int64(n - len(needle) + 1)
	}
	return false, nil
}

// explanation makes one of an invocation's last record.
func explanation(rec *millicent.LogRecord) *millicent.Explanation {
	e := &millicent.Explanation{
		Invocation: rec.Invocation, Function: rec.Function, Version: rec.Version, Environment: rec.Stream,
		Time: time.UnixMicro(rec.Time).UTC(),
	}
	if rep, ok := parseReport(rec.Message, rec.Invocation); ok {
		e.Report, e.Delay = rep, rec.Delay
		if rep.Status == "" { // a line of text that names no end of the platform's making
			rep.Status, rep.ErrorType = "success", rec.ErrorType
			if rec.ErrorType != "" {
				rep.Status = "error"
			}
		}
	}
	return e
}
