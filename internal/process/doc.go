// Package process runs functions as Linux processes in sandboxes: it speaks
// the Runtime API to them, ships the Python and Node.js bootstraps, and keeps
// their logs.
//
// A [Launcher] makes environments. An environment is one sandbox with a /tmp
// of its own; within it lives at most one run at a time:
//
//	Launch ─► Init ──ready──► idle ─Invoke─► busy ─answer─► idle … Close
//	            │ failed               │ exit, timeout, cancelled
//	            ▼                      ▼
//	          no run ◄─────────────── no run ──next Invoke: Init in phase "invoke"──► busy
//
// A run is the runtime's process with all that belongs to it and to nothing
// later: its listener, its session (the state machine of the Runtime API) and
// the pipes of its output. A run that ends takes its listener and connections
// with it, so nothing that a dead runtime sent can reach a later invocation;
// within a run, answers are matched by request id.
//
// Guarantees:
//   - What a function wrote before it answered is in its log before END and
//     in the tail: the pipes are read empty when the answer arrives.
//   - What a runtime sent before it ended counts, however late it is read: all
//     of it is read before the end is told.
//   - All that a function controls is bounded: connections, headers, bodies,
//     extensions, the length of a log record, the bytes kept for a tail.
//   - A failing Init phase is run again within the next Invoke, under the
//     function's timeout; the caller learns of that second failure.
//   - Close leaves no process, mount, listener or goroutine.
//
// Lock order: pipe, then journal. A session's lock is never held together
// with another.
package process
