package wasm

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// A jsFunction is one of the engine's. Values are passed as places of memory
// that have them; what a function returns is the caller's to free, unless the
// request ends before that is worth it.
type jsFunction int

const (
	jsInit jsFunction = iota
	jsSetMaxStack
	jsSetRejections
	jsSetLoader
	jsMalloc
	jsFree
	jsContext
	jsGlobal
	jsUndefined
	jsNewObject
	jsNewString
	jsNewNumber
	jsNewBytes
	jsNewHostFunction
	jsSetMember
	jsMember
	jsFreeValue
	jsText
	jsFreeText
	jsNumber
	jsBuffer
	jsIsString
	jsIsException
	jsIsFunction
	jsException
	jsEvaluate
	jsCall
	jsIsJob
	jsDoJob
	jsPromiseResult
	jsCollect
	jsSetCollectAt

	// Those that follow are the engine's own, below the functions for hosts:
	// they take and return values as they are.
	jsParse
	jsString
	jsCallValue
	jsPromiseState
	jsPromiseValue
	jsStringify
	jsToText
	jsCaught
	jsFunctions
)

var jsNames = [jsFunctions]string{
	jsInit: "qjs_init", jsSetMaxStack: "qjs_set_max_stack_size", jsSetRejections: "qjs_set_promise_rejection_handler",
	jsSetLoader: "qjs_set_module_loader", jsMalloc: "wasm_malloc", jsFree: "wasm_free", jsContext: "qjs_get_context_ptr",
	jsGlobal: "qjs_get_global", jsUndefined: "qjs_get_undefined", jsNewObject: "qjs_new_object", jsNewString: "qjs_new_string",
	jsNewNumber: "qjs_new_number", jsNewBytes: "qjs_new_uint8_array", jsNewHostFunction: "qjs_new_host_function",
	jsSetMember: "qjs_set_prop_string", jsMember: "qjs_get_prop_string", jsFreeValue: "qjs_free_value", jsText: "qjs_get_string_len",
	jsFreeText: "qjs_free_cstring", jsNumber: "qjs_get_float64", jsBuffer: "qjs_get_array_buffer", jsIsString: "qjs_is_string",
	jsIsException: "qjs_is_exception", jsIsFunction: "qjs_is_function", jsException: "qjs_get_exception", jsEvaluate: "qjs_eval",
	jsCall: "qjs_call", jsIsJob: "qjs_is_job_pending", jsDoJob: "qjs_execute_pending_job", jsPromiseResult: "qjs_promise_result",
	jsCollect: "qjs_run_gc", jsSetCollectAt: "qjs_set_gc_threshold",
	jsParse: "JS_ParseJSON", jsString: "JS_NewStringLen", jsCallValue: "JS_Call", jsPromiseState: "JS_PromiseState",
	jsPromiseValue: "JS_PromiseResult", jsStringify: "JS_JSONStringify", jsToText: "JS_ToCStringLen2", jsCaught: "JS_GetException",
}

// calls are functions as they can be called, found at their first use: a
// function that runs cannot be called again before it has returned.
type calls struct {
	functions [jsFunctions]api.Function
	stack     [5]uint64
}

// vm calls the functions of an instance of the engine. After an error its
// methods do nothing, and err says what the first one was.
type vm struct {
	i      *Instance
	err    error
	inside bool // a function of the host is what calls
	own    bool // our own modules are loaded

	outer, inner calls
	rejections   []rejection
}

// errMemory is a script that there is no memory for.
var errMemory = &Failure{Type: outOfMemory, Message: "JavaScript heap out of memory"}

// outOfMemory is the type of a failure for want of memory.
const outOfMemory = "Runtime.OutOfMemory"

// inScript has do call the engine. With a request it is as if it were the one
// that is served; else there is one, for which the guest was entered.
func (i *Instance) inScript(ctx context.Context, req *Request, do func(*vm)) *Failure {
	if req != nil {
		i.run.begin(i, req)
		defer i.run.end()
		i.run.Context = ctx
		i.run.enter()
		defer i.run.leave()
	}
	if i.vm == nil {
		i.vm = &vm{i: i}
	}
	v := i.vm
	v.err, v.inside, v.rejections = nil, false, v.rejections[:0]
	do(v)
	i.whole = v.err == nil
	switch {
	case v.err != nil:
		return failure(v.err)
	case i.run.failure != nil && i.mem.refused && i.run.failure.Type == "InternalError":
		return errMemory // what a script throws where it gets none
	}
	return i.run.failure
}

// do calls a function.
func (v *vm) do(f jsFunction, params ...uint64) uint64 {
	if v.err != nil {
		return 0
	}
	c := &v.outer
	if v.inside {
		c = &v.inner
	}
	if c.functions[f] == nil {
		if c.functions[f] = v.i.mod.ExportedFunction(jsNames[f]); c.functions[f] == nil {
			v.fail(errors.New("the engine has no function " + jsNames[f]))
			return 0
		}
	}
	c.stack[0] = 0 // of which a result of 32 bits takes half
	copy(c.stack[:], params)
	if err := c.functions[f].CallWithStack(&v.i.run, c.stack[:]); err != nil {
		v.err = err
		return 0
	}
	return c.stack[0]
}

func (v *vm) fail(err error) {
	if v.err == nil {
		v.err = err
	}
}

