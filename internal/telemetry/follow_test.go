package telemetry

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

// TestFollowHasNoGapAndNoDouble begins to follow again and again while
// records are written.
func TestFollowHasNoGapAndNoDouble(t *testing.T) {
	l := open(t, LogsConfig{FileBytes: 20_000})
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			l.Write(record("a", strconv.Itoa(i)))
			if i%50 == 0 {
				_ = l.sync(t.Context()) // paces the loop; Follow is what is tested
			}
		}
	}()
	enough := errors.New("enough")
	for range 150 {
		last, n := 0, 0
		err := l.Follow(t.Context(), Query{Tenant: tenant, Function: "a", Limit: 5}, func(rec millicent.LogRecord) error {
			number, err := strconv.Atoi(rec.Message)
			if err != nil || n > 0 && number != last+1 {
				t.Errorf("%q came after %d", rec.Message, last)
			}
			if last, n = number, n+1; n == 10 {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) {
			t.Fatalf("Follow returned %v, want emit's error", err)
		}
	}
	close(stop)
	<-stopped
}

func TestFollowFromTheNewest(t *testing.T) {
	l := open(t, LogsConfig{})
	for i := 1; i <= 10; i++ {
		l.Write(record("a", strconv.Itoa(i)))
	}
	read(t, l, Query{Function: "a"})
	ctx, cancel := context.WithCancel(t.Context())
	var got []string
	err := l.Follow(ctx, Query{Tenant: tenant, Function: "a", Limit: 3}, func(rec millicent.LogRecord) error {
		switch got = append(got, rec.Message); len(got) {
		case 3:
			l.Write(record("b", "of another"))
			l.Write(record("a", "11"))
		case 4:
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Errorf("Follow returned %v at the end of its context", err)
	}
	wantMessages(t, got, numbers(8, 11))
	if l.following != 0 || len(l.followers) != 0 {
		t.Errorf("%d followers are left", l.following)
	}
}

func TestFollowUntilClose(t *testing.T) {
	l := open(t, LogsConfig{})
	var got []string
	result := make(chan error)
	began := make(chan struct{})
	l.Write(record("a", "1"))
	read(t, l, Query{Function: "a"})
	go func() {
		result <- l.Follow(t.Context(), Query{Tenant: tenant, Function: "a"}, func(rec millicent.LogRecord) error {
			if got = append(got, rec.Message); len(got) == 1 {
				close(began)
			}
			return nil
		})
	}()
	<-began
	l.Write(record("a", "2"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Errorf("Follow returned %v", err)
	}
	wantMessages(t, got, numbers(1, 2))
	err := l.Follow(t.Context(), Query{Tenant: tenant, Function: "a"}, nil)
	if millicent.ErrorCode(err) != millicent.CodeServerUnavailable {
		t.Errorf("Follow after Close returned %v", err)
	}
}

func TestSlowFollowerIsToldSo(t *testing.T) {
	l := open(t, LogsConfig{})
	message := strings.Repeat("x", 100_000)
	l.Write(record("a", "first"))
	read(t, l, Query{Function: "a"})
	var got []string
	err := l.Follow(t.Context(), Query{Tenant: tenant, Function: "a"}, func(rec millicent.LogRecord) error {
		if got = append(got, rec.Message); len(got) == 1 {
			for range followBytes/len(message) + 10 { // while emit is stuck
				l.Write(record("a", message))
				if err := l.sync(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
		return nil
	})
	if millicent.ErrorCode(err) != millicent.CodeThrottled {
		t.Errorf("Follow returned %v, want %s", err, millicent.CodeThrottled)
	}
	if n := len(got); n < 30 || n > followBytes/len(message)+2 || !strings.Contains(got[n-1], "platform.logsDropped") {
		t.Errorf("got %d records, the last one is %.100s", n, got[n-1])
	}
	// The log itself is whole.
	if n := len(read(t, l, Query{Function: "a"})); n != followBytes/len(message)+11 {
		t.Errorf("%d records are kept", n)
	}
}

func TestTooManyFollowers(t *testing.T) {
	l := open(t, LogsConfig{})
	for range maxFollowers {
		if _, err := l.follow(functionKey{tenant, "a"}, newBuffer(1)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := l.Follow(ctx, Query{Tenant: tenant, Function: "a"}, nil); millicent.ErrorCode(err) != millicent.CodeThrottled {
		t.Errorf("got %v, want %s", err, millicent.CodeThrottled)
	}
}
