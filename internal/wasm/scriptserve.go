package wasm

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"
)

// This file has a request answered by JavaScript: by as few calls of the engine
// as that takes, since each finds cold what it needs. The engine's own functions
// for hosts put each value into a place of memory; here they are passed as the
// engine has them, in 64 bits.

// A rawScript is what of a script is passed so.
type rawScript struct {
	context   uint64 // the engine's, a place
	file      uint64 // the name of events, a place
	begin     uint64
	settle    uint64
	nothing   uint64 // undefined
	exception uint64 // what functions return that threw
}

// findRaw finds it.
func (v *vm) findRaw() {
	s := v.i.program.script
	s.raw = rawScript{context: v.do(jsContext), file: v.copied([]byte("<input>"))}
	s.raw.begin, s.raw.settle, s.raw.nothing = v.raw(s.entry[entryBegin]), v.raw(s.entry[entrySettle]), v.raw(s.nothing)
	s.raw.exception = v.do(jsParse, s.raw.context, v.copied([]byte("{")), 1, s.raw.file)
	if v.do(jsCaught, s.raw.context); s.raw.exception == s.raw.nothing {
		v.fail(errors.New("what is no JSON is parsed"))
	}
}

// raw returns the value that a place has.
func (v *vm) raw(place uint64) uint64 {
	if b := v.bytes(place, 8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// told are the variables that begin has parameters for, after the event.
var told = [...]string{EnvRequestID, EnvFunctionARN, EnvDeadline, EnvTraceID, EnvClientContext, envTenantID}

// envTenantID is the caller's tenant, as functions know it.
const envTenantID = "AWS_LAMBDA_TENANT_ID"

// variable returns a variable of NAME=value.
func variable(environ []string, name string) (string, bool) {
	for _, v := range environ {
		if len(v) > len(name) && v[len(name)] == '=' && v[:len(name)] == name {
			return v[len(name)+1:], true
		}
	}
	return "", false
}

// serveScript has a request answered.
func (i *Instance) serveScript(req *Request) (answer []byte, f *Failure) {
	f = i.inScript(i.run.Context, nil, func(v *vm) {
		v.seed()
		value := v.begin(req)
		if v.err == nil && i.run.failure == nil {
			answer = v.finish(value)
		}
	})
	return answer, f
}

// begin calls the handler, and returns what it returned.
func (v *vm) begin(req *Request) uint64 {
	raw := &v.i.program.script.raw
	room := len(req.Event) + 1
	var texts [len(told)]string
	for k, name := range told {
		texts[k], _ = variable(req.Environ, name)
		room += len(texts[k])
	}
	place := v.do(jsMalloc, uint64(room))
	if v.err == nil && place == 0 {
		v.fail(errMemory)
	}
	b := v.bytes(place, uint64(room))
	if b == nil {
		return 0
	}
	at := copy(b, req.Event) + 1
	b[at-1] = 0
	for _, text := range texts {
		at += copy(b[at:], text)
	}
	params, n := [2 + len(told)]uint64{}, 1
	if params[0] = raw.exception; utf8.Valid(req.Event) {
		params[0] = v.do(jsParse, raw.context, place, uint64(len(req.Event)), raw.file)
	}
	at = len(req.Event) + 1
	for k, text := range texts {
		params[1+k] = raw.nothing
		if text != "" {
			params[1+k], n = v.do(jsString, raw.context, place+uint64(at), uint64(len(text))), 2+k
			at += len(text)
		}
	}
	if params[0] == raw.exception { // our modules find out what it is
		v.do(jsCaught, raw.context)
		params[0], n = raw.nothing, len(params)
		params[n-1] = v.do(jsString, raw.context, place, uint64(len(req.Event)))
	}
	if room > maxKept {
		v.do(jsFree, place)
	}
	return v.callRaw(raw.begin, params[:n])
}

// maxKept is how large a request may be and not be freed before its end: that
// costs more than the memory.
const maxKept = 4 << 10

// callRaw calls a function.
func (v *vm) callRaw(function uint64, params []uint64) uint64 {
	s := v.i.program.script
	list := v.bytes(uint64(s.scratch), scratchSize)
	if list == nil {
		return 0
	}
	for n, p := range params {
		binary.LittleEndian.PutUint64(list[8*n:], p)
	}
	value := v.do(jsCallValue, s.raw.context, function, s.raw.nothing, uint64(len(params)), uint64(s.scratch))
	if v.err == nil && value == s.raw.exception {
		v.crash()
	}
	return value
}

// States of promises.
const promiseKept = 1

// finish returns the answer of a handler that returned a value. Most are
// promises that have been kept, with nothing left to do: async functions that
// did not have to wait.
func (v *vm) finish(value uint64) []byte {
	raw := &v.i.program.script.raw
	if v.do(jsPromiseState, raw.context, value) == promiseKept && v.do(jsIsJob) == 0 {
		return v.written(v.do(jsPromiseValue, raw.context, value))
	}
	v.callRaw(raw.settle, []uint64{value})
	return v.settle()
}

// written returns a value as JSON.
func (v *vm) written(value uint64) []byte {
	raw := &v.i.program.script.raw
	text := v.do(jsStringify, raw.context, value, raw.nothing, raw.nothing)
	switch {
	case v.err != nil:
		return nil
	case text == raw.nothing:
		return []byte("null")
	case text == raw.exception:
		v.do(jsCaught, raw.context)
		v.call(entryUnwritten)
		return nil
	}
	scratch := uint64(v.i.program.script.scratch)
	place := v.do(jsToText, raw.context, scratch, text, 0)
	if v.err == nil && place == 0 {
		v.fail(errMemory)
	}
	n := v.word(scratch)
	if n > MaxAnswer {
		v.fail(TooLarge(int(n)))
	}
	return append([]byte{}, v.bytes(place, n)...)
}
