package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/millicent-run/millicent/internal/wasm/javascript"
	"github.com/millicent-run/millicent/internal/wasm/module"
)

// This file and those that begin with "script" run JavaScript. The engine that
// interprets it is one module, compiled once: all programs share its code. An
// instance of it that has run our own modules (package javascript) is the image
// that programs begin with, and a program's image is that of an instance which
// has run the function's module besides.

// scripts is what the JavaScript programs of an Engine share, made at the first
// use.
type scripts struct {
	mu   sync.Mutex
	base *Program
}

// A script tells where in the image of a program things are.
type script struct {
	entry   [entries]uint64 // values: functions that are called from here
	nothing uint64          // the value undefined
	random  uint32          // the state of Math.random: 8 bytes
	scratch uint32          // scratchSize bytes for parameters and results
	raw     rawScript
	locate  func(stack string) string
}

// Functions of our modules, which main.js describes.
const (
	entryPrepare = iota
	entryLoad
	entryBegin
	entrySettle
	entryUnwritten
	entryTurn
	entryCrash
	entries
)

var entryNames = [entries]string{"prepare", "load", "begin", "settle", "unwritten", "turn", "crash"}

const scratchSize = 64

// maxStack is how much of its stack JavaScript may use: half of what the engine
// has, as it wants.
const maxStack = 512 << 10

// collectAt is how many bytes of objects there are when their engine looks for
// garbage in cycles for the first time. That writes to all of the heap: most
// requests end before.
const collectAt = 16 << 20

// javascript returns what programs begin with.
func (e *Engine) javascript(ctx context.Context) (*Program, error) {
	e.scripts.mu.Lock()
	defer e.scripts.mu.Unlock()
	if e.scripts.base == nil {
		base, err := e.loadEngine(ctx)
		if err != nil {
			return nil, fmt.Errorf("start the JavaScript engine: %w", err)
		}
		e.scripts.base = base
	}
	return e.scripts.base, nil
}

// engineSource returns the engine's module.
func engineSource() (*source, error) {
	file, err := javascript.Engine()
	if err != nil {
		return nil, err
	}
	return &source{digest: sha256.Sum256(file), file: file, read: readEngine, kind: "engine"}, nil
}

// expectScripts starts the engine if it has been compiled before: whoever has
// run JavaScript will again. What is wrong with it is told to the first program.
func (e *Engine) expectScripts(ctx context.Context) {
	if from, err := engineSource(); err == nil && e.keeps(from) {
		_, _ = e.javascript(ctx) // as said above
	}
}

func (e *Engine) loadEngine(ctx context.Context) (*Program, error) {
	from, err := engineSource()
	if err != nil {
		return nil, err
	}
	c, err := e.compile(ctx, from)
	if err != nil {
		return nil, err
	}
	p := &Program{engine: e, code: c, release: c.close, script: &script{}, maxBytes: 64 << 20}
	p.cfg = ProgramConfig{InitTime: DefaultInitTime, Log: io.Discard}
	if err := p.initialise(ctx); err != nil {
		return nil, errors.Join(err, p.Close(ctx))
	}
	return p, nil
}

// readEngine reads the engine's module.
func readEngine(file []byte) (*module.Module, ABI, error) {
	m, err := module.Parse(file)
	return m, JavaScript, err
}

// LoadScript initialises a function that is written in JavaScript. An error
// that is a *Failure is the function's own.
func (e *Engine) LoadScript(ctx context.Context, bundle *javascript.Bundle, handler string, cfg ProgramConfig) (*Program, error) {
	if cfg.InitTime == 0 {
		cfg.InitTime = DefaultInitTime
	}
	base, err := e.javascript(ctx)
	if err != nil {
		return nil, err
	}
	own := *base.script
	own.locate = bundle.Locate
	p := &Program{engine: e, cfg: cfg, code: base.code, release: shared, image: base.image, script: &own}
	if p.maxBytes, err = p.limit(cfg.MemoryMB); err != nil {
		return nil, err
	}
	began := time.Now()
	i, err := p.Instance(ctx)
	if err != nil {
		return nil, err
	}
	defer i.Close()
	if f := i.loadScript(ctx, bundle, handler); f != nil {
		return nil, f
	}
	p.image, err = i.picture(base.image)
	p.initTime = time.Since(began)
	return p, err
}

// MaxBundle is how long the files of a function in JavaScript may take to become
// one module.
const MaxBundle = javascript.MaxTime

// shared releases what belongs to all programs.
func shared(context.Context) error { return nil }

// bundle returns a function's code, and whether it was kept from before. A
// *Failure is the function's own.
func (e *Engine) bundle(ctx context.Context, spec *Spec) (*javascript.Bundle, bool, error) {
	cache := javascript.Cache{Dir: e.cfg.CacheDir, Kept: e.cfg.KeptDir, Added: e.added}
	if e.cfg.OnlyKept {
		if b := cache.Find(spec.Digest, spec.Handler); b != nil {
			return b, true, nil
		}
		return nil, false, ErrNotPrepared
	}
	b, kept, err := cache.Make(ctx, spec.Digest, spec.Dir, spec.Handler)
	var own *javascript.Error
	if errors.As(err, &own) {
		return nil, false, ownFailure(own, spec.Log)
	}
	return b, kept, err
}

