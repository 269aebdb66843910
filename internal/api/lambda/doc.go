// Package lambda is the Lambda API: it decodes and checks requests against
// the service model, carries them out on the store and the invoker, and
// encodes the answers.
//
// The whole surface is in routes.go. One request goes like this:
//
//	match      method and path → operation and labels       match.go
//	read       the body, bounded                             handler.go
//	decode     members → constraint checks → wire type       decode.go, check.go
//	carry out  one method of Handler per operation           one file per noun
//	encode     wire type → headers, status, body             encode.go
//
// The wire types, the constraints and the tables of operations and exceptions
// are generated from the service model (the files ending _gen.go); where AWS
// is recorded to answer differently from its model, the recording wins: see
// gen/recorded.go.
//
//   - A request either is carried out or is refused with the exact answer of
//     the protocol; an operation that is not built is answered by its name
//     with status 501, never with a wrong 200.
//   - An error is returned, not written: Answer says what is sent for it.
//   - A Handler is safe for concurrent use and has no goroutine of its own.
package lambda

//go:generate go run ./gen
