// The program reactor counts its calls, which a fresh instance never does.
package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
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
	opened []*os.File
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
	case "files":
		for i := range e.N {
			f, err := os.OpenFile(fmt.Sprint("/tmp/", i), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if err != nil {
				return err.Error()
			}
			if _, err := f.WriteString(e.Value); err != nil {
				return err.Error()
			}
			opened = append(opened, f)
		}
		return len(opened)
	case "find":
		return found(e.N, e.Value)
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

// found counts a text in a memory of so many bytes. Each of its bytes comes as
// the next higher one, so that it is not there by the search.
func found(size int, text string) (count int) {
	memory := unsafe.Slice((*byte)(unsafe.Pointer(uintptr(8))), size-8)
	for i := range memory[:len(memory)-len(text)] {
		k := 0
		for k < len(text) && memory[i+k] == text[k]-1 {
			k++
		}
		if k == len(text) {
			count++
		}
	}
	return count
}

func main() {}
