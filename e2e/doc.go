// Package e2e drives the built binary as its users do: real clients, real
// sandboxes, kill -9, load with faults. It has tests only; a server is started
// for each on a free loopback port with a data directory of its own.
package e2e
