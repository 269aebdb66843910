package wasm

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/api"
	"golang.org/x/net/idna"

	"github.com/millicent-run/millicent/internal/wasm/javascript"
)

// scriptModule is what the JavaScript engine imports its host's functions from.
const scriptModule = "env"

// A scriptFunction is one of these: how many parameters and results it has, all
// of 32 bits, and what it does.
type scriptFunction struct {
	params, results int
	do              func(v *vm, p []uint64) uint64
}

var scriptFunctions = map[string]scriptFunction{
	"host_call":                {5, 1, callHost},
	"host_interrupt":           {0, 1, func(*vm, []uint64) uint64 { return 0 }}, // the meter does this
	"host_promise_rejection":   {3, 0, trackRejection},
	"host_module_normalize":    {2, 1, nameModule},
	"host_module_load":         {2, 1, loadModule},
	"host_get_timezone_offset": {2, 1, func(*vm, []uint64) uint64 { return 0 }}, // UTC
}

// Call implements api.GoModuleFunction.
func (f scriptFunction) Call(ctx context.Context, _ api.Module, stack []uint64) {
	v := guestOf(ctx).instance.vm
	if v.inside {
		panic(&Failure{Type: "Runtime.Trap", Message: "the JavaScript engine called its host within a call of its own"})
	}
	v.inside = true
	value := f.do(v, stack)
	v.inside = false
	if v.err != nil {
		panic(v.err) // ends the guest; who called it finds the error again
	}
	if f.results > 0 {
		stack[0] = value
	}
}

// hostFunctions are what our modules have of the host, by name: their
// parameters and what they return are values. host.js has them called with
// parameters of the right kinds only.
var hostFunctions = map[string]func(v *vm, p []uint64) uint64{
	"log":    hostLog,
	"note":   hostNote,
	"fail":   hostFail,
	"exit":   hostExit,
	"random": hostRandom,
	"encode": hostEncode,
	"decode": hostDecode,
	"locate": hostLocate,
	"domain": hostDomain,
	"fetch":  scriptFetch,
}

// callHost is what a function of the host becomes when JavaScript calls it:
// name, its length, this, how many parameters, and where they are.
func callHost(v *vm, p []uint64) uint64 {
	do := hostFunctions[string(v.bytes(p[0], p[1]))]
	list := v.bytes(p[4], 4*p[3])
	if do == nil {
		v.fail(fmt.Errorf("the JavaScript engine calls what the host does not have"))
	}
	if v.err != nil {
		return 0
	}
	var values [8]uint64
	n := min(len(list)/4, len(values))
	for k := range n {
		values[k] = uint64(binary.LittleEndian.Uint32(list[4*k:]))
	}
	return do(v, values[:n])
}

// log(text) writes an entry of the log.
func hostLog(v *vm, p []uint64) uint64 {
	if log := v.i.run.req.Log; log != nil {
		_, _ = log.Write(v.text(p[0])) // a log that is not kept fails no function
	}
	return v.do(jsUndefined)
}

// note(text) writes an entry of the log in the text format, but for its time and
// the request's id, which go before it.
func hostNote(v *vm, p []uint64) uint64 {
	log := v.i.run.req.Log
	if log == nil {
		return v.do(jsUndefined)
	}
	text := v.text(p[0])
	id, ok := variable(v.i.run.req.Environ, EnvRequestID)
	if !ok {
		id = "undefined"
	}
	line := time.Now().UTC().AppendFormat(make([]byte, 0, len("2006-01-02T15:04:05.000Z\t\t\n")+len(id)+len(text)), "2006-01-02T15:04:05.000Z\t")
	line = append(append(append(line, id...), '\t'), text...)
	for n := range line {
		if line[n] == '\n' {
			line[n] = '\r' // an entry is a line
		}
	}
	_, _ = log.Write(append(wellFormed(line), '\n')) // a log that is not kept fails no function
	return v.do(jsUndefined)
}

// wellFormed replaces halves of pairs of UTF-16 that stand alone, as the engine
// writes them: three bytes that are no UTF-8, and as many as what they become.
func wellFormed(text []byte) []byte {
	for n := 0; n+2 < len(text); n++ {
		if text[n] == 0xed && text[n+1] >= 0xa0 {
			copy(text[n:], "\ufffd")
		}
	}
	return text
}

// fail(type, message, document) says that what runs has failed.
func hostFail(v *vm, p []uint64) uint64 {
	if v.i.run.failure == nil {
		f := &Failure{Type: string(v.text(p[0])), Message: string(v.text(p[1])), Document: v.text(p[2])}
		if len(f.Document) > MaxAnswer {
			f.Document = nil
		}
		f.Type = strings.Map(printable, f.Type[:min(len(f.Type), maxType)]) // it stands in lines of the log
		f.Message = f.Message[:min(len(f.Message), maxMessage)]
		v.i.run.failure = f
	}
	return v.do(jsUndefined)
}

// maxType is how much of the type of an error is kept.
const maxType = 256

// printable drops what is no plain character.
func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return -1
	}
	return r
}

