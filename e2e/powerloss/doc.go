// Package powerloss is a disk in memory whose power can be cut: a FUSE file
// system that knows which of its writes were synced. What is there after a cut
// is what a journaling file system on a real disk promises, and not more:
//
//	disk := powerloss.New(powerloss.Config{Lenient: "jetstream", Scratch: "run", Dir: temporary})
//	m, err := disk.Mount(dir)
//	after := disk.Cut(random) // from here on, the old disk answers nothing
//	… kill all that uses it …
//	disk.Fail()
//	m.Unmount()
//	m, err = after.Mount(dir)
//
// What is kept:
//
//   - The content of a file as it was at its last fsync, or write to a
//     descriptor with O_SYNC.
//   - The names in a directory as they were at the directory's last fsync.
//     Without that, a new file's name is lost however often the file itself
//     is synced, and a rename or removal is undone.
//
// What came later is kept or lost by chance: of a file any of its pages, the
// last of them perhaps in part, and its new length or the old one; of a
// directory its first changes, in their order.
//
// Linux's journaling file systems promise one thing more than POSIX does: an
// fsync of a file makes the names that lead to it durable, too. The embedded
// NATS server builds upon that. Below directories of one name, Config.Lenient,
// it is so here; elsewhere it is not. Below those of another, Config.Scratch,
// nothing is kept.
package powerloss
