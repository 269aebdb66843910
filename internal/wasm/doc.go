// Package wasm runs functions that are WebAssembly modules: each request in an
// instance that is as if it were new.
//
// A [Program] is a deployed module: read and rewritten by package module,
// compiled, initialised once, and its memory and globals kept as an image. An
// [Instance] begins as the image says. It serves one request at a time, and
// afterwards everything that the request changed is written over with what the
// image has: memory, globals, and the size of the memory. Descriptors and files
// live in the request. Where an instance cannot be taken back (it trapped, ran
// out of time, or its module changes tables), another takes its place.
//
// Guarantees:
//
//   - No byte that a request wrote is seen by another one.
//   - What runs ends at its deadline: a guest enters the host after so many
//     instructions, whatever it does.
//   - A guest has no more memory than its program's limit, and of the host's
//     only the buffers for its answer and its log, which have bounds.
//   - A guest sees no file but its package, to read, and a /tmp in memory.
//
// What an image shares is what the module's initialisation left in memory: also
// the state of random generators, unless the module exports restored(seed).
package wasm
