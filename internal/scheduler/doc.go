// Package scheduler owns all execution environments of this node. An
// invocation acquires one and releases it; between invocations the
// environment waits here.
//
//	            ┌──────────── Acquire ◄──────────┐
//	            ▼                                │
//	launching ─────► busy ──── Release ────────► idle
//	    │             │                           │
//	    │ failed      │ broken, retired           │ expired, evicted, retired
//	    ▼             ▼                           ▼
//	  (gone)       closing ──────────────────► (gone)
//
// Guarantees:
//
//   - An environment serves one lease at a time, and only leases of the very
//     version and revision that it was launched for.
//   - Idle environments are reused last in, first out; the longest idle expire.
//   - The environments and their configured memory never exceed the caps. All
//     four states count: room is free again once Close or a failed Launch has
//     returned.
//   - Room on a full machine goes out in the order of asking. The longest idle
//     environments of other versions make way for who asks. An idle
//     environment of the asker's own version needs no room and is taken even
//     past those who wait for more room than there is.
//   - Concurrency counts the invocations of a function, over all its versions,
//     from the admission to the release. Beyond it the answer is immediate.
//   - A launch once begun is finished, even when its caller has left.
//
// What the caller must do: release each lease once, also after a panic, and
// close the Scheduler.
//
// Locking: Scheduler.mu guards everything in the package. No call to a
// launcher, an environment or Config.Reserved is made while it is held; the
// keep function of Retire is the exception, and says so. decide.go decides and
// touches nothing.
package scheduler
