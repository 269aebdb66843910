package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// A scenario measures some figures of the product and records them.
type scenario struct {
	name  string
	about string
	run   func(b *bench, ctx context.Context) error
}

// scenarios are all of them, in their order.
var scenarios = []scenario{
	{"cold", "cold start of a hello function through the API, pool ready", (*bench).coldPooled},
	{"cold-empty", "the same with the pool empty", (*bench).coldUnpooled},
	{"snapstart", "Python function with a 500 ms import, started from a snapshot", (*bench).coldSnapshot},
	{"bundle", "cold start of a Node function with a bundle of 1.7 MB", (*bench).coldBundle},
	{"burst", "100 concurrent first calls to 100 different functions", (*bench).burst},
	{"sustained", "Python starts one after the other on 8 connections", (*bench).sustained},
	{"warm", "warm invocation, one connection", (*bench).warm},
	{"throughput", "warm invocations, 8 connections", (*bench).throughput},
	{"metering", "warm invocations with the ledger of usage and without; records written by the meter alone", (*bench).metering},
	{"async", "events accepted, on disk before the answer", (*bench).async},
	{"stream", "streamed responses: their first byte, and 200 MB", (*bench).stream},
	{"memory", "memory of an idle environment", (*bench).memory},
	{"deployed", "10,000 functions deployed, none running", (*bench).deployed},
	{"queues", "messages by the SQS API, and from a queue to a function", (*bench).queues},
	{"wasm-engine", "requests of WebAssembly modules by the engine alone", (*bench).wasmEngine},
	{"wasm", "functions that are WebAssembly modules, through the Lambda API", (*bench).wasm},
	{"wasm-cold", "cold starts of WebAssembly functions, from the cache of compiled code", (*bench).wasmCold},
	{"wasm-many", "10,000 functions in JavaScript, of which 1,000 are live", (*bench).wasmMany},
	{"floors", "what the runtimes take for such steps by themselves, without sandbox and API", (*bench).floors},
	{"peers", "first answer of a peer's process", (*bench).peerStarts},
}

// sizes say how much is measured.
type sizes struct {
	starts, emptyStarts, snapStarts, bundleStarts int
	pause                                         time.Duration
	bursts                                        int
	sustained                                     time.Duration
	sustainedFunctions                            int
	rounds                                        int // of warm and throughput
	round                                         time.Duration
	duels, fours                                  int // of metering
	warmUp, runIn, turn                           time.Duration
	ledger                                        time.Duration
	environments                                  int
	idle                                          time.Duration // how long they rest before they are looked at
	deployed, deployedStarts                      int
	peerStarts                                    int
	mappings                                      int
	watch                                         time.Duration // of what does nothing
	streams, streamMB                             int
	instances                                     int
	wasmModules, wasmRounds                       int // of wasm-cold: functions of each language, and how often each starts
	wasmDeployed, wasmLive                        int
	engine                                        time.Duration // of each benchmark of the WebAssembly engine
}

var (
	full = sizes{
		starts: 500, emptyStarts: 100, snapStarts: 100, bundleStarts: 100, pause: 50 * time.Millisecond,
		bursts: 5, sustained: 20 * time.Second, sustainedFunctions: 1000,
		rounds: 10, round: time.Second, ledger: 5 * time.Second,
		duels: 6, fours: 40, warmUp: 2 * time.Second, runIn: 60 * time.Millisecond, turn: 250 * time.Millisecond,
		environments: 20, idle: 3 * time.Second, deployed: 10_000, deployedStarts: 50, peerStarts: 20,
		mappings: 1000, watch: 30 * time.Second, streams: 500, streamMB: 199,
		engine: time.Second, instances: 200, wasmModules: 8, wasmRounds: 12, wasmDeployed: 10_000, wasmLive: 1000,
	}
	quick = sizes{
		starts: 30, emptyStarts: 10, snapStarts: 10, bundleStarts: 10, pause: 20 * time.Millisecond,
		bursts: 1, sustained: 4 * time.Second, sustainedFunctions: 200,
		rounds: 3, round: 400 * time.Millisecond, ledger: time.Second,
		duels: 2, fours: 12, warmUp: time.Second, runIn: 60 * time.Millisecond, turn: 250 * time.Millisecond,
		environments: 4, idle: 2 * time.Second, deployed: 500, deployedStarts: 10, peerStarts: 3,
		mappings: 100, watch: 3 * time.Second, streams: 50, streamMB: 50,
		engine: 100 * time.Millisecond, instances: 20, wasmModules: 2, wasmRounds: 3, wasmDeployed: 100, wasmLive: 20,
	}
)

// A bench is one run.
type bench struct {
	binary   string
	unpooled []string // arguments of a server without a pool
	tmp      string   // directory of the run, which ends with it
	size     sizes
	peers    []peer
	rec      *recorder

	bare      *process
	runtimes  map[string]runtimeInfo // by family
	goProgram string
	functions hellos
}

// hellos are the functions that most scenarios use.
type hellos struct{ python, node, goLang function }

func (h hellos) all() []function { return []function{h.python, h.node, h.goLang} }

