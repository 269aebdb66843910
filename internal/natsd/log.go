package natsd

import (
	"fmt"
	"log/slog"
	"sync"
)

// logBridge hands the server's warnings and errors to our log; its notices
// and traces are for the server's own developers.
type logBridge struct {
	log *slog.Logger

	mu       sync.Mutex
	starting bool  // fatal messages are for Start to return
	err      error // first of them
}

func (b *logBridge) Noticef(string, ...any) {}
func (b *logBridge) Debugf(string, ...any)  {}
func (b *logBridge) Tracef(string, ...any)  {}

func (b *logBridge) Warnf(format string, args ...any) {
	b.log.Warn("state server", "message", fmt.Sprintf(format, args...))
}

func (b *logBridge) Errorf(format string, args ...any) {
	b.log.Error("state server", "message", fmt.Sprintf(format, args...))
}

// Fatalf is what the server calls before it gives up: while it starts, Start
// returns it as its error; afterwards it can only be logged.
func (b *logBridge) Fatalf(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.starting && b.err == nil {
		b.err = fmt.Errorf(format, args...)
		return
	}
	b.log.Error("state server", "message", fmt.Sprintf(format, args...))
}

// started ends the start and returns what made it fail.
func (b *logBridge) started() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.starting = false
	return b.err
}
