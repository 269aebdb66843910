package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// rootless is what a server that an ordinary user runs finds.
type rootless struct {
	Dir         string // of the server
	Limitations []string
	Self        self
	Calls       map[string]string
	Dial        map[string]string
	Out         string
	Killed      bool
	Home        string // of its cgroups
	Own         string // /proc/self/cgroup
	Frozen      string // what came of it
	Eaten       result // by whom, where memory is limited
	Err         string
}

// asUser makes a sandbox as an ordinary user and prints what is in it.
func asUser(dir string) error {
	var r rootless
	if err := r.fill(dir); err != nil {
		r.Err = err.Error()
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

func (r *rootless) fill(dir string) error {
	h, err := Open(Config{Name: "test-rootless", Dir: filepath.Join(dir, "host")})
	if err != nil {
		return err
	}
	defer h.Close()
	r.Dir, r.Limitations = dir, h.Limitations()
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	r.Own = string(own)
	s, err := h.New(context.Background(), Spec{
		Memory: 64 * mib, Tmp: 4 * mib, Redirect: 900, Hostname: "here",
		Mounts: []Mount{{filepath.Join(dir, "task"), "/var/task"}},
	})
	if err != nil {
		return err
	}
	defer s.Close()
	l, err := s.Listen(netip.MustParseAddrPort("127.0.0.1:900"))
	if err != nil {
		return err
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			dst, _ := OriginalDst(c)
			c.Write([]byte(dst.String()))
			c.Close()
		}
	}()
	for _, p := range []struct {
		into any
		args []string
	}{
		{&r.Self, []string{"self"}},
		{&r.Calls, []string{"calls"}},
		{&r.Dial, []string{"dial", "8.8.8.8:53"}},
	} {
		got, err := s.runToEnd(append([]string{"/var/task/probe", "probe"}, p.args...)...)
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(got.out), p.into); err != nil {
			return fmt.Errorf("%v: %w: %+v", p.args, err, got)
		}
	}
	got, err := s.runToEnd("/bin/sh", "-c", "id -un; echo x >/tmp/x; cat /tmp/x; sleep 1000 >/dev/null 2>&1 & exit 0")
	if err != nil {
		return err
	}
	r.Out = got.out
	if h.groups != nil {
		r.Home = h.groups.home()
		r.Frozen = failure(errors.Join(s.Freeze(context.Background()), s.Thaw()))
	}
	if c, ok := h.groups.(*cgroups2); ok && !slices.Contains(c.none, "memory") {
		if r.Eaten, err = s.runToEnd("/var/task/probe", "probe", "eat"); err != nil {
			return err
		}
	}
	p, err := s.Start(Cmd{Path: "/bin/sleep", Args: []string{"sleep", "1000"}})
	if err != nil {
		return err
	}
	if err := s.KillAll(); err != nil {
		return err
	}
	<-p.Done()
	r.Killed = p.Status().Signal == syscall.SIGKILL
	return s.Close()
}

// ordinary is the uid of an ordinary user.
const ordinary = 54321

// becomeUser runs asUser in a process of an ordinary user, which start starts.
func becomeUser(t *testing.T, start func(*exec.Cmd) error) rootless {
	t.Helper()
	requireRoot(t) // to become somebody else
	dir, err := os.MkdirTemp("/var/tmp", "millicent-rootless-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	task := filepath.Join(dir, "task")
	if err := os.CopyFS(task, os.DirFS(probeMount(t).Source)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(task, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(task, "probe"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, ordinary, ordinary); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(task, "probe"), "user", dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinary, Gid: ordinary}}
	if err := start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	var r rootless
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err, out.String())
	}
	if strings.Contains(r.Err, "start pid 1") || strings.Contains(r.Err, "the setting") {
		t.Skip("the kernel lets ordinary users have no user namespaces: ", r.Err)
	}
	if r.Err != "" {
		t.Fatal(r.Err)
	}
	return r
}

func TestRootless(t *testing.T) {
	r := becomeUser(t, (*exec.Cmd).Start)
	for _, part := range []string{"uid", "/tmp", "memory"} {
		if !slices.ContainsFunc(r.Limitations, func(l string) bool { return strings.Contains(l, part) }) {
			t.Errorf("limitations %q do not tell of %s", r.Limitations, part)
		}
	}
	const none = "0000000000000000"
	for key, want := range map[string]string{
		"Uid": "54321\t54321\t54321\t54321", "CapPrm": none, "CapEff": none, "CapBnd": none, "CapAmb": none,
		"CapInh": none, "NoNewPrivs": "1", "Seccomp": "2",
	} {
		if r.Self.Status[key] != want {
			t.Errorf("%s: got %q, want %q", key, r.Self.Status[key], want)
		}
	}
	if len(r.Self.Interfaces) != 1 || r.Self.Hostname != "here" || strings.Contains(r.Self.Mounts, r.Dir+"/host") {
		t.Errorf("inside: %+v", r.Self)
	}
	for name, got := range r.Calls {
		switch name {
		case "kill pid 1", "terminate pid 1": // of its own uid, where Landlock lets them pass: pid 1 takes no notice
		default:
			if got == "ok" {
				t.Errorf("%s: %s", name, got)
			}
		}
	}
	if r.Dial["8.8.8.8:53"] != "ok: 8.8.8.8:53" {
		t.Errorf("dial: %v", r.Dial)
	}
	if r.Out != "sbx_user1051\nx\n" || !r.Killed {
		t.Errorf("got %q, killed %t", r.Out, r.Killed)
	}
}
