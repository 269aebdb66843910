package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// A ledger holds what the server acknowledged: the digest of the code by
// function. A function in open has a change under way whose answer may never
// come: it may then have either code.
type ledger struct {
	mu    sync.Mutex
	acked map[string]string
	open  map[string]bool
}

// begin notes that a change of a function is about to be sent, end that it was
// acknowledged (with a digest) or refused (without).
func (l *ledger) begin(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[name] = true
}

func (l *ledger) end(name, sha string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, name)
	if sha != "" {
		l.acked[name] = sha
	}
}

// deployer creates and updates functions of its own until ctx ends or the
// server is gone.
func (l *ledger) deployer(ctx context.Context, s *server, id, round int) {
	for n := 0; ctx.Err() == nil; n++ {
		name := fmt.Sprintf("crash-%d-%d-%d", round, id, n)
		for k := range 3 {
			l.begin(name)
			sha, err := deploy(ctx, s, name, k)
			var busy *types.ResourceConflictException
			if err != nil && !errors.As(err, &busy) {
				return // the server is gone; whether it took this change stays open
			}
			l.end(name, sha)
		}
	}
}

// deploy creates a function (k = 0) or updates its code and returns the digest.
func deploy(ctx context.Context, s *server, name string, k int) (string, error) {
	zip := zipOf(s.t, map[string]string{"app.py": fmt.Sprintf("def handler(e, c):\n    return '%s-%d'\n", name, k)})
	if k == 0 {
		out, err := s.sdk().CreateFunction(ctx, &lambda.CreateFunctionInput{
			FunctionName: &name, Role: aws.String(role), Runtime: types.RuntimePython311,
			Handler: aws.String("app.handler"), Code: &types.FunctionCode{ZipFile: zip},
		})
		if err != nil {
			return "", err
		}
		return *out.CodeSha256, nil
	}
	out, err := s.sdk().UpdateFunctionCode(ctx, &lambda.UpdateFunctionCodeInput{FunctionName: &name, ZipFile: zip})
	if err != nil {
		return "", err
	}
	return *out.CodeSha256, nil
}

// TestKillNine kills the server at random moments while it deploys and
// invokes: whatever it acknowledged is there afterwards, and no orphan is left.
func TestKillNine(t *testing.T) {
	s := up(t)
	fresh := s.footprint() // what a server holds that has run nothing
	s.create(&lambda.CreateFunctionInput{
		FunctionName: aws.String("steady"), Runtime: types.RuntimePython311, Handler: aws.String("app.handler"),
		Code: &types.FunctionCode{ZipFile: zipOf(t, map[string]string{"app.py": pythonEcho})},
	})
	l := &ledger{acked: map[string]string{}, open: map[string]bool{}}
	for round := range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for id := range 2 {
			wg.Go(func() { l.deployer(ctx, s, id, round) })
		}
		for range 3 {
			wg.Go(func() {
				client := s.sdk()
				for ctx.Err() == nil {
					_, err := client.Invoke(ctx, &lambda.InvokeInput{
						FunctionName: aws.String("steady"), Payload: []byte(`{"nonce":"x","sleep":0.01}`),
					})
					if err != nil {
						return // the server is gone
					}
				}
			})
		}
		time.Sleep(time.Duration(100+rand.IntN(900)) * time.Millisecond)
		before := s.descendants()
		s.kill()
		cancel()
		wg.Wait()
		s.start()
		if left := orphans(t, before, 10*time.Second); len(left) > 0 {
			t.Fatalf("round %d: orphans after restart: %v", round, describe(left))
		}
		if f := s.footprint(); f.Processes > 0 || f.Cgroups > fresh.Cgroups || f.Loops > fresh.Loops {
			t.Fatalf("round %d: %+v beside %+v after restart, before any invocation; a fresh server has %+v", round, f, s.stock(), fresh)
		}
		l.check(t, s)
	}
	t.Logf("%d functions acknowledged, all there", len(l.acked))
	if len(l.acked) < 20 {
		t.Errorf("only %d deploys acknowledged: the test tests nothing", len(l.acked))
	}
	s.invoke("steady", `{"nonce":"x","sleep":0}`)
	for name := range l.acked { // one of them runs
		s.waitActive(name)
		s.invoke(name, `{}`)
		break
	}
	s.stop()
	if _, n := s.cgroups(); n+s.loops() > 0 {
		t.Errorf("%d cgroups and %d loop devices left behind", n, s.loops())
	}
}

// check compares the ledger with what the server lists.
func (l *ledger) check(t *testing.T, s *server) {
	t.Helper()
	have := map[string]string{}
	pages := lambda.NewListFunctionsPaginator(s.sdk(), &lambda.ListFunctionsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page.Functions {
			have[*f.FunctionName] = *f.CodeSha256
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, sha := range l.acked {
		got, ok := have[name]
		if !ok {
			t.Errorf("acknowledged function %s is gone", name)
			continue
		}
		if got != sha && !l.open[name] {
			t.Errorf("function %s has code %s, acknowledged was %s", name, got, sha)
		}
		l.acked[name] = got
	}
	clear(l.open)
}

// orphans returns those of a killed server's processes that are still there
// after a while.
func orphans(t *testing.T, before []process, within time.Duration) []process {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		left := alive(t, before)
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		time.Sleep(50 * time.Millisecond)
	}
}
