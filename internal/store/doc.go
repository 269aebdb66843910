// Package store keeps functions, versions, aliases, URLs, access keys and
// packages.
//
//	js, err := jetstream.New(nc)
//	s, err := store.Open(ctx, js, store.Config{Dir: dir, Region: region, Log: log})
//	defer s.Close()
//
// What it guarantees:
//
//   - A change is durable when the call that made it returns without error,
//     and everything read afterwards on this node shows it. Other nodes see it
//     within the watch's delay.
//   - A change that a crash cut off is there as a whole or not at all. What it
//     left behind is not visible, and is swept.
//   - All reads are from memory: none waits for the disk or the network.
//   - A name that was deleted and created again shares nothing with what had
//     it before; version numbers are never used twice while a function lives.
//   - A package's files are as they were deployed: named by their digest,
//     verified when unpacked, and never outside of their directory.
//
// What callers must do: values handed out are shared; Clone before changing
// one. Changes are made within Update, on the copy it gives. A function given
// to OnChange must not block and must not change the store.
//
// # How it works
//
// Every kind of state is a bucket of JetStream, mirrored in memory by a table:
// one goroutine applies the bucket's revisions in order, whoever wrote them,
// and a write returns when its own revision has come round. Changes are
// compare-and-set by revision, so that several nodes can write.
//
// A function and its published versions are separate values of one bucket, so
// that they come in one order. A version's value has a random id for a name
// and counts only once the function's value refers to it: publishing writes
// the version, then the function; deleting removes the function, then the
// versions. A version that no function refers to is an orphan, and swept when
// it is too old to be in the making.
//
// # Activation
//
//	Create ──► Pending ──────────────┐
//	                                 ├─ unpack, compile ─► Active, Successful
//	Update ──► Active, InProgress ───┘                 └─► Failed
//
// A draft or version that is Pending, or whose update is InProgress, is picked
// up by the activation of every node that holds its package, in the background
// and again after a restart; the first to finish settles it.
//
// # Locks
//
// In this order: a function's stripe (Store.stripes), packages.sweeping,
// then one of index.mu, packages.mu, table.mu, Store.mu, activation.mu. None of
// the latter is held while another is taken, nor while anything blocks.
package store
