// Package eventsource serves event source mappings: it takes messages of a
// queue in batches, drops those that the mapping's filters do not want, and
// invokes the function with the rest, by the same path as every invocation.
//
//	Lease ─► filter ─► batch (size, window, 6 MB) ─► Invoke ─► delete what succeeded
//
// What fails, or is left over by a crash, is not deleted: it is visible again
// when its visibility ends, and moves to the queue's dead letters as the queue
// says. So a message is handled at least once; more than once only when its
// function failed, was late, or the server ended between the run and the
// deletion.
//
// An enabled mapping has one goroutine that waits for messages without
// polling, and one for each batch that runs.
package eventsource
