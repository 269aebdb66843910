// Package telemetry keeps and tails the functions' logs, and counts what the
// platform does for Prometheus.
//
// [Logs] are files of JSON lines, one folder per function; the format is in
// docs/formats/logs.md. A record takes this way:
//
//	Write ─► buffer in memory ─► the writer goroutine ─► file ─► followers
//	          │ full                │ disk full or broken          │ too slow
//	          └────► counted ◄──────┘                              └► cut off, and told so
//
// Guarantees:
//
//   - Write never waits for the disk or for a reader. What does not fit into
//     the buffer is counted, and the function's log says how much is missing
//     (platform.logsDropped).
//   - Read sees every record whose Write returned before, unless it was
//     dropped or has expired.
//   - Follow gives each record once: those kept, then those to come.
//   - Each function's log, all logs together, and their age are bounded; the
//     oldest files go first. Logs outlive their function, until they expire.
//   - A crash loses what was in the buffer and no more; a line torn by it is
//     skipped.
//
// Locking: Logs.mu guards what is known of the files, and the followers. Only
// the writer goroutine changes files. A buffer's own lock is taken under
// Logs.mu, never the other way round; drops' lock is taken alone.
package telemetry