// ownFailure is a failure of a function's code before any of it ran. The log
// gets it as from one that did.
func ownFailure(e *javascript.Error, log Log) *Failure {
	document := struct {
		ErrorType    string   `json:"errorType"`
		ErrorMessage string   `json:"errorMessage"`
		Trace        []string `json:"trace"`
	}{e.Type, e.Message, []string{e.Type + ": " + e.Message}}
	if e.Place != "" {
		document.Trace = append(document.Trace, "    at "+e.Place)
	}
	text, err := json.Marshal(document)
	if err != nil {
		panic(fmt.Sprintf("wasm: write a failure: %v", err)) // strings
	}
	if log != nil {
		_, _ = fmt.Fprintf(log, "%s\tundefined\tERROR\tInit Error \t%s\n", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), text)
	}
	return &Failure{Type: e.Type, Message: e.Message, Document: text}
}

// prepareScript is Host.Prepare for JavaScript.
func (e *Engine) prepareScript(ctx context.Context, spec *Spec) error {
	if _, _, err := e.bundle(ctx, spec); err != nil {
		return err
	}
	base, err := e.javascript(ctx)
	if err != nil {
		return err
	}
	_, err = base.limit(spec.MemoryMB)
	return err
}

// startScripts runs our own modules in a new instance of the engine.
func (i *Instance) startScripts(ctx context.Context, req *Request) *Failure {
	return i.inScript(ctx, req, func(v *vm) {
		s := i.program.script
		if v.do(jsInit) != 0 {
			v.fail(errors.New("it does not start"))
			return
		}
		v.do(jsSetMaxStack, maxStack)
		v.do(jsSetRejections, 1)
		v.do(jsSetLoader, 1)
		s.scratch, s.nothing = uint32(v.do(jsMalloc, scratchSize)), v.do(jsUndefined)
		global, host := v.do(jsGlobal), v.do(jsNewObject)
		for name := range hostFunctions {
			v.setMember(host, name, v.hostFunction(name))
		}
		v.setMember(global, "millicent", host)
		v.own = true
		all := v.do(jsPromiseResult, v.evaluate([]byte(`export * from "./main.js"`), ownModule+"entry.js"))
		v.drain()
		v.own = false
		for n, name := range entryNames {
			if s.entry[n] = v.member(all, name); v.err == nil && v.do(jsIsFunction, s.entry[n]) == 0 {
				v.fail(fmt.Errorf("our modules have no function %s", name))
			}
		}
		v.findRandom(global)
		v.findRaw()
		v.do(jsCollect)
		v.fillHoles() // here, so that functions' modules change few pages
	})
}

// findRandom finds the state of Math.random in the engine's context: eight
// bytes that a call changes as its generator (xorshift64*) does. Each request
// is to have another one, which the engine has no function for.
func (v *vm) findRandom(global uint64) {
	const size = 4096
	math := v.member(global, "Math")
	random, at := v.member(math, "random"), v.do(jsContext)
	before := strings.Clone(string(v.bytes(at, size)))
	v.do(jsCall, random, math, 0, 0)
	after := v.bytes(at, size)
	for n := 0; v.err == nil && n+8 <= len(before); n += 8 {
		x := binary.LittleEndian.Uint64([]byte(before[n:]))
		x ^= x >> 12
		x ^= x << 25
		x ^= x >> 27
		if x != 0 && x == binary.LittleEndian.Uint64(after[n:]) && string(after[n:n+8]) != before[n:n+8] {
			v.i.program.script.random = uint32(at) + uint32(n)
			return
		}
	}
	v.fail(errors.New("the state of Math.random is not found"))
}

// loadScript runs a function's module, and finds its handler.
func (i *Instance) loadScript(ctx context.Context, bundle *javascript.Bundle, handler string) *Failure {
	req := &Request{Deadline: time.Now().Add(i.program.cfg.InitTime), Log: i.program.cfg.Log}
	return i.inScript(ctx, req, func(v *vm) {
		v.seed()
		environ := v.newText([]byte(strings.Join(i.program.cfg.Environ, "\x00")))
		v.call(entryPrepare, environ)
		namespace := v.evaluate(bundle.Code, bundle.Name)
		if v.err != nil {
			return
		}
		if v.do(jsIsException, namespace) != 0 {
			v.crash()
			return
		}
		v.call(entryLoad, namespace, v.newText([]byte(handler)))
		v.settle()
		v.do(jsCollect)
		v.fillHoles()
		v.do(jsSetCollectAt, uint64(min(collectAt, i.program.maxBytes/4)))
	})
}

// Sizes of holes that are filled, and how many at most.
const (
	largestHole  = 64 << 10
	smallestHole = 8
	maxHoles     = 100_000
)

// fillHoles takes all memory that was freed and lies between what is used. What
// a request needs then comes from one place behind it: so it changes few pages,
// and not one here and one there.
func (v *vm) fillHoles() {
	end := v.do(jsMalloc, 2*largestHole)
	v.do(jsFree, end)
	n := 0
	for size := uint64(largestHole); size >= smallestHole; {
		place := v.do(jsMalloc, size)
		if place < end && place != 0 && n < maxHoles && v.err == nil {
			n++
			continue
		}
		v.do(jsFree, place)
		if size > 512 {
			size /= 2
		} else {
			size -= 8
		}
	}
}
