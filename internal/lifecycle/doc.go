// Package lifecycle has what every kind of execution environment says of its
// life: the log of its function with the platform's own lines, in Lambda's
// words; how Init phases and invocations fail, and what callers are told of it;
// and the variables that functions find.
//
// It starts and runs nothing: package process and package wasm/launcher do.
package lifecycle
