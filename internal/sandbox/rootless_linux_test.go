package sandbox

import (
	"context"
	"encoding/json"
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
	Limitations []string
	Self        self
	Calls       map[string]string
	Dial        map[string]string
	Out         string
	Killed      bool
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
	r.Limitations = h.Limitations()
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

func TestRootless(t *testing.T) {
	requireRoot(t) // to become somebody else
	const uid = 54321
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
	if err := os.Chown(dir, uid, uid); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(task, "probe"), "user", dir)
	cmd.Stderr = os.Stderr
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var r rootless
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err, string(out))
	}
	if strings.Contains(r.Err, "start pid 1") {
		t.Skip("the kernel lets ordinary users have no user namespaces: ", r.Err)
	}
	if r.Err != "" {
		t.Fatal(r.Err)
	}
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
	if len(r.Self.Interfaces) != 1 || r.Self.Hostname != "here" || strings.Contains(r.Self.Mounts, dir+"/host") {
		t.Errorf("inside: %+v", r.Self)
	}
	for name, got := range r.Calls {
		if got == "ok" && name != "terminate pid 1" { // a signal of its own uid, which pid 1 takes no notice of
			t.Errorf("%s: %s", name, got)
		}
	}
	if r.Dial["8.8.8.8:53"] != "ok: 8.8.8.8:53" {
		t.Errorf("dial: %v", r.Dial)
	}
	if r.Out != "sbx_user1051\nx\n" || !r.Killed {
		t.Errorf("got %q, killed %t", r.Out, r.Killed)
	}
}
