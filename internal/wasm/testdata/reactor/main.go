// The program reactor counts its calls, which a fresh instance never does.
package main

import (
	"encoding/json"
	"math/rand/v2"
	"runtime"
	"unsafe"
)

type event struct {
	Do    string `json:"do"`
	Value string `json:"value"`
	N     int    `json:"n"`
}

var (
	calls  int
	memory []string
	seeded uint64
	buffer []byte
	answer []byte
)

//go:wasmexport alloc
func alloc(n uint32) unsafe.Pointer {
	buffer = make([]byte, n+1)
	return unsafe.Pointer(&buffer[0])
}

//go:wasmexport warmup
func warmup() {
	handled([]byte(`{"do":"echo","value":"warm"}`))
	calls, memory = 0, nil
}

//go:wasmexport restored
func restored(seed uint64) { seeded = seed }

//go:wasmexport handle
func handle(p unsafe.Pointer, n uint32) uint64 {
	answer = handled(unsafe.Slice((*byte)(p), n))
	return uint64(uintptr(unsafe.Pointer(&answer[0])))<<32 | uint64(len(answer))
}

func handled(in []byte) []byte {
	var e event
	if err := json.Unmarshal(in, &e); err != nil {
		panic(err)
	}
	calls++
	out, err := json.Marshal(do(e))
	if err != nil {
		panic(err)
	}
	return out
}

func do(e event) any {
	switch e.Do {
	case "count":
		return calls
	case "remember":
		memory = append(memory, e.Value)
		return memory
	case "grow":
		for range e.N {
			memory = append(memory, string(make([]byte, 1<<20)))
		}
		return len(memory)
	case "collect":
		runtime.GC()
		return nil
	case "seed":
		return seeded
	case "random":
		return rand.Uint64()
	case "spin":
		println("spinning")
		for spun := 0; ; spun++ {
			if spun < 0 {
				return spun
			}
		}
	case "panic":
		panic(e.Value)
	}
	return e.Value
}

func main() {}