// exit(code) ends what runs at once.
func hostExit(v *vm, p []uint64) uint64 {
	f := &Failure{Type: "Runtime.ExitError", Message: "Runtime exited without providing a reason"}
	if code := uint8(int64(v.number(p[0]))); code != 0 {
		f.Message = fmt.Sprintf("Runtime exited with error: exit status %d", code)
	}
	v.fail(f)
	return 0
}

// random(n) returns n random bytes.
func hostRandom(v *vm, p []uint64) uint64 {
	b := make([]byte, min(max(int64(v.number(p[0])), 0), 65_536))
	_, _ = rand.Read(b) // never fails
	return v.newBytes(b)
}

func (v *vm) newBytes(b []byte) uint64 {
	place := v.copied(b)
	value := v.do(jsNewBytes, place, uint64(len(b)))
	v.do(jsFree, place)
	return value
}

// encode(text) returns it as UTF-8.
func hostEncode(v *vm, p []uint64) uint64 {
	return v.newBytes(v.text(p[0]))
}

// decode(buffer, offset, length, fatal) returns UTF-8 as text. With fatal it
// returns undefined for what is not valid.
func hostDecode(v *vm, p []uint64) uint64 {
	text, ok := v.part(p)
	if !ok || v.number(p[3]) != 0 && !utf8.Valid(text) {
		return v.do(jsUndefined)
	}
	return v.newText(javascript.Decode(text))
}

// part returns a part of a buffer: the parameters are it, an offset, and a
// length.
func (v *vm) part(p []uint64) ([]byte, bool) {
	scratch := uint64(v.i.program.script.scratch)
	place := v.do(jsBuffer, p[0], scratch)
	all := v.bytes(place, v.word(scratch))
	from, n := uint64(v.number(p[1])), uint64(v.number(p[2]))
	if v.err != nil || from > uint64(len(all)) || n > uint64(len(all))-from {
		return nil, false
	}
	return all[from : from+n], true
}

// fetch(head, buffer, offset, length) makes a request of HTTP, with a part of a
// buffer as its body, and returns what came of it: see Fetch.
func scriptFetch(v *vm, p []uint64) uint64 {
	head := v.text(p[0])
	body, ok := v.part(p[1:])
	if !ok {
		return v.do(jsUndefined)
	}
	request := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(head)+len(body)), uint32(len(head)))
	response := v.i.run.fetch(append(append(request, head...), body...))
	if f := v.i.run.over(); f != nil {
		v.fail(f)
	}
	return v.newBytes(response)
}

// locate(stack) returns a stack with places of the function's own files.
func hostLocate(v *vm, p []uint64) uint64 {
	stack := string(v.text(p[0]))
	if locate := v.i.program.script.locate; locate != nil {
		stack = locate(stack)
	}
	return v.newText([]byte(stack))
}

// domain(name) returns a domain name in ASCII; empty if it is none.
func hostDomain(v *vm, p []uint64) uint64 {
	name, err := domains.ToASCII(string(v.text(p[0])))
	if err != nil {
		name = ""
	}
	return v.newText([]byte(name))
}

// domains is how the URL standard treats names: UTS 46, not transitional.
var domains = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.CheckHyphens(false))

// A rejection is a promise that was rejected, and nobody has cared so far.
type rejection struct {
	id              string // of the promise: its value
	promise, reason uint64
}

// trackRejection(promise, reason, handled) hears of promises that are rejected,
// or handled after all. The values are the host's to free.
func trackRejection(v *vm, p []uint64) uint64 {
	id := string(v.bytes(p[0], 8))
	if uint32(p[2]) == 0 {
		v.rejections = append(v.rejections, rejection{id, p[0], p[1]})
		return 0
	}
	for n, r := range v.rejections {
		if r.id == id {
			v.do(jsFreeValue, r.promise)
			v.do(jsFreeValue, r.reason)
			v.rejections = append(v.rejections[:n], v.rejections[n+1:]...)
			break
		}
	}
	v.do(jsFreeValue, p[0])
	v.do(jsFreeValue, p[1])
	return 0
}

// ownModule is what the names of our own modules begin with.
const ownModule = "millicent:"

// nameModule(base, name) returns the name of a module that is imported: a copy
// of it, which the engine frees. A function's modules have been made one; only
// ours import others.
func nameModule(v *vm, p []uint64) uint64 {
	prefix := "package:" // there is nothing of that kind
	if v.own {
		prefix = ownModule
	}
	return v.copied([]byte(prefix + strings.TrimPrefix(v.name(p[1]), "./")))
}

// loadModule(name, length) returns the code of a module, which the engine
// frees.
func loadModule(v *vm, p []uint64) uint64 {
	name, ours := strings.CutPrefix(v.name(p[0]), ownModule)
	code, to := javascript.Prelude(name), v.bytes(p[1], 4)
	if !ours || code == nil || to == nil {
		return 0
	}
	binary.LittleEndian.PutUint32(to, uint32(len(code)))
	return v.copied(code)
}

// name returns a text that ends with a zero.
func (v *vm) name(place uint64) string {
	all := v.bytes(place, min(4096, uint64(v.i.mem.size)-min(uint64(uint32(place)), uint64(v.i.mem.size))))
	end := bytes.IndexByte(all, 0)
	return string(all[:max(end, 0)])
}
