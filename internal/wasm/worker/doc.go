// Package worker runs the WebAssembly programs of each tenant in a process of
// the tenant's own, and is both of its sides: a Pool in the server, whose Hosts
// are wasm.Hosts, and Main, what the process does.
//
// The process is this very program, in a sandbox: under a uid of its own, with
// no network, no files of the machine but /usr and the code that was compiled
// for this tenant, read-only, limits on memory and processor time, and, once
// it has set up, next to no system calls (sandbox.Narrow). Packages come over
// the session that needs them. A second process like it compiles, and runs
// nothing: what it makes goes back over the session, to be kept by the server. It
// ends when it has had nothing to do for a moment.
//
// What the server can rely on:
//
//   - The worker is taken to be hostile, as a guest may have broken out of the
//     engine. What it says is bounded and checked, and concerns its own tenant
//     only: answers, logs, measurements, compiled code.
//   - A worker that does not answer in time is killed. One that ends takes its
//     own sessions along and nobody else's; the next Open starts another.
//   - A worker ends when it has had no session for a while, and with the server,
//     however that ends.
//
// A session is a pair of pipes. The goroutine that serves a request writes it
// and reads the answer; in the worker one goroutine for each session reads,
// runs the guest and writes. See package wire.
//
// # Locks
//
// Pool.mu is taken before Host.mu; neither is held while anything is waited
// for. A session's mu guards what cancels its request.
package worker
