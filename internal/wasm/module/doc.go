// Package module reads WebAssembly modules that strangers wrote, and rewrites
// them for an engine that resets instances in place.
//
// What [Rewrite] changes in a module:
//
//   - It meters itself: a global counts down with each call and each turn of a
//     loop, by about the instructions that this runs, and a function of the
//     host is called when it falls below zero. So the host sees what was used,
//     can end what takes too long, and no guest runs for long without entering
//     the host. Equal runs count equally.
//   - Its memory has a maximum, and operations on a lot of it happen in parts.
//   - Its active data segments and its start function are left to the host: an
//     instance begins as an image of the memory says.
//   - All globals that change are exported, for the image to hold.
//   - Custom sections are gone.
//
// It takes what the specification's version 2.0 has, with one memory, and
// nothing of threads, exceptions, tail calls and garbage collection. What it
// does not know it refuses. It does not check types: the engine that compiles
// what comes out does that.
//
// Formats and numbers are those of the WebAssembly Core Specification 2.0,
// chapter 5, "Binary Format".
package module
