// Package millicenttest runs the millicent binary for tests that drive it from
// outside: it builds the binary once, starts servers on fresh data directories,
// calls them with the SDK, and counts what a server holds of the machine.
//
// A package that uses it calls [Main] from its TestMain. Everything that a
// test starts ends with the test.
package millicenttest
