package wasm

import (
	"context"
	"encoding/binary"

	"github.com/tetratelabs/wazero/api"
)

// A Fetch makes an HTTP request for a guest, which has no other way to the
// outside, and returns what came of it: both are documents of a head and a
// body, see docs/wasm.md. It returns when ctx ends, at the latest.
type Fetch func(ctx context.Context, request []byte) (response []byte)

// maxFetch is the largest request that a guest can make.
const maxFetch = 6<<20 + 64<<10

// Names of the host's functions: fetch(request, length) -> length makes a
// request, and fetched(place) writes what came of it to a place that has room
// for so many bytes.
const (
	importFetch   = "fetch"
	importFetched = "fetched"
)

// NoFetch is the Fetch of functions that may not.
func NoFetch(context.Context, []byte) []byte {
	return refusal("outbound HTTP is off for this function")
}

// refusal is what comes of a request that is not made.
func refusal(why string) []byte {
	head := `{"error":"` + why + `"}`
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(head))), head...)
}

// fetch makes a request for the guest. The time that this takes is not time
// that the guest used. It ends with the guest's deadline: see over.
func (g *guest) fetch(request []byte) []byte {
	if g.req.Fetch == nil {
		return NoFetch(g.Context, request)
	}
	if len(request) > maxFetch {
		return refusal("the request is too large")
	}
	g.leave()
	ctx, cancel := context.WithDeadline(g.Context, g.req.Deadline)
	response := g.req.Fetch(ctx, request)
	cancel()
	g.enter()
	return response
}

// hostFetch is the host's function fetch.
func hostFetch(ctx context.Context, mod api.Module, stack []uint64) {
	g := guestOf(ctx)
	request, ok := mod.Memory().Read(uint32(stack[0]), uint32(stack[1]))
	if !ok {
		panic(&Failure{Type: "Runtime.InvalidMemory", Message: "fetch was called with a request outside of the memory"})
	}
	g.fetched = g.fetch(request)
	if f := g.over(); f != nil {
		panic(f)
	}
	stack[0] = uint64(len(g.fetched))
}

// hostFetched is the host's function fetched.
func hostFetched(ctx context.Context, mod api.Module, stack []uint64) {
	g := guestOf(ctx)
	if !mod.Memory().Write(uint32(stack[0]), g.fetched) {
		panic(&Failure{Type: "Runtime.InvalidMemory", Message: "fetched was called with a place that has no room"})
	}
	g.fetched = nil
}
