// Package async runs Event invocations: those whose caller waits for nothing
// but their acceptance.
//
//	accepted ─► waiting ─► running ─► success ──► destination
//	               ▲          │
//	               ├─ throttled, or the platform failed: 1 s to 5 min later
//	               ├─ the function failed: 1 min, then 2 min later
//	               └─ its update goes on     │
//	                                          └─► failure ─► destination, dead-letter queue,
//	                                                         or our own dead letters
//
// Guarantees:
//
//   - An accepted event is on disk. It ends in exactly one of success and
//     failure, whenever the server is killed, and what follows from its end (a
//     record for a destination, a dead letter) is written in one step with it.
//   - It runs at least once, and again after it has succeeded only when the
//     server was killed between its run and the end being written.
//   - All attempts have the same request id. Throttles, failures of the platform
//     and stops of the server are no attempts.
//   - An event waits neither for other functions' events nor for those of other
//     tenants, however many there are; see queue.Dispatcher.
//   - Version, alias, configuration and destinations are those of the time at
//     which it runs. The events of a function that was deleted are dropped.
//
// Queues, by kind: "async" has the events, "delivery" what is on its way to
// webhooks and NATS subjects, "dead" the dead letters, each by function.
package async
