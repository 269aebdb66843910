package ledger

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

// TestConcurrent: who asks while records are counted gets whole groups, and
// never fewer than before.
func TestConcurrent(t *testing.T) {
	const groups, size = 8, 25
	books, r := testBooks(t), rand.New(rand.NewPCG(8, 8))
	s := &stream{}
	for range groups {
		records := make([]millicent.UsageRecord, size)
		for i := range records {
			records[i] = randomRecord(r, books, i)
		}
		s.append(records...)
	}
	there := 0
	var mu sync.Mutex // guards there
	l := openLedger(t, t.TempDir(), func(ctx context.Context, after uint64, each func(Group) error) error {
		mu.Lock()
		part := &stream{groups: s.groups[:there]}
		mu.Unlock()
		return part.each(ctx, after, each)
	})
	var asking sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		asking.Go(func() {
			last := int64(0)
			for {
				rows, err := l.Series(context.Background(), Query{To: now.Add(time.Hour)})
				if err != nil {
					t.Error(err)
					return
				}
				if len(rows) == 1 {
					if n := rows[0].Records; n < last || n%size != 0 {
						t.Errorf("%d records after %d", n, last)
						return
					}
					last = rows[0].Records
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for range groups {
		mu.Lock()
		there++
		mu.Unlock()
		catchUp(t, l)
	}
	close(done)
	asking.Wait()
	if l.Through() != groups {
		t.Errorf("counted up to group %d", l.Through())
	}
}
