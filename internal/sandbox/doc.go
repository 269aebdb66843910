// Package sandbox isolates processes with the Linux kernel's own means and
// knows nothing of functions.
//
// A program that uses it calls [Main] first thing, opens one [Host], and makes
// a [Sandbox] per environment with [Host.New]. A sandbox lives until Close; its
// processes come and go with Start and KillAll, in the same /tmp.
//
// # What a process inside is held to
//
//   - It sees the sandbox's processes, mounts, network, IPC objects, host name
//     and cgroups, and no others: each is a namespace of its own.
//   - It sees of the machine's files what package rootfs shows: /usr and a few
//     harmless files of /etc, read-only, and the Mounts of its Spec.
//   - It can write to /tmp, of the size of its Spec, and to a small /dev/shm.
//   - It runs under a uid that no other process of the machine has, without
//     capabilities, and cannot gain any: the bounding set is empty and
//     no_new_privs is set, so that set-uid programs are ordinary ones.
//   - Its system calls pass an allow-list (package initproc says which);
//     Landlock, where the kernel has it, is a second lock on the files.
//   - Its network is a loopback device. It reaches what the server listens
//     on inside, and nothing else; with Redirect every TCP connection arrives
//     at the server, which knows where it was meant to go.
//   - Memory, CPU and process count are limited by a cgroup, of version 1 or 2.
//     When memory is short a process inside is killed, never another's. When
//     the disk of the Host is nearly full, the sandbox with the fullest /tmp is
//     closed.
//
// # What the server can rely on
//
//   - When the server ends, however it ends, pid 1 of each sandbox ends, and
//     with it all that is inside. With cgroups of version 2 a frozen sandbox of
//     a killed server stays frozen until the next Open of the same Name, which
//     sweeps it.
//   - After Close returns, no process, mount, cgroup or descriptor of the
//     sandbox is left, and only then is its uid given away again. Its /tmp is
//     gone as well, or serves another sandbox if nothing was ever written in it.
//   - Nothing inside can reach the socket by which the server directs pid 1.
//   - What is asked of a frozen sandbox either thaws it (KillAll, Close), is
//     refused (Start), or may have to wait for Thaw (Listen, Attach, Signal).
//   - Run as an ordinary user, a Host does what the kernel lets it, in a user
//     namespace, and Limitations says what it does not.
//
// # States
//
//	New ──► running ──Freeze──► frozen
//	           ▲  ◄────Thaw─────  │
//	           │                  │
//	           └─ Start, KillAll  │
//	        Close or the end of pid 1 ──► done (Done is closed) ──Close──► nothing left
//
// # Locks
//
// Sandbox.state is held while New, Start, KillAll, Freeze, Thaw and Close are
// at work, and is taken before Sandbox.mu. Host.mu and Sandbox.mu are never
// held together, nor across a system call that can block for long.
package sandbox
