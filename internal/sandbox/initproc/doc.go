// Package initproc is the first process of a sandbox: pid 1 of its namespaces.
// The platform's server starts it in fresh namespaces with one end of a
// socket pair as descriptor 3 and directs it with the messages of this package.
//
// What it does, in order: take the [Config]; bring up the loopback network;
// build the root directory and leave the machine's; set the limits that all
// processes inside inherit; prepare one thread, the spawner, that has entered
// the sandbox's cgroups, has emptied its capability bounding set and runs
// under no_new_privs, Landlock and seccomp, so that whatever is forked from it
// does too; drop the capabilities that the rest does not need; report ready.
// From then on it serves requests, and reaps whatever dies.
//
//   - It ends when the socket closes, and everything in the sandbox with it:
//     the death of the server, however violent, ends the server's sandboxes.
//   - Processes inside cannot reach the socket: it is close-on-exec, and pid 1
//     is not dumpable and (for root) runs as another user.
//   - It only ever trusts the server. Messages are bounded all the same.
//
// The package depends on the standard library and x/sys alone, and avoids
// what makes a program slow to start (net, fmt): its start is part of every
// cold start.
package initproc
