package wasm

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
)

// A budget refuses guests memory before the process has none left, so that it
// is the guest that fails and not the process. What memories have beyond their
// images is counted when they grow, whether they use it or not; all else of the
// process is looked at then. Pages of images that guests write to are not
// foreseen: the limit should leave room for these.
type budget struct {
	limit int64 // bytes that the process may have; zero for no limit
	statm *os.File
	grown atomic.Int64 // bytes of memories beyond their images
	rest  atomic.Int64 // what the process had when there were none of these
	maps  atomic.Int64 // mappings of images, of all memories
}

// openBudget returns a budget of so many bytes.
func openBudget(limit int64) (*budget, error) {
	b := &budget{limit: limit}
	if limit == 0 {
		return b, nil
	}
	var err error
	if b.statm, err = os.Open("/proc/self/statm"); err != nil {
		return nil, fmt.Errorf("find out how much memory there is: %w", err)
	}
	return b, nil
}

// take reports whether a memory may grow by n bytes, which are counted then.
func (b *budget) take(n int) bool {
	if b.limit == 0 {
		return true
	}
	resident := b.resident()
	grown := b.grown.Add(int64(n))
	if grown == int64(n) {
		b.rest.Store(resident)
	}
	if max(resident+int64(n), b.rest.Load()+grown) > b.limit {
		b.grown.Add(-int64(n))
		return false
	}
	return true
}

// full reports whether the process has so much that there should be no more
// instances, either: they need little, and what growth may have leaves that.
func (b *budget) full() bool { return b.limit != 0 && b.resident() > b.limit+b.limit/16 }

// give gives bytes back.
func (b *budget) give(n int) {
	if b.limit != 0 {
		b.grown.Add(-int64(n))
	}
}

// resident is how much memory the process has; all there is where that cannot
// be found out.
func (b *budget) resident() int64 {
	var line [128]byte
	n, _ := b.statm.ReadAt(line[:], 0) // ends before the buffer does
	fields := bytes.Fields(line[:n])
	if len(fields) < 2 {
		return b.limit
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return b.limit
	}
	return pages * int64(os.Getpagesize())
}

func (b *budget) close() error {
	if b.statm == nil {
		return nil
	}
	return b.statm.Close()
}
