// The program probe is what the conformance suite asks of a function, as a
// reactor.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
	"unsafe"
)

//go:wasmimport millicent fail
func fail(kind unsafe.Pointer, kindLength uint32, message unsafe.Pointer, messageLength uint32)

//go:wasmimport millicent fail_document
func failDocument(kind unsafe.Pointer, kindLength uint32, doc unsafe.Pointer, docLength uint32)

type event struct {
	Do      string          `json:"do"`
	Value   json.RawMessage `json:"value"`
	Type    string          `json:"type"`
	Message string          `json:"message"`
	Lines   []string        `json:"lines"`
	MS      int             `json:"ms"`
	Code    int             `json:"code"`
	MB      int             `json:"mb"`
	N       int             `json:"n"`
	Path    string          `json:"path"`
	Name    string          `json:"name"`
}

var (
	calls  int
	buffer []byte
	answer []byte
	kept   [][]byte
)

func init() {
	switch os.Getenv("PROBE_INIT") {
	case "fail":
		kind, doc := "Runtime.ProbeError", `{"errorMessage":"not today","errorType":"Runtime.ProbeError","requestId":"","stackTrace":[]}`
		failDocument(text(kind), uint32(len(kind)), text(doc), uint32(len(doc)))
	case "exit":
		os.Exit(3)
	}
}

func text(s string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(s)) }

//go:wasmexport alloc
func alloc(n uint32) unsafe.Pointer {
	buffer = make([]byte, n+1)
	return unsafe.Pointer(&buffer[0])
}

//go:wasmexport handle
func handle(p unsafe.Pointer, n uint32) uint64 {
	var e event
	if err := json.Unmarshal(unsafe.Slice((*byte)(p), n), &e); err != nil {
		panic(err)
	}
	answer = do(e)
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(answer))))<<32 | uint64(len(answer))
}

func do(e event) []byte {
	switch e.Do {
	case "echo":
		return e.Value
	case "fail":
		fail(text(e.Type), uint32(len(e.Type)), text(e.Message), uint32(len(e.Message)))
	case "log":
		fmt.Println(strings.Join(e.Lines, "\n"))
	case "sleep":
		time.Sleep(time.Duration(e.MS) * time.Millisecond)
		if e.Value != nil {
			return e.Value
		}
	case "exit":
		os.Exit(e.Code)
	case "allocate":
		for range e.MB {
			b := make([]byte, 1<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			kept = append(kept, b)
		}
	case "read":
		b, _ := os.ReadFile(e.Path)
		return encoded(string(b))
	case "count":
		calls++
		return encoded(calls)
	case "bytes":
		return []byte(`"` + strings.Repeat("x", e.N-2) + `"`)
	case "getenv":
		return encoded(os.Getenv(e.Name))
	}
	return []byte("null")
}

func encoded(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func main() {}
