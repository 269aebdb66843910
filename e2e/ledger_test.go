package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// meteredPython answers, fails, or calls itself from within, as it is told.
const meteredPython = `
import json, os, urllib.request
def handler(event, context):
    if event.get("fail"):
        raise ValueError("as asked for")
    if event.get("call"):
        urllib.request.urlopen(urllib.request.Request(
            os.environ["AWS_ENDPOINT_URL"] + "/2015-03-31/functions/metered/invocations", b"{}", method="POST")).read()
    return event.get("text", "x" * event.get("size", 0))
`

// A ledgerCall is what a client knows of a call that was acknowledged.
type ledgerCall struct {
	in, out int // bytes; below zero where the client does not see them
	outcome string
	calls   bool      // made another call from inside
	event   bool      // runs later
	at      time.Time // when it was acknowledged
}

// A ledgerLoad keeps what was acknowledged.
type ledgerLoad struct {
	s   *server
	url string // host of the function URL

	mu         sync.Mutex
	acked      map[string]ledgerCall // by request id
	unanswered int                   // calls that may have run or not
}

// work calls the function through all doors until ctx ends or the server is
// gone.
func (l *ledgerLoad) work(ctx context.Context) {
	for ctx.Err() == nil && l.call() {
	}
}

// call makes one call and notes what is known of it; false when the server is
// gone.
func (l *ledgerLoad) call() bool {
	event, want := fmt.Sprintf(`{"size":%d}`, rand.IntN(3000)), ledgerCall{outcome: "success"}
	path, header := "/2015-03-31/functions/metered/invocations", http.Header{}
	switch rand.IntN(8) {
	case 0:
		event, want.outcome = `{"fail":true}`, "function_error"
	case 1:
		event, want.calls = `{"call":true}`, true
	case 2:
		path += "?Qualifier=live"
	case 3, 4:
		header.Set("X-Amz-Invocation-Type", "Event")
		want.out, want.event = -1, true
	case 5:
		path, event = "/", `{"text":"hello"}`
	}
	want.in = len(event)
	req, err := http.NewRequest(http.MethodPost, l.s.url()+path, strings.NewReader(event))
	if err != nil {
		panic(err) // the test's own
	}
	req.Header = header
	if path == "/" {
		req.Host, want.in, want.out = l.url, -1, -1
	}
	resp, err := l.s.client.Do(req)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || resp.StatusCode >= 500 && path != "/" {
		l.unanswered++
		return err == nil
	}
	if resp.StatusCode >= 300 {
		return true // refused: nothing ran
	}
	if want.out == 0 {
		want.out = len(body)
	}
	want.at = time.Now()
	l.acked[resp.Header.Get("X-Amzn-Requestid")] = want
	return true
}

// A ledgerLine is a line of `millicent ledger export`.
type ledgerLine struct {
	Number uint64
	Usage  struct {
		Kind, ID, Function, Alias, Outcome, Root, Parent string
		Attempt, BytesIn, BytesOut                       int
		BilledMs, CPUUs, PeakMemoryMB                    int64
	}
}

func (s *server) ledger() (lines []ledgerLine) {
	s.t.Helper()
	dec := json.NewDecoder(strings.NewReader(s.mustCLI("ledger", "export")))
	for {
		var line ledgerLine
		if err := dec.Decode(&line); err == io.EOF {
			return lines
		} else if err != nil {
			s.t.Fatal(err)
		}
		if line.Usage.Kind == "invocation" {
			lines = append(lines, line)
		}
	}
}

// TestLedgerCrashes gives a server work and kills it, round after round: the
// ledger has what clients know of, once. MILLICENT_LEDGER_CRASHES says how many
// rounds.
func TestLedgerCrashes(t *testing.T) {
	rounds := crashRounds(t, "MILLICENT_LEDGER_CRASHES", 3)
	s := up(t)
	l := prepareLedgerLoad(s)
	for range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { l.work(ctx) })
		}
		time.Sleep(time.Duration(100+rand.IntN(500)) * time.Millisecond) // when does not matter
		s.kill()
		cancel()
		all.Wait()
		s.start()
		if out := s.mustCLI("ledger", "verify"); !strings.Contains(out, "as they were written") {
			t.Fatal(out)
		}
	}
	lines := l.await()
	l.check(lines)
	l.checkReceipts()
	s.stop()
	if out := s.mustCLI("ledger", "verify", "--data", s.data); !strings.Contains(out, "as they were written") {
		t.Error(out)
	}
	t.Logf("%d kills, %d calls acknowledged, %d not answered, %d records", rounds, len(l.acked), l.unanswered, len(lines))
}

