package initproc

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/internal/sandbox/rootfs"
)

// roMount is how everything but /tmp and /dev/shm is mounted.
const roMount = rootfs.ReadOnly | rootfs.NoSuid | rootfs.NoDev

// procMount is how /proc is mounted.
const procMount = rootfs.NoSuid | rootfs.NoDev | rootfs.NoExec

// masked are the files of /proc that tell of the machine or act on it. All of
// them are root's alone already, or harmless without capabilities: this is
// the second lock.
var masked = []string{
	"kcore", "keys", "key-users", "kallsyms", "kmsg", "sysrq-trigger", "timer_list",
	"sched_debug", "latency_stats", "kpagecount", "kpageflags", "kpagecgroup",
	"config.gz", "modules", "slabinfo", "vmallocinfo", "iomem", "ioports",
	"interrupts", "softirqs", "swaps", "partitions", "diskstats",
}

// readonly are the directories of /proc in which settings of the kernel are.
var readonly = []string{"sys", "irq", "bus", "fs", "acpi", "scsi"}

// buildRoot replaces the root directory by the passed tree with /proc, /tmp
// and what else is the sandbox's own in it; nothing of the old root remains.
func buildRoot(cfg *Config, p passed) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return failed("make mounts private", err)
	}
	// While the machine's /proc is in sight: else a user namespace gets none.
	proc, err := rootfs.New("proc", procMount, "hidepid=2")
	if err != nil {
		return failed("make /proc", err)
	}
	defer unix.Close(proc)
	for _, source := range cfg.Sources {
		fd, err := rootfs.Clone(unix.AT_FDCWD, source, roMount)
		if err != nil {
			return failed("show "+source, err)
		}
		defer unix.Close(fd)
		p.targets = append(p.targets, fd)
	}
	if p.tree < 0 {
		if p.tree, err = rootfs.Build(); err != nil {
			return failed("build root", err)
		}
		defer unix.Close(p.tree)
	} else if err := place(p.tree, "/"); err != nil {
		return failed("mount root", err)
	}
	if err := unix.Fchdir(p.tree); err != nil {
		return failed("enter root", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return failed("pivot_root", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return failed("leave old root", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return failed("chdir", err)
	}
	if err := mountProc(proc); err != nil {
		return err
	}
	if err := mountTmp(cfg, p.tmp); err != nil {
		return err
	}
	if err := mountRun(cfg); err != nil {
		return err
	}
	for i, target := range cfg.Targets {
		if err := place(p.targets[i], target); err != nil {
			return failed("mount "+target, err)
		}
	}
	return failed("sethostname", unix.Sethostname([]byte(cfg.Hostname)))
}

// place attaches a detached mount at path.
func place(fd int, path string) error { return rootfs.Place(fd, unix.AT_FDCWD, path) }

// attach is place for a running sandbox.
func attach(fds []int, target string) error {
	if len(fds) != 1 {
		return failed("descriptors of the mount", unix.EBADMSG)
	}
	return failed("mount "+target, place(fds[0], target))
}

// mountNew makes a file system and attaches it at path.
func mountNew(path, typ string, attr int, options ...string) error {
	fd, err := rootfs.New(typ, attr, options...)
	if err != nil {
		return failed("make "+path, err)
	}
	defer unix.Close(fd)
	return failed("mount "+path, place(fd, path))
}

func mountProc(fd int) error {
	if err := place(fd, "/proc"); err != nil {
		return failed("mount /proc", err)
	}
	// The first covered file is what covers the others: a bind mount is as
	// restricted as what it shows, and takes one call.
	from := ""
	for _, name := range masked {
		if from == "" {
			if err := rootfs.Bind("/dev/null", unix.AT_FDCWD, "/proc/"+name, roMount|procMount); absent(err) {
				continue
			} else if err != nil {
				return failed("protect /proc/"+name, err)
			}
			from = "/proc/" + name
			continue
		}
		if err := unix.Mount(from, "/proc/"+name, "", unix.MS_BIND, ""); err != nil && !absent(err) {
			return failed("protect /proc/"+name, err)
		}
	}
	for _, name := range readonly {
		if err := rootfs.Bind("/proc/"+name, unix.AT_FDCWD, "/proc/"+name, roMount|procMount); err != nil && !absent(err) {
			return failed("protect /proc/"+name, err)
		}
	}
	return nil
}

// absent reports that there is nothing to protect.
func absent(err error) bool { return errors.Is(err, unix.ENOENT) }

func mountTmp(cfg *Config, tmp int) error {
	const attr = rootfs.NoSuid | rootfs.NoDev
	if err := mountNew("/dev/shm", "tmpfs", attr, "mode=1777", "size=64m", "nr_inodes=16k"); err != nil {
		return err
	}
	if tmp >= 0 {
		return failed("mount /tmp", place(tmp, "/tmp"))
	}
	size := strconv.FormatInt(cfg.TmpSize, 10)
	return mountNew("/tmp", "tmpfs", attr, "mode=1777", "size="+size)
}

// mountRun makes /run with the files that differ between sandboxes, to which
// the root's /etc has links, and makes it read-only.
func mountRun(cfg *Config) error {
	fd, err := rootfs.New("tmpfs", rootfs.NoSuid|rootfs.NoDev, "mode=0755", "size=64k", "nr_inodes=32")
	if err != nil {
		return failed("make /run", err)
	}
	defer unix.Close(fd)
	for name, content := range identity(cfg) {
		f, err := unix.Openat(fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o644)
		if err != nil {
			return failed("make /run/"+name, err)
		}
		_, err = unix.Write(f, []byte(content))
		unix.Close(f) // the write tells
		if err != nil {
			return failed("write /run/"+name, err)
		}
	}
	if err := rootfs.Restrict(fd, roMount); err != nil {
		return failed("protect /run", err)
	}
	return failed("mount /run", place(fd, "/run"))
}

// identity returns the files that say who and where a process inside is.
func identity(cfg *Config) map[string]string {
	uid, gid := strconv.Itoa(int(cfg.UID)), strconv.Itoa(int(cfg.GID))
	return map[string]string{
		"passwd": "root:x:0:0:root:/root:/sbin/nologin\n" +
			"nobody:x:65534:65534:nobody:/:/sbin/nologin\n" +
			"sbx_user1051:x:" + uid + ":" + gid + "::/home/sbx_user1051:/sbin/nologin\n",
		"group": "root:x:0:\nnogroup:x:65534:\nsbx_user1051:x:" + gid + ":\n",
		"hosts": "127.0.0.1 localhost\n::1 localhost\n127.0.0.1 " + cfg.Hostname + "\n",

		"hostname": cfg.Hostname + "\n",
	}
}
