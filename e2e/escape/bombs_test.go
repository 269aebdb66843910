package escape

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent/e2e/millicenttest"
)

// A tally is how far a bomb got, and what stopped it.
type tally struct {
	N   int
	Err string
}

const killed = `Runtime exited with error: signal: killed`

// with sets the settings that bombs are about.
func with(memory, tmp, timeout int32) func(*lambda.CreateFunctionInput) {
	return func(in *lambda.CreateFunctionInput) {
		in.MemorySize, in.Timeout = &memory, &timeout
		if tmp > 0 {
			in.EphemeralStorage = &types.EphemeralStorage{Size: &tmp}
		}
	}
}

// alive checks that a function can be called after what it did.
func (a *arena) alive(fn string) {
	a.t.Helper()
	got, err := a.TryInvoke(a.t, fn, `{"do":"ops","ops":[]}`)
	if err != nil || got.Error != "" {
		a.t.Errorf("after it the function answers %+v (%v)", got, err)
	}
}

// fails checks that a call failed as it should.
func (a *arena) fails(got millicenttest.Answer, want string) {
	a.t.Helper()
	if got.Error != "Unhandled" || !strings.Contains(got.Payload, want) {
		a.t.Errorf("got %+v, want it to fail with %q", got, want)
	}
}

// TestForkBomb makes as many processes as it can: natively until it is
// refused, in Python for ever. All are gone afterwards.
func TestForkBomb(t *testing.T) {
	t.Run("native", func(t *testing.T) {
		a := open(t)
		fn := a.attacker(with(1024, 0, 60))
		var got tally
		a.during(func() { a.do(fn, map[string]any{"do": "forks", "hold": 500}, &got) })
		if got.Err != "EAGAIN" || got.N < 100 || got.N > 742 {
			t.Errorf("%d processes, then %s; want EAGAIN below 742", got.N, got.Err)
		}
	})
	t.Run("python", func(t *testing.T) {
		a := open(t)
		fn := a.python("bombs.handler", with(512, 0, 3))
		a.during(func() {
			a.fails(a.call(fn, map[string]any{"do": "forkbomb"}), "Task timed out after 3.00 seconds")
		})
		a.calm(fn)
	})
}

