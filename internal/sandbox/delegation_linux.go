package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// In version 2 one tree has everything, and under systemd it is systemd's: a
// program may make groups in what was handed to it alone, and that is also all
// that an ordinary user can write. A group with controllers for those below it
// has no processes of its own, so that what is in it goes to one beside the
// sandboxes':
//
//	service, scope or container     handed to this server
//	├── millicent-server            where the server goes
//	└── millicent/<Name>/<id>       where its sandboxes are
//
// What a killed server leaves there ends with the service; what is frozen, when
// the service's time to stop is up. A server of root to which nothing was
// handed puts millicent/<Name>/<id> at the top of the tree, which alone may
// have processes and controllers both.

// serverGroup is the name of the group into which a server moves.
const serverGroup = "millicent-server"

// mount2 is where version 2 is mounted.
type mount2 struct {
	dir  string
	root string // the group that is seen there, as /proc/self/cgroup names groups
}

// offers reports whether the top of the tree has all these controllers.
func (m mount2) offers(controllers []string) bool {
	b, err := os.ReadFile(m.dir + "/cgroup.controllers")
	if err != nil {
		return false // not mounted, or not to be used
	}
	has := strings.Fields(string(b))
	return !slices.ContainsFunc(controllers, func(c string) bool { return !slices.Contains(has, c) })
}

// own returns the directory of the group that /proc/self/cgroup, given as
// self, tells of; empty when the mount does not show it.
func (m mount2) own(self string) string {
	for line := range strings.Lines(self) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		rel, err := filepath.Rel(m.root, path)
		if err != nil || rel == ".." || strings.HasPrefix(rel, "../") || filepath.Clean(path) != path {
			return "" // outside of what is mounted, or of the cgroup namespace
		}
		return filepath.Join(m.dir, rel)
	}
	return ""
}

// parent returns the directory to make groups in, for a server whose own group
// is own. handed tells whether a group is the server's to use.
func (m mount2) parent(own string, handed func(dir string) bool) string {
	if filepath.Base(own) == serverGroup { // another Host of this process was here before
		own = filepath.Dir(own)
	}
	if own != "" && handed(own) {
		return own
	}
	return m.dir
}

// isHanded reports whether a group was handed to this process: to root in so
// many words, to an ordinary user by being that user's.
func isHanded(dir string) bool {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil || int(st.Uid) != os.Geteuid() {
		return false
	}
	if os.Geteuid() != 0 {
		return true
	}
	for _, name := range []string{"trusted.delegate", "user.delegate"} { // by systemd
		value := make([]byte, 1)
		if n, err := unix.Getxattr(dir, name, value); err == nil && n == 1 && value[0] == '1' {
			return true
		}
	}
	return false
}

// errShared is what vacate meets.
var errShared = errors.New("its cgroup has processes that it cannot move, which keep limits from its sandboxes")

// vacate moves the processes in dir to a group below it, so that dir can have
// controllers: this process, and what else was started in the same group, as
// are this process's own children and the shell that it was started from.
func vacate(dir string) error {
	if _, err := os.Stat(dir + "/cgroup.type"); err != nil {
		return nil // the top of the tree, which has no such file, need not be left
	}
	leaf := filepath.Join(dir, serverGroup)
	for range 100 { // they start others meanwhile
		b, err := os.ReadFile(dir + "/cgroup.procs")
		if err != nil {
			return err
		}
		pids := strings.Fields(string(b))
		if len(pids) == 0 {
			return nil
		}
		if slices.Contains(pids, "0") { // of another pid namespace
			return errShared
		}
		if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		for _, pid := range pids {
			if err := put(leaf, "cgroup.procs", pid); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
	}
	return errShared
}

// alone tells how to have a group handed to a server.
func alone(root bool) string {
	user := "--user "
	if root {
		user = ""
	}
	return fmt.Sprintf("start it in one of its own: systemd-run %s--scope -p Delegate=yes", user)
}
