// Package e2e drives the built binary as its users do: real clients, real
// sandboxes, kill -9, load with faults. It has tests only; a server is started
// for each on a free loopback port with a data directory of its own.
//
// Environment variables make some tests go further than a usual run has time
// for: MILLICENT_CRASH_ROUNDS and MILLICENT_POWERLOSS_ROUNDS are how often a
// server is killed, or loses its power; MILLICENT_BACKLOG is how many events
// one function has while others are to be served. MILLICENT_BINARY is the
// server to test, instead of one built from here.
package e2e
