package main

import (
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"
)

// stream answers with the time right before its first write, then with so
// many MB.
func stream(mb int) io.Reader {
	parts := []io.Reader{&stamp{}}
	block := strings.Repeat("x", 1<<20)
	for range mb {
		parts = append(parts, strings.NewReader(block))
	}
	return io.MultiReader(parts...)
}

// A stamp is the time when it is read.
type stamp struct{ read bool }

// Read implements io.Reader.
func (s *stamp) Read(p []byte) (int, error) {
	if s.read {
		return 0, io.EOF
	}
	s.read = true
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0, err
	}
	return copy(p, fmt.Sprintf("@%d\n", now.Nano())), nil
}
