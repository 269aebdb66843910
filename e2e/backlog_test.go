package e2e

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// backlogEvents is how many events one function has: MILLICENT_BACKLOG, or as
// many as a test run has time for.
func backlogEvents(t *testing.T) int { return crashRounds(t, "MILLICENT_BACKLOG", 4000) }

// flood sends events to a function.
func (s *server) flood(function string, n int) {
	s.t.Helper()
	work := make(chan struct{}, n)
	for range n {
		work <- struct{}{}
	}
	close(work)
	var callers sync.WaitGroup
	for range 64 {
		callers.Go(func() {
			for range work {
				status, answer, _, err := s.post(context.Background(), "/2015-03-31/functions/"+function+"/invocations", []byte(`{}`),
					map[string]string{"X-Amz-Invocation-Type": "Event"})
				if err != nil || status != 202 {
					s.t.Errorf("%d %s (%v)", status, answer, err)
					return
				}
			}
		})
	}
	callers.Wait()
}

// resident is the memory of the server, in MB.
func (s *server) resident() int {
	s.t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(s.pid()) + "/statm")
	if err != nil {
		s.t.Fatal(err)
	}
	fields := strings.Fields(string(b))
	pages, err := strconv.Atoi(fields[1])
	if err != nil {
		s.t.Fatal(err)
	}
	return pages * os.Getpagesize() >> 20
}

// A backlog of one function keeps no other function's event waiting: those end
// while it is hardly begun, also after a restart with it. How long they take
// is told.
func TestBacklogFairness(t *testing.T) {
	n := backlogEvents(t)
	s := up(t)
	s.queue("ran")
	s.createPython("busy")
	s.createTelling("other")
	_, err := s.sdk().PutFunctionConcurrency(t.Context(), &lambda.PutFunctionConcurrencyInput{
		FunctionName: aws.String("busy"), ReservedConcurrentExecutions: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	s.others(t, "without a backlog")
	begin := time.Now()
	s.flood("busy", n)
	t.Logf("%d events taken in %v, %d left, %d MB", n, time.Since(begin).Round(time.Millisecond), s.events(), s.resident())
	s.others(t, "with a backlog")
	begin = time.Now()
	s.kill()
	s.start()
	t.Logf("started in %v after a kill, with %d events, %d MB", time.Since(begin).Round(time.Millisecond), s.events(), s.resident())
	s.others(t, "with a backlog after a restart")
	if left := s.events(); left == 0 {
		t.Error("the backlog is gone: the test tests nothing")
	}
	if _, err := s.sdk().DeleteFunction(t.Context(), &lambda.DeleteFunctionInput{FunctionName: aws.String("busy")}); err != nil {
		t.Error(err)
	}
}

// others sends events to the other function and tells how long they took to
// their run.
func (s *server) others(t *testing.T, when string) {
	t.Helper()
	const n = 20
	s.invoke("other", `{}`) // it is warm
	s.await("ran")
	var delays []time.Duration
	for range n {
		sent := time.Now()
		s.sendEvent("other", `{}`)
		var r crashRun
		if err := json.Unmarshal([]byte(*s.await("ran").Body), &r); err != nil {
			t.Fatal(err)
		}
		delays = append(delays, time.UnixMicro(int64(r.Time*1e6)).Sub(sent))
	}
	slices.Sort(delays)
	t.Logf("%s: another function's event ran after %v (p50), %v (slowest)", when, delays[n/2], delays[n-1])
}