func prepareLedgerLoad(s *server) *ledgerLoad {
	s.t.Helper()
	l := &ledgerLoad{s: s, acked: map[string]ledgerCall{}}
	name := aws.String("metered")
	s.create(&lambda.CreateFunctionInput{
		FunctionName: name, Runtime: types.RuntimePython311, Handler: aws.String("app.handler"), MemorySize: aws.Int32(256),
		Publish: true, Timeout: aws.Int32(20), Code: &types.FunctionCode{ZipFile: zipOf(s.t, map[string]string{"app.py": meteredPython})},
	})
	ctx := s.t.Context()
	_, err := s.sdk().CreateAlias(ctx, &lambda.CreateAliasInput{FunctionName: name, Name: aws.String("live"), FunctionVersion: aws.String("1")})
	if err != nil {
		s.t.Fatal(err)
	}
	u, err := s.sdk().CreateFunctionUrlConfig(ctx, &lambda.CreateFunctionUrlConfigInput{FunctionName: name, AuthType: types.FunctionUrlAuthTypeNone})
	if err != nil {
		s.t.Fatal(err)
	}
	l.url = strings.TrimSuffix(strings.TrimPrefix(*u.FunctionUrl, "http://"), "/")
	return l
}

// await returns the ledger when all that was acknowledged is in it: events run
// for a while yet.
func (l *ledgerLoad) await() (lines []ledgerLine) {
	l.s.t.Helper()
	var missing []string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		lines = l.s.ledger()
		have := map[string]bool{}
		for _, line := range lines {
			have[line.Usage.ID] = true
		}
		missing = missing[:0]
		for id, call := range l.acked {
			if !have[id] {
				missing = append(missing, fmt.Sprintf("%s (%+v)", id, call))
			}
		}
		if len(missing) == 0 {
			return lines
		}
	}
	l.s.t.Fatalf("%d of %d acknowledged calls are not in the ledger:\n%s\nqueues:\n%s", len(missing), len(l.acked),
		strings.Join(missing, "\n"), l.s.mustCLI("queue", "metered"))
	return nil
}

// check compares the ledger with what was acknowledged.
func (l *ledgerLoad) check(lines []ledgerLine) {
	t := l.s.t
	t.Helper()
	times, caused := map[string]int{}, map[string]int{}
	strange := 0
	for i, line := range lines {
		u := line.Usage
		if i > 0 && line.Number <= lines[i-1].Number {
			t.Errorf("record %d after record %d", line.Number, lines[i-1].Number)
		}
		times[u.ID]++
		want, known := l.acked[u.ID]
		switch {
		case u.Parent != "":
			caused[u.Parent]++
			if u.Root != u.Parent || u.Outcome != "success" {
				t.Errorf("caused by another: %+v", u)
			}
			continue
		case !known:
			strange++
			continue
		}
		if u.Function != "metered" || u.Outcome != want.outcome || want.in >= 0 && u.BytesIn != want.in ||
			want.out >= 0 && u.BytesOut != want.out || u.Attempt != 1 || u.BilledMs < 1 || u.PeakMemoryMB < 1 {
			t.Errorf("got %+v, want %+v", u, want)
		}
	}
	for id, n := range times {
		if n > 1 {
			t.Errorf("%d records of %s", n, id)
		}
	}
	for id, want := range l.acked {
		if want.calls && caused[id] != 1 {
			t.Errorf("%s caused %d records, not one", id, caused[id])
		}
	}
	if strange > l.unanswered {
		t.Errorf("%d records of calls that were not answered; these are %d", strange, l.unanswered)
	}
	cpu := int64(0)
	for _, line := range lines {
		cpu += line.Usage.CPUUs
	}
	if cpu == 0 {
		t.Error("no processor time was measured")
	}
}

// checkReceipts has some calls proven.
func (l *ledgerLoad) checkReceipts() {
	l.s.t.Helper()
	n := 0
	for id := range l.acked {
		file := filepath.Join(l.s.t.TempDir(), "receipt.json")
		if err := os.WriteFile(file, []byte(l.s.mustCLI("receipt", id, "--json")), 0o600); err != nil {
			l.s.t.Fatal(err)
		}
		if out := l.s.mustCLI("receipt", "verify", file); !strings.Contains(out, id) {
			l.s.t.Errorf("the receipt of %s:\n%s", id, out)
		}
		if n++; n == 3 {
			return
		}
	}
}