// calm waits until of a function's processes only its runtime is left.
func (a *arena) calm(fn string) {
	a.t.Helper()
	const most = 4 // pid 1 and a runtime, of the victim and of the attacker
	for deadline := time.Now().Add(30 * time.Second); a.Footprint(a.t).Processes > most; {
		if time.Now().After(deadline) {
			a.t.Fatalf("processes are left of %s: %v", fn, a.Descendants(a.t))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestThreadBomb makes as many threads as it can.
func TestThreadBomb(t *testing.T) {
	a := open(t)
	fn := a.python("bombs.handler", with(1024, 0, 60))
	var got tally
	a.during(func() { a.do(fn, map[string]any{"do": "threads", "n": 5000, "hold": 500}, &got) })
	if got.Err != "can't start new thread" || got.N < 100 || got.N > 742 {
		t.Errorf("%d threads, then %s; want less than 742", got.N, got.Err)
	}
}

// TestMemoryBomb takes memory without an end, in one process and in many: the
// kernel ends it at its limit, and the function can be called again.
func TestMemoryBomb(t *testing.T) {
	for name, bomb := range map[string]func(*arena) (string, map[string]any){
		"native": func(a *arena) (string, map[string]any) {
			return a.attacker(with(128, 0, 60)), map[string]any{"do": "memory"}
		},
		"python": func(a *arena) (string, map[string]any) {
			return a.python("bombs.handler", with(128, 0, 60)), map[string]any{"do": "memory"}
		},
		"segments": func(a *arena) (string, map[string]any) {
			return a.python("bombs.handler", with(128, 0, 60)), map[string]any{"do": "segments"}
		},
		"processes": func(a *arena) (string, map[string]any) {
			return a.python("bombs.handler", with(256, 0, 3)), map[string]any{"do": "processes", "n": 50}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := open(t)
			fn, event := bomb(a)
			a.during(func() {
				got := a.call(fn, event)
				if name == "processes" && strings.Contains(got.Payload, "timed out") {
					return // the kernel ended others of its processes
				}
				a.fails(got, killed)
			})
			// Twice, for what it leaves must not add up.
			a.call(fn, event)
			if name != "native" {
				event = map[string]any{"do": "nothing"}
				var ok string
				a.do(fn, event, &ok)
				return
			}
			a.alive(fn)
		})
	}
}

// TestSharedMemory fills /dev/shm, which is the function's own memory.
func TestSharedMemory(t *testing.T) {
	a := open(t)
	fn := a.attacker(with(256, 0, 60))
	var got tally
	a.during(func() { a.do(fn, map[string]any{"do": "fill", "path": "/dev/shm/x", "n": 4096}, &got) })
	if got.Err != "ENOSPC" || got.N > 64 {
		t.Errorf("%d MB, then %s; want ENOSPC at 64", got.N, got.Err)
	}
	small := a.python("bombs.handler", func(in *lambda.CreateFunctionInput) {
		with(128, 0, 60)(in)
		in.FunctionName = aws.String(name(t, "small"))
	})
	var ok string
	a.do(small, map[string]any{"do": "nothing"}, &ok)
}

// TestDiskBomb fills /tmp, in bytes and in files: it is full at its size, and
// that is neither the function's memory nor the machine's disk.
func TestDiskBomb(t *testing.T) {
	for _, path := range []string{"bytes", "files"} {
		t.Run(path, func(t *testing.T) {
			a := open(t)
			fn := a.attacker(with(128, 600, 120))
			var got tally
			a.during(func() {
				if path == "bytes" {
					a.do(fn, map[string]any{"do": "fill", "path": "/tmp/x", "n": 4096}, &got)
					if got.N < 600 || got.N > 650 {
						t.Errorf("%d MB of 600 could be written", got.N)
					}
				} else {
					a.do(fn, map[string]any{"do": "inodes", "path": "/tmp", "n": 1 << 20}, &got)
				}
			})
			if got.Err != "ENOSPC" {
				t.Errorf("%d, then %s; want ENOSPC", got.N, got.Err)
			}
			a.alive(fn)
		})
	}
}

// TestDescriptorBomb opens as many files as it can.
func TestDescriptorBomb(t *testing.T) {
	a := open(t)
	fn := a.attacker(nil)
	var got tally
	a.during(func() { a.do(fn, map[string]any{"do": "descriptors", "hold": 500}, &got) })
	if got.Err != "EMFILE" || got.N > 1024 {
		t.Errorf("%d files, then %s; want EMFILE below 1024", got.N, got.Err)
	}
	a.alive(fn)
}

// TestSpin computes in many threads: the function gets the share of a core
// that goes with its memory.
func TestSpin(t *testing.T) {
	a := open(t)
	fn := a.attacker(with(442, 0, 60)) // a quarter of a core
	var got tally
	const ms = 4000
	a.during(func() { a.do(fn, map[string]any{"do": "spin", "n": 32, "hold": ms}, &got) })
	// A period of 100 ms more than the share, for where it begins.
	if most := ms/4 + 200; got.N > most || got.N == 0 {
		t.Errorf("%d ms of CPU in %d ms, want %d at most", got.N, ms, most)
	}
}

// TestKillAll has a function kill all that it may: itself. Nothing else of the
// machine ends, and the function can be called again.
func TestKillAll(t *testing.T) {
	a := open(t)
	fn := a.python("bombs.handler", nil)
	a.during(func() { a.fails(a.call(fn, map[string]any{"do": "suicide"}), killed) })
	var ok string
	a.do(fn, map[string]any{"do": "nothing"}, &ok)
}

// TestLogFlood writes to the log as fast as it can: short lines, one line
// without an end, and control characters.
func TestLogFlood(t *testing.T) {
	for name, text := range map[string]string{
		"empty lines": "\n", "short lines": "x\n", "no lines": "x", "controls": "\x1b]0;x\x07\x00\xff\n",
	} {
		t.Run(name, func(t *testing.T) {
			a := open(t)
			fn := a.attacker(with(1769, 0, 30))
			var got tally
			asked := a.during(func() { a.do(fn, map[string]any{"do": "flood", "args": []string{text}, "hold": 3000}, &got) })
			t.Logf("%d MB were written", got.N)
			if got.N == 0 {
				t.Error("nothing was written")
			}
			if used := serverMemory(t, a.PID()); used > 1<<30 {
				t.Errorf("the server has %d MB of memory", used>>20)
			}
			a.alive(fn)
			log := a.CLI(t, "logs", a.victim, "--limit", "10000")
			missing := 0
			for n := range asked {
				if !strings.Contains(log, fmt.Sprintf("line of %s-%d\n", a.victim, n)) {
					missing++
				}
			}
			if missing > 0 {
				t.Errorf("of %d lines that the victim logged meanwhile, %d are missing", asked, missing)
			}
		})
	}
}

// TestSwarm has a function invoke itself until there is no environment left
// for it. Capped, it keeps nobody waiting; without a cap it may take all that
// the machine has.
func TestSwarm(t *testing.T) {
	const most, reserved = 6, 2
	a := newArena(t, millicenttest.Up(t, millicenttest.Config{Args: []string{"--max-environments", fmt.Sprint(most)}}))
	fn := a.attacker(nil)
	_, err := a.SDK().PutFunctionConcurrency(t.Context(), &lambda.PutFunctionConcurrencyInput{
		FunctionName: &fn, ReservedConcurrentExecutions: aws.Int32(reserved),
	})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]int
	asked := a.during(func() {
		a.do(fn, map[string]any{"do": "swarm", "addr": endpoint, "path": fn, "n": 4 * most, "hold": 3000}, &got)
	})
	if want := map[string]int{"200 OK": reserved - 1, "429 Too Many Requests": 4*most - reserved + 1}; !cmp.Equal(got, want) {
		t.Errorf("the swarm was answered %v, want %v", got, want)
	}
	if asked < 5 {
		t.Errorf("the victim was answered %d times in 3 s", asked)
	}
}

// TestConnectionBomb opens more connections than there may be, to the Runtime
// API and to the platform's endpoint, each with half a request that nobody
// will finish.
func TestConnectionBomb(t *testing.T) {
	for name, c := range map[string]struct{ addr, request string }{
		"runtime API": {runtimeAPI, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nX: "},
		"endpoint":    {endpoint, "GET /_millicent/health HTTP/1.1\r\nX: "},
		"name server": {platform + ":53", "\xff\xff"},
		"refused":     {"169.254.169.254:80", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := open(t)
			fn := a.attacker(nil)
			before := a.FDs(t)
			var got tally
			a.during(func() {
				done := make(chan struct{})
				go func() {
					defer close(done)
					a.do(fn, map[string]any{"do": "connections", "addr": c.addr, "n": 900, "args": []string{c.request}, "hold": 2000}, &got)
				}()
				most := 0
				for {
					most = max(most, a.FDs(t))
					select {
					case <-done:
						t.Logf("%d connections (%s), %d descriptors of the server before, %d at most", got.N, got.Err, before, most)
						if most > before+300 {
							t.Errorf("the server had %d descriptors, before it had %d", most, before)
						}
						return
					case <-time.After(50 * time.Millisecond):
					}
				}
			})
			a.alive(fn)
		})
	}
}

// TestBodyHoard sends bodies to the platform's endpoint and does not finish
// them: what one function hoards must not be missing to others.
func TestBodyHoard(t *testing.T) {
	a := open(t)
	fn := a.attacker(with(1769, 0, 60))
	head := "POST /2015-03-31/functions/" + a.victim + "/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 6000000\r\n\r\n"
	event := map[string]any{"do": "bodies", "addr": endpoint, "n": 128, "args": []string{head}, "path": "000000000", "hold": 4000}
	b, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	// Just what the server has for the bodies of all, over as many connections
	// as one function can have.
	event["path"] = fmt.Sprint(512<<20 - len(b))
	var got tally
	a.during(func() { a.do(fn, event, &got) })
	if got.N == 128 || got.Err != "ECONNRESET" {
		t.Errorf("%d bodies of 4 MB were taken (%s), want some refused", got.N, got.Err)
	}
	if used := serverMemory(t, a.PID()); used > 1<<30 {
		t.Errorf("the server has %d MB of memory", used>>20)
	}
}

// TestSocketBuffers fills the buffers of sockets that nobody reads: they are
// the function's memory, and the machine's other sockets go on.
func TestSocketBuffers(t *testing.T) {
	a := open(t)
	fn := a.attacker(with(128, 0, 60))
	before := datagramMemory(t)
	most := before
	a.during(func() {
		done := make(chan millicenttest.Answer)
		go func() { done <- a.call(fn, map[string]any{"do": "datagrams", "n": 900, "hold": 1500}) }()
		for {
			most = max(most, datagramMemory(t))
			select {
			case got := <-done:
				t.Logf("got %s; the buffers took %d MB", got.Payload, (most-before)>>20)
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	if used := most - before; used > 128<<20 {
		t.Errorf("a function of 128 MB took %d MB", used>>20)
	}
}
