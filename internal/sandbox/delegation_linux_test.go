package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestOwnGroup(t *testing.T) {
	for _, c := range []struct {
		mount      mount2
		self, want string
	}{
		{mount2{"/sys/fs/cgroup", "/"}, "0::/system.slice/a.service\n", "/sys/fs/cgroup/system.slice/a.service"},
		{mount2{"/sys/fs/cgroup", "/"}, "0::/\n", "/sys/fs/cgroup"},
		{mount2{"/unified", "/"}, "4:memory:/b\n1:name=systemd:/b\n0::/a\n", "/unified/a"},
		{mount2{"/sys/fs/cgroup", "/docker/1"}, "0::/docker/1/a\n", "/sys/fs/cgroup/a"},
		{mount2{"/sys/fs/cgroup", "/docker/1"}, "0::/docker/12\n", ""},
		{mount2{"/sys/fs/cgroup", "/"}, "0::/../../outside\n", ""},
		{mount2{"/sys/fs/cgroup", "/"}, "4:memory:/b\n", ""},
	} {
		if got := c.mount.own(c.self); got != c.want {
			t.Errorf("%+v, %q: got %q, want %q", c.mount, c.self, got, c.want)
		}
	}
}

func TestParentGroup(t *testing.T) {
	m := mount2{"/top", "/"}
	handed := func(dir string) bool { return dir == "/top/mine" }
	for own, want := range map[string]string{
		"":                           "/top",
		"/top":                       "/top",
		"/top/systems":               "/top",
		"/top/mine":                  "/top/mine",
		"/top/mine/millicent-server": "/top/mine",
		"/top/mine/below":            "/top",
	} {
		if got := m.parent(own, handed); got != want {
			t.Errorf("%q: got %q, want %q", own, got, want)
		}
	}
}

func TestUserNamespaces(t *testing.T) {
	sys := t.TempDir()
	if got := userNamespaces(sys); got != "" {
		t.Errorf("without settings: %q", got)
	}
	newTree(t, sys+"/kernel", map[string]string{
		"unprivileged_userns_clone": "1\n", "apparmor_restrict_unprivileged_userns": "0\n",
	})
	newTree(t, sys+"/user", map[string]string{"max_user_namespaces": "15000\n"})
	if got := userNamespaces(sys); got != "" {
		t.Errorf("allowed: %q", got)
	}
	newTree(t, sys+"/kernel", map[string]string{"apparmor_restrict_unprivileged_userns": "1\n"})
	if got := userNamespaces(sys); !strings.Contains(got, "kernel.apparmor_restrict_unprivileged_userns=1") {
		t.Errorf("restricted: %q", got)
	}
}

// TestHanded is an ordinary user's server in a cgroup that was handed to it,
// first by itself and then beside another program.
func TestHanded(t *testing.T) {
	requireRoot(t)
	top := handOver(t, version2(t))
	r := becomeUser(t, startIn(top))
	if !strings.HasPrefix(r.Home, top+"/millicent/") || !strings.HasSuffix(r.Own, "/millicent-server\n") {
		t.Errorf("sandboxes in %q, the server in %q", r.Home, r.Own)
	}
	if r.Frozen != "ok" {
		t.Errorf("freeze: %s", r.Frozen)
	}
	unlimited := strings.Contains(fmt.Sprint(r.Limitations), "memory, cpu, pids")
	if (mount2{dir: top}).offers(controllers) == unlimited {
		t.Errorf("limitations %q", r.Limitations)
	}
	if !unlimited && r.Eaten.Signal != syscall.SIGKILL {
		t.Errorf("beyond its memory: %+v", r.Eaten)
	}

	for _, dir := range []string{"/millicent", ""} { // as if new
		for _, ctl := range controllers {
			_ = put(top+dir, "cgroup.subtree_control", "-"+ctl) // it may not have been there
		}
	}
	other := exec.Command("/bin/sleep", "1000")
	if err := startIn(top)(other); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		other.Process.Kill()
		other.Wait()
	})
	r = becomeUser(t, startIn(top))
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", other.Process.Pid))
	if err != nil || !strings.HasSuffix(string(b), "/millicent-server\n") {
		t.Errorf("another program is in %q, %v", b, err)
	}
	again := strings.Contains(fmt.Sprint(r.Limitations), "memory, cpu, pids")
	if r.Frozen != "ok" || again != unlimited {
		t.Errorf("beside another program: limitations %q, freeze: %s", r.Limitations, r.Frozen)
	}
}

// handOver makes a group as systemd makes one that it delegates.
func handOver(t *testing.T, m mount2) string {
	t.Helper()
	top := filepath.Join(m.dir, fmt.Sprintf("test-handed-%d", os.Getpid()))
	if err := os.Mkdir(top, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, dir := range []string{"/" + serverGroup, "/millicent", ""} {
			if err := os.Remove(top + dir); err != nil && !os.IsNotExist(err) {
				t.Error(err)
			}
		}
	})
	for _, ctl := range controllers {
		_ = put(m.dir, "cgroup.subtree_control", "+"+ctl) // version 1 may have it
	}
	for _, name := range []string{"", "/cgroup.procs", "/cgroup.subtree_control"} {
		if err := os.Chown(top+name, ordinary, ordinary); err != nil {
			t.Fatal(err)
		}
	}
	return top
}

// startIn returns a function that starts a command in a group.
func startIn(group string) func(*exec.Cmd) error {
	return func(cmd *exec.Cmd) error {
		dir, err := os.Open(group)
		if err != nil {
			return err
		}
		defer dir.Close()
		if cmd.SysProcAttr == nil {
			cmd.SysProcAttr = &syscall.SysProcAttr{}
		}
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
		return cmd.Start()
	}
}
