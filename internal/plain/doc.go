// Package plain serves plain HTTP/1.1 requests: those that need nothing of a
// server but an answer in one piece. A connection's goroutine reads them, has
// them answered, and writes the answers. What net/http's server does besides
// takes longer than all of that: it reads each connection on a second
// goroutine, to notice a hang-up, and is prepared for answers of every kind.
//
// Most requests are read here, the others by net/http, after a look at their
// heads that leaves nothing to be read in two ways. A connection on which
// anything else comes is net/http's from then on, with all that was read of it,
// so that what is unusual is answered as ever. Fuzz targets hold both to the
// same requests and answers.
//
// A [Server] accepts connections and hands over the unusual ones. [Serve] is
// what it does with each where an http.Handler answers; others bring a loop of
// their own.
package plain
