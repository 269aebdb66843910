// Package queue keeps durable queues of messages: what asynchronous
// invocations, the SQS API, event source mappings, destinations and dead
// letters are built on.
//
//	q, err := queue.Open(ctx, js, queue.Config{Dir: dir, Log: log})
//	defer q.Close()
//
//	name := queue.Name{Kind: "sqs", Tenant: tenant, Name: "orders"}
//	receipts, err := q.Put(ctx, queue.Message{Queue: name, Body: body})
//	deliveries, err := q.Lease(ctx, queue.LeaseRequest{Queue: name, Max: 10, Visibility: 30 * time.Second, Wait: 20 * time.Second})
//	errs := q.Settle(ctx, name, deliveries[0].Handle)
//
// What it guarantees:
//
//   - What Put, Apply, Settle, Purge and Drop have acknowledged is on disk: no
//     such message is lost, and none that was settled comes back, whenever the
//     process is killed or the power fails.
//   - A Change is done as a whole or not at all. Moving a message to another
//     queue is one, so that a crash neither loses nor doubles it.
//   - A message is delivered at least once; more than once only when its lease
//     ends before it is settled: by time, by Release, or with the process.
//   - The number of receives, the consumer's Progress and the time of the next
//     attempt survive a restart, but for the last 50 ms before a crash.
//   - Messages of a group are leased in order, and never beside one another
//     in two leases.
//   - A deduplication id is good for DedupWindow, over restarts too.
//   - An idle queue costs no goroutine, timer or consumer of JetStream, and
//     one without messages no memory.
//
// Only Put, Apply, Settle, Purge and Drop wait for the disk, each for itself;
// those that come at the same time share one write.
//
// # The life of a message
//
//	Put ─► delayed ─► ready ─Lease─► leased ─Settle─► gone
//	          ▲          ▲              │ │
//	          │          └─ visibility ─┘ │
//	          └───────── Release ─────────┘
//
// # How it works
//
// The log is one stream of JetStream, whose messages are packs: what many
// callers changed at about the same time. While one pack is written, the next
// takes in what comes (batch.go, commit.go), so that one write to disk serves
// all of them. The index (index.go, backlog.go) is the state machine of all
// queues in memory, some 200 bytes for each message; bodies stay in the log and
// are read when they are leased. Opening replays the log (replay.go).
//
// The log is only ever cut at its front. Useless packs there are cut off; when
// more than half of the log is useless, the messages at the front are written
// again at the end (tidy.go). So one old message does not hold up gigabytes,
// and a settlement, which always comes after its message, is of no more use
// when it is at the front.
//
// # Locks
//
// Queues.mu, then Dispatcher.mu. Nothing blocks while either is held.
package queue