// bytes returns n bytes of memory; nil where they are not there.
func (v *vm) bytes(place, n uint64) []byte {
	place, n = uint64(uint32(place)), uint64(uint32(n))
	m := v.i.mem
	if v.err == nil && place+n > uint64(m.size) {
		v.fail(errors.New("the engine names memory that is not there"))
	}
	if v.err != nil {
		return nil
	}
	return m.space[place : place+n : place+n]
}

// copied returns a place that has b, and a zero after it. The caller frees it.
func (v *vm) copied(b []byte) uint64 {
	place := v.do(jsMalloc, uint64(len(b)+1))
	if v.err == nil && place == 0 {
		v.fail(errMemory)
	}
	if to := v.bytes(place, uint64(len(b)+1)); to != nil {
		to[copy(to, b)] = 0
	}
	return place
}

// newText returns a string.
func (v *vm) newText(b []byte) uint64 {
	place := v.copied(b)
	value := v.do(jsNewString, place, uint64(len(b)))
	v.do(jsFree, place)
	return value
}

// text returns what a string has.
func (v *vm) text(value uint64) []byte {
	scratch := uint64(v.i.program.script.scratch)
	place := v.do(jsText, value, scratch)
	if v.err == nil && place == 0 {
		v.fail(errMemory)
	}
	n := v.word(scratch)
	b := append([]byte{}, v.bytes(place, n)...)
	v.do(jsFreeText, place)
	return b
}

// word returns the number of 32 bits at a place.
func (v *vm) word(place uint64) uint64 {
	b := v.bytes(place, 4)
	if b == nil {
		return 0
	}
	return uint64(binary.LittleEndian.Uint32(b))
}

func (v *vm) number(value uint64) float64 { return math.Float64frombits(v.do(jsNumber, value)) }

func (v *vm) member(object uint64, name string) uint64 {
	place := v.copied([]byte(name))
	value := v.do(jsMember, object, place)
	v.do(jsFree, place)
	return value
}

func (v *vm) setMember(object uint64, name string, value uint64) {
	place := v.copied([]byte(name))
	v.do(jsSetMember, object, place, value)
	v.do(jsFree, place)
}

func (v *vm) hostFunction(name string) uint64 {
	place := v.copied([]byte(name))
	value := v.do(jsNewHostFunction, place, uint64(len(name)), 0)
	v.do(jsFree, place)
	return value
}

// evaluate runs a module, and returns a promise of its namespace.
func (v *vm) evaluate(code []byte, name string) uint64 {
	const asModule = 1
	text, file := v.copied(code), v.copied([]byte(name))
	value := v.do(jsEvaluate, text, uint64(len(code)), file, asModule)
	v.do(jsFree, text)
	v.do(jsFree, file)
	return value
}

// call calls one of our modules' functions.
func (v *vm) call(entry int, params ...uint64) uint64 {
	s := v.i.program.script
	list := v.bytes(uint64(s.scratch), scratchSize)
	if list == nil {
		return 0
	}
	for n, p := range params {
		binary.LittleEndian.PutUint32(list[4*n:], uint32(p))
	}
	value := v.do(jsCall, s.entry[entry], s.nothing, uint64(len(params)), uint64(s.scratch))
	if v.do(jsIsException, value) != 0 {
		v.crash()
	}
	return value
}

// crash makes a failure of an exception that nobody caught.
func (v *vm) crash() {
	s := v.i.program.script
	exception := v.do(jsException)
	list := v.bytes(uint64(s.scratch), 4)
	if list == nil {
		return
	}
	binary.LittleEndian.PutUint32(list, uint32(exception))
	value := v.do(jsCall, s.entry[entryCrash], s.nothing, 1, uint64(s.scratch))
	if v.err == nil && (v.do(jsIsException, value) != 0 || v.i.run.failure == nil) {
		v.fail(errMemory) // it cannot even say what is wrong
	}
}

// seed gives Math.random a state of its own.
func (v *vm) seed() {
	if b := v.bytes(uint64(v.i.program.script.random), 8); b != nil {
		_, _ = rand.Read(b) // never fails
		b[0] |= 1           // zero would be followed by zero
	}
}

// drain runs the jobs that are due.
func (v *vm) drain() {
	for v.i.run.failure == nil && v.do(jsIsJob) != 0 && v.err == nil {
		if int32(v.do(jsDoJob)) < 0 {
			v.crash()
		}
	}
}

// settle runs the event loop until there is an answer.
func (v *vm) settle() []byte {
	for {
		v.drain()
		if v.err != nil || v.i.run.failure != nil {
			return nil
		}
		var unheard []uint64
		if len(v.rejections) > 0 {
			unheard = []uint64{v.do(jsNewNumber, math.Float64bits(1)), v.rejections[0].reason}
		}
		value := v.call(entryTurn, unheard...)
		if v.err != nil || v.i.run.failure != nil {
			return nil
		}
		if v.do(jsIsString, value) != 0 {
			return v.answer(value)
		}
		wait := v.number(value)
		v.do(jsFreeValue, value)
		if wait > 0 && v.err == nil {
			if f := v.i.run.sleep(time.Duration(wait * float64(time.Millisecond))); f != nil {
				v.fail(f)
			}
		}
	}
}

// answer returns a string, unless it is too long for an answer.
func (v *vm) answer(value uint64) []byte {
	b := v.text(value)
	if len(b) > MaxAnswer {
		v.fail(TooLarge(len(b)))
	}
	return b
}
