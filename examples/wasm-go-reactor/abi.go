//go:build wasip1

package main

import (
	"fmt"
	"unsafe"
)

// This file is the same for every function: what the platform calls, and what
// it offers.

// The event and the answer, which the platform writes to and reads: the
// collector must not take them meanwhile.
var event, result []byte

//go:wasmexport alloc
func alloc(n uint32) unsafe.Pointer {
	event = make([]byte, n)
	return unsafe.Pointer(unsafe.SliceData(event))
}

//go:wasmexport handle
func handle(unsafe.Pointer, uint32) uint64 {
	var err error
	if result, err = handler(event); err != nil {
		kind, message := []byte(fmt.Sprintf("%T", err)), []byte(err.Error())
		fail(unsafe.SliceData(kind), uint32(len(kind)), unsafe.SliceData(message), uint32(len(message)))
		return 0
	}
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(result))))<<32 | uint64(len(result))
}

//go:wasmexport warmup
func warmup() { warm() }

// fail says that the request has failed: the errorType and errorMessage of the
// answer.
//
//go:wasmimport millicent fail
func fail(kind *byte, kindLength uint32, message *byte, messageLength uint32)
