package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// busyPython leaves a busy thread and a busy process behind.
const busyPython = `
import os, threading, time

turns = 0

def spin():
    global turns
    while True:
        turns += 1

def handler(event, context):
    if event.get("leave"):
        threading.Thread(target=spin, daemon=True).start()
        if os.fork() == 0:
            while True:
                pass
    time.sleep(event.get("sleep", 0))
    return {"turns": turns, "space": os.readlink("/proc/self/ns/pid"), "left": context.get_remaining_time_in_millis()}
`

// TestIdleStandsStill has a function leave busy threads and processes behind:
// they use no processor time between invocations, and go on in the next one,
// which has all of its own time.
func TestIdleStandsStill(t *testing.T) {
	s := up(t)
	s.create(&lambda.CreateFunctionInput{
		FunctionName: aws.String("busy"), Runtime: types.RuntimePython311, Handler: aws.String("app.handler"),
		Timeout: aws.Int32(3),
		Code:    &types.FunctionCode{ZipFile: zipOf(t, map[string]string{"app.py": busyPython})},
	})
	type answer struct {
		Turns int
		Space string
		Left  int // ms
	}
	call := func(event string) (a answer) {
		t.Helper()
		got := s.invoke("busy", event)
		if err := json.Unmarshal([]byte(got), &a); err != nil || a.Space == "" {
			t.Fatalf("%s: %v", got, err)
		}
		return a
	}
	first := call(`{"leave":true}`)
	s.awaitFrozen(1)
	before := cpuOf(t, first.Space)
	time.Sleep(3500 * time.Millisecond) // more than the function's timeout, too
	if used := cpuOf(t, first.Space) - before; used > 0 {
		t.Errorf("frozen, it used %d ticks of processor time", used)
	}
	second := call(`{"sleep":0.2}`)
	if second.Space != first.Space {
		t.Error("another environment answered")
	}
	if second.Turns <= first.Turns {
		t.Errorf("the thread has not gone on: %d turns after %d", second.Turns, first.Turns)
	}
	if second.Left < 1000 {
		t.Errorf("%d ms were left of 3 s", second.Left)
	}
	s.awaitFrozen(1)
	if n := s.metric(`millicent_environments{state="idle"}`); n != 0 {
		t.Errorf("%v environments are idle and not frozen", n)
	}
}

// awaitFrozen waits until n environments are frozen.
func (s *server) awaitFrozen(n float64) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); s.metric(`millicent_environments{state="frozen"}`) != n; {
		if time.Now().After(deadline) {
			s.t.Fatalf("%v environments are not frozen after 30 s", n)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// cpuOf returns the processor time that the processes of a PID namespace have
// used, in clock ticks.
func cpuOf(t *testing.T, space string) (ticks int) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, link := range links {
		if got, err := os.Readlink(link); err != nil || got != space {
			continue // or it has ended
		}
		stat, err := os.ReadFile(strings.TrimSuffix(link, "ns/pid") + "stat")
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(stat, []byte("(millicent-init)")) {
			continue // the platform's own
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		for _, f := range fields[11:13] { // user and system time; see proc(5)
			n, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(fmt.Errorf("%s: %w", stat, err))
			}
			ticks += n
		}
		found++
	}
	if found < 2 {
		t.Fatalf("%d processes in %s", found, space)
	}
	return ticks
}

// TestKillNineWhileFrozen kills a server whose environments are frozen: with
// cgroups of version 1 nothing of them stays, even before it starts again.
func TestKillNineWhileFrozen(t *testing.T) {
	s := up(t)
	s.create(&lambda.CreateFunctionInput{
		FunctionName: aws.String("busy"), Runtime: types.RuntimePython311, Handler: aws.String("app.handler"),
		Code: &types.FunctionCode{ZipFile: zipOf(t, map[string]string{"app.py": busyPython})},
	})
	s.invoke("busy", `{"leave":true}`)
	s.awaitFrozen(1)
	before := s.descendants()
	s.kill()
	if _, err := os.Stat("/sys/fs/cgroup/freezer"); err == nil {
		if left := orphans(t, before, 10*time.Second); len(left) > 0 {
			t.Errorf("orphans: %v", describe(left))
		}
	}
	s.start()
	if left := orphans(t, before, 10*time.Second); len(left) > 0 {
		t.Errorf("orphans after restart: %v", describe(left))
	}
	s.invoke("busy", `{}`)
}
