// Package natsd starts and stops the embedded NATS server, the one engine
// that keeps millicent's state.
//
//	srv, err := natsd.Start(dir, log)
//	nc, err := srv.Connect()
//	defer srv.Close()
//
// What it guarantees:
//
//   - No port is opened: connections are pipes within this process.
//   - A write that JetStream has acknowledged is on disk (SyncAlways); the
//     server's default would lose up to two minutes of them with the power.
//   - One server per directory, whichever process asks: the directory is
//     locked for as long as the server runs, and the kernel lets go of the
//     lock when the process dies, however it dies.
//   - A directory written by a newer format, or by a clustered server, is
//     refused before anything in it is touched. A clustered server started on
//     a standalone directory would delete it, so the two never share one.
//
// The directory holds:
//
//	format.json   what wrote it: {"format":1,"mode":"standalone"}
//	lock          flock(2)ed while a server runs; holds its process id
//	jetstream/    the server's own files
package natsd
