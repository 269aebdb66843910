// Package invoke is the one path of every invocation, whichever door it came
// in by: resolve the version, admit it, acquire an environment, invoke,
// release, settle.
//
// Guarantees:
//
//   - An invocation that has begun ends by its own result, whatever becomes of
//     its caller's context; only the deadline of Close cuts it off.
//   - A function sees an event once, unless the environment died before it
//     could: then another environment gets it, at most three times.
//   - Each lease is released, also when an environment panics, and so is what
//     was reserved of budgets.
//   - What a budget does not cover is refused before anything is acquired.
//
// The order to stop in: the doors (package async is one), the Invoker, the
// scheduler.
package invoke
