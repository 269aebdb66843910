// Package scheduler owns all execution environments of this node. An
// invocation acquires one and releases it; between invocations the
// environment waits here.
//
//	               ┌──────────── Acquire ◄───────────┐
//	               │                                 │
//	launching ──► busy ─────── Release ───────────► idle
//	    │  └────────│──────── nobody waits ──────────►│
//	    │ failed    │ broken, retired, yields         │ expired, evicted, retired
//	    ▼           ▼                                 ▼
//	  (gone)      closing ────────────────────────► (gone)
//
// An idle environment that is a millicent.Freezer is frozen soon, and gives
// memory back when the machine is short of it; rest.go does that, and the next
// invocation thaws it.
//
// # Who waits, and for what
//
// An Acquire that finds no idle environment becomes a request, which waits in
// the line of its version. Whichever environment of the version comes free
// first serves the oldest in line: one that another invocation releases, or
// one whose launch has ended. So a launch belongs to a version and not to the
// request that caused it, and one that ends with nobody waiting becomes idle.
//
// Launches are not queued. At every event that can change something (a request
// comes or leaves, a launch ends, room comes free, a time has passed), plan
// asks each version with a line whether it wants one more launch now, and
// begins those for which there is a launch slot and room, in order. decide.go
// holds the decisions:
//
//   - demand: a version without an environment launches at once. One with busy
//     environments launches only when these, going by measured times, will not
//     have served the line long after a start would be over; or when the first
//     in line without a launch has waited as long as a start takes, whatever
//     the estimates say. As the question is asked again when a slot is free,
//     the time until then is in what has been waited, not in an estimate.
//     Where another one beside those that there are is light, each in line gets
//     one, up to a bound for brief invocations.
//   - seniority: a version without any environment goes before all others.
//     Among the others, who asked first goes first, but each environment that
//     its version has puts it back: one function's crowd holds up neither
//     another's single caller nor another's growth.
//   - place: room there is, room that is being made, room to be made by closing
//     idle environments, or none. To scale out, only those that have been idle
//     for a while are closed, for a version's first environment any.
//   - yields: on a machine that is full of busy environments, a version's
//     released environment makes way for a version that has fewer, once that
//     one has waited a while, instead of serving its own line.
//
// # Provisioned concurrency
//
// A version may have a want: environments that are kept initialised though
// nobody waits for them. These are the version's own:
//
//	              ┌─────────── as above ───────────┐
//	provisioning ─┴─► idle ◄───────────────────► busy
//	      │            │ given up                  │ broken, given up
//	      ▼            ▼                           ▼
//	    (gone)      closing                     closing
//
// They serve before any other, are neither evicted nor closed for having been
// idle, and are replaced when they break. provide compares what is wanted with
// what there is whenever that may have changed (provisiondecide.go decides):
// their launches begin when requests want none and leave room, in slots of
// their own, idle environments of others make way for them as for a version
// that scales out, and together they take four fifths of the machine at most.
// An invocation that finds them in use spills over: it is one like any other.
// A launch that fails is tried again after ever longer rests.
//
// # Guarantees
//
//   - An environment serves one lease at a time, and only leases of the very
//     version and revision that it was launched for.
//   - A line is served in the order of asking. Idle environments are reused
//     last in, first out; the longest idle expire. For others' sake those go
//     first whose loss costs least (idle.go).
//   - The environments and the memory that they take never exceed the caps: it
//     is what is configured, unless Config.Size says less. All four states
//     count: room is free again once Close or a failed Launch has returned.
//   - Room for first environments goes out in the order of asking: nobody
//     behind takes room that the one in front waits for.
//   - Concurrency counts the invocations of a function, over all its versions,
//     from the admission to the release. Beyond it the answer is immediate.
//     What a version has provisioned, its function's other versions and other
//     functions do not use up.
//   - Nobody waits for ever. Who waits for room is throttled after QueueWait,
//     for a launch slot or for environments to close after longestWait; who
//     waits for a lease, by choice, wants a launch after the time of a start;
//     a launch in progress is bounded.
//   - A launch once begun is finished, even when nobody waits for it any more.
//     If it fails, the oldest in line is told, unless the version's other
//     environments suffice for all in line; then it causes no other launch and
//     learns of the failure only when these do not serve it after all.
//
// What the caller must do: release each lease once, also after a panic, and
// close the Scheduler.
//
// Locking: Scheduler.mu guards everything in the package. No call to a
// launcher, an environment or Config.Reserved is made while it is held; the
// keep function of Retire is the exception, and says so. decide.go decides and
// touches nothing.
package scheduler
