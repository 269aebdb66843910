// Package eventsource serves event source mappings: it takes what a queue, a
// JetStream stream or a NATS subject has, in batches, drops what the mapping's
// filters do not want, and invokes the function with the rest.
//
//	queue    Lease ─► filter ─► batch (size, window, 6 MB) ─► Invoke ─► delete what succeeded
//	stream   Fetch ─► filter ─► batch ─► Invoke ─► acknowledge, or retry, halve, give up
//	subject  subscribe ─► filter ─► batch ─► Enqueue, which package async runs
//
// Of a queue, what fails or is left over by a crash is not deleted: it is
// visible again when its visibility ends, and moves to the queue's dead letters
// as the queue says. Of a stream, it stays unacknowledged, and what comes later
// of its subject waits for it. So both are handled at least once; more than
// once only when the function failed, was late, or the server ended between
// the run and the deletion. What a subject has is received at most once, and
// is an Event invocation then.
//
// An enabled mapping has one goroutine that waits for what comes without
// polling, and one for each batch that runs; those of NATS servers have a
// connection of their own, made where the function may connect to, and bounded
// in what it makes room for (guard.go).
package eventsource
