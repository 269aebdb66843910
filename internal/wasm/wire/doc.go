// Package wire is what the server and the worker process of a tenant say to
// each other: see package worker.
//
// A session has a connection of its own, two pipes, that carries frames: a kind,
// the length of the body (four bytes, little-endian), the body. Numbers in
// bodies are uvarints, or varints where they may be negative; strings are their
// length and their bytes; lists their count and their items; what a field called
// "the rest" has is all that follows.
//
//	server                     worker
//	Open or Prepare     ──►
//	                    ◄──    Need: the package, if the worker does not have it
//	File, Part…, Done   ──►           (for each file; or Refuse)
//	                    ◄──    Log…, Compiled and Part…
//	                    ◄──    Opened, or Failed
//	Request             ──►    and then, again and again
//	                    ◄──    Log…, Fetch…
//	Fetched             ──►          (the answer to each Fetch)
//	                    ◄──    Answer
//
// The control connection carries packets: see Control.
//
// Both sides are one program, so that there are no versions to speak of. The
// worker may be in the hands of a guest that broke out of the engine. So each
// kind of frame has a greatest length, which is checked before anything is
// read; nothing is allocated for what has not come; and what a frame may say in
// which order is for its reader to check.
package wire
