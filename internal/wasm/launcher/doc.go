// Package launcher runs versions whose code is a WebAssembly module, or
// JavaScript on an engine that is one: it is the second kind of
// millicent.Launcher.
//
// An environment is one session of a wasm.Host: every invocation finds an
// instance that is as if it were new. So nothing is kept from one invocation to
// the next, in memory or in /tmp; and an environment costs next to nothing while
// it is idle. Its log, its phases and its failures are those of package
// lifecycle.
//
//	Launch ─► Open ──ready──► idle ─Invoke─► Serve ─answer─► idle … Close
//	            │ failed                       │ the host has gone
//	            ▼                              ▼
//	        no session ◄───────────────── no session ──next Invoke: Open in phase "invoke"──► Serve
//
// What a module's initialisation writes to its log is logged by the environment
// that the program was loaded for.
package launcher