// The memory of functions: by default what a user gets who says nothing, which
// comes with 7 % of a core. Warm paths are measured with a whole core, since
// else the limit is what one measures.
const (
	defaultMB = 128
	wholeCore = 1769
)

// prepare starts the bare handler and makes the functions.
func (b *bench) prepare(ctx context.Context) (err error) {
	if b.bare, err = startBare(ctx); err != nil {
		return err
	}
	s, err := b.startServer(ctx)
	if err != nil {
		return err
	}
	b.runtimes, err = s.runtimes(ctx)
	if err := errors.Join(err, s.close()); err != nil {
		return err
	}
	for _, family := range []string{"python", "nodejs"} {
		if _, ok := b.runtimes[family]; !ok {
			return fmt.Errorf("no %s is installed that a runtime is named after: see `millicent runtimes`", family)
		}
	}
	if b.goProgram, err = buildGo(ctx, b.tmp); err != nil {
		return err
	}
	program, err := os.ReadFile(b.goProgram)
	if err != nil {
		return err
	}
	goZip, err := zipOf(map[string]string{"bootstrap": string(program)})
	if err != nil {
		return err
	}
	python, err := b.python("python", source("python/app.py"))
	if err != nil {
		return err
	}
	node, err := b.node("node", source("node/index.js"))
	b.functions = hellos{
		python: python,
		node:   node,
		goLang: function{name: "go", runtime: "provided.al2023", handler: "bootstrap", zip: goZip, memoryMB: defaultMB},
	}
	return err
}

func (b *bench) python(name, code string) (function, error) {
	zip, err := zipOf(map[string]string{"app.py": code})
	return function{name: name, runtime: b.runtimes["python"].Name, handler: "app.handler", zip: zip, memoryMB: defaultMB}, err
}

func (b *bench) node(name, code string) (function, error) {
	zip, err := zipOf(map[string]string{"index.js": code})
	return function{name: name, runtime: b.runtimes["nodejs"].Name, handler: "index.handler", zip: zip, memoryMB: defaultMB}, err
}

// hasPool reports whether the server has a pool that can be switched off.
func (b *bench) hasPool(ctx context.Context) bool {
	return len(b.unpooled) > 0 && hasFlag(ctx, b.binary, strings.TrimLeft(strings.SplitN(b.unpooled[0], "=", 2)[0], "-"))
}

const noPool = "this server has no pool: every start is without one"

func (b *bench) coldPooled(ctx context.Context) error {
	run := coldRun{starts: b.size.starts, pause: b.size.pause, subjects: []subject{
		{label: "Python", function: b.functions.python, p50: atMost(3), p99: atMost(15)},
		{label: "Node", function: b.functions.node, p50: atMost(4), p99: atMost(15)},
		{label: "Go", function: b.functions.goLang, p50: atMost(4), p99: atMost(15)},
	}}
	if !b.hasPool(ctx) {
		run.note = noPool
	}
	return b.cold(ctx, run)
}

func (b *bench) coldUnpooled(ctx context.Context) error {
	run := coldRun{starts: b.size.emptyStarts, pause: b.size.pause, subjects: []subject{
		{label: "Python, no pool", function: b.functions.python, p50: atMost(15)},
		{label: "Node, no pool", function: b.functions.node, p50: atMost(30)},
		{label: "Go, no pool", function: b.functions.goLang, p50: atMost(8)},
	}}
	if b.hasPool(ctx) {
		run.args = b.unpooled
	} else {
		run.note = noPool
	}
	return b.cold(ctx, run)
}

func (b *bench) coldBundle(ctx context.Context) error {
	f, err := b.node("bundle", bundle())
	if err != nil {
		return err
	}
	return b.cold(ctx, coldRun{starts: b.size.bundleStarts, pause: b.size.pause, subjects: []subject{
		{label: "Node, 1.7 MB", function: f, p50: atMost(40)},
	}})
}

// slowStarts is how often the function with the slow import is started
// without a snapshot, for comparison.
const slowStarts = 5

// snapRuntime is the first runtime that SnapStart is for, whichever
// interpreter serves it here.
const snapRuntime = "python3.12"

func (b *bench) coldSnapshot(ctx context.Context) error {
	f, err := b.python("slow", source("slow/app.py"))
	if err != nil {
		return err
	}
	f.memoryMB = 512
	err = b.cold(ctx, coldRun{starts: min(slowStarts, b.size.snapStarts), pause: b.size.pause, subjects: []subject{
		{label: "Python, 500 ms import, no snapshot", function: f},
	}})
	if err != nil {
		return err
	}
	f.snapStart, f.runtime = true, snapRuntime
	sub := subject{label: "Python, 500 ms import, SnapStart", function: f, published: true, p50: atMost(8)}
	err = b.cold(ctx, coldRun{starts: b.size.snapStarts, pause: b.size.pause, subjects: []subject{sub}})
	if errors.Is(err, errNotBuilt) {
		b.rec.fail(sub.label+": p50", sub.p50, err)
		return nil
	}
	return err
}
