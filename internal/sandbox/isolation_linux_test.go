package sandbox

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestIsolationFiles(t *testing.T) {
	h := openHost(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := newSandbox(t, h, Spec{Mounts: []Mount{probeMount(t)}})
	var got map[string]string
	absent := []string{
		secret, h.cfg.Dir, "/home", "/root", "/srv", "/boot", "/media", "/var/lib", "/var/log", "/etc/shadow",
		"/etc/ssl/private", "/etc/ssh", "/dev/mem", "/dev/kmsg", "/dev/loop-control", "/proc/1/environ",
		"/proc/1/root", "/proc/1/fd", "/run/docker.sock",
	}
	readable := []string{"/", "/usr/bin", "/etc/ssl/certs", "/etc/ld.so.cache", "/etc/resolv.conf", "/proc/cpuinfo", "/proc/meminfo"}
	empty := []string{"/sys", "/opt", "/mnt", "/var/runtime", "/var/lang", "/tmp", "/dev/shm"}
	masked := []string{"/proc/kcore", "/proc/kallsyms", "/proc/keys", "/proc/timer_list", "/proc/modules"}
	closed := []string{
		"+/x", "+/usr/x", "+/etc/x", "+/var/x", "+/var/task/x", "+/run/x", "+/dev/x", "+/opt/x",
		"+/var/task/probe", "+/etc/passwd", "+/proc/sysrq-trigger", "+/proc/sys/kernel/core_pattern",
		"+/proc/sys/kernel/hostname", "+/proc/1/oom_score_adj",
	}
	open := []string{"+/tmp/x", "+/dev/shm/x", "+/dev/null", "+/proc/self/comm"}
	all := [][]string{absent, readable, empty, masked, closed, open}
	args := []string{"files"}
	for _, l := range all {
		args = append(args, l...)
	}
	probe(t, s, &got, args...)
	for _, p := range absent {
		if got[p] != "ENOENT" && got[p] != "EACCES" && got[p] != "EPERM" {
			t.Errorf("%s can be read: %q", p, got[p])
		}
	}
	for _, p := range readable {
		if got[p] == "" || got[p] == "ENOENT" || got[p] == "EACCES" {
			t.Errorf("%s cannot be read: %q", p, got[p])
		}
	}
	for _, p := range empty {
		if got[p] != "" {
			t.Errorf("%s is not empty: %q", p, got[p])
		}
	}
	for _, p := range masked {
		if got[p] != "ok: " && got[p] != "ENOENT" && got[p] != "EACCES" {
			t.Errorf("%s shows something: %q", p, got[p])
		}
	}
	for _, p := range closed {
		if got[p] != "EROFS" && got[p] != "EACCES" && got[p] != "EPERM" && got[p] != "ENOENT" {
			t.Errorf("%s can be written: %q", p, got[p])
		}
	}
	for _, p := range open {
		if got[p] != "ok" {
			t.Errorf("%s cannot be written: %q", p, got[p])
		}
	}
}

func TestIsolationCalls(t *testing.T) {
	s := newSandbox(t, openHost(t), Spec{Mounts: []Mount{probeMount(t)}})
	var got map[string]string
	probe(t, s, &got, "calls")
	want := map[string]string{
		"clone3": "ENOSYS", "future call": "ENOSYS",
		"socket alg": "EAFNOSUPPORT", "socket vsock": "EAFNOSUPPORT", "socket packet": "EAFNOSUPPORT",
		"socket netfilter": "EPROTONOSUPPORT", "socket raw": "ESOCKTNOSUPPORT",
	}
	for name, errno := range got {
		w := want[name]
		if w == "" {
			w = "EPERM"
		}
		if errno != w {
			t.Errorf("%s: got %s, want %s", name, errno, w)
		}
	}
	if len(got) < 40 {
		t.Errorf("%d calls were tried", len(got))
	}
	select {
	case <-s.Done():
		t.Error("pid 1 has ended")
	default:
	}
}

func TestIsolationSelf(t *testing.T) {
	h := openHost(t)
	s := newSandbox(t, h, Spec{Mounts: []Mount{probeMount(t)}, Hostname: "here"})
	newSandbox(t, h, Spec{}) // a neighbour, not to be seen
	var got self
	probe(t, s, &got, "self")
	uid := strconv.Itoa(s.uid)
	const none = "0000000000000000"
	for key, want := range map[string]string{
		"Uid": strings.Join([]string{uid, uid, uid, uid}, "\t"), "Gid": strings.Join([]string{uid, uid, uid, uid}, "\t"),
		"Groups": "", "CapInh": none, "CapPrm": none, "CapEff": none, "CapBnd": none, "CapAmb": none,
		"NoNewPrivs": "1", "Seccomp": "2", "Seccomp_filters": "1", "SigBlk": none,
	} {
		if got.Status[key] != want {
			t.Errorf("%s: got %q, want %q", key, got.Status[key], want)
		}
	}
	for name, want := range map[string]uint64{"nofile": 1024, "nproc": 742, "core": 1, "stack": 8 * mib} {
		if got.Limits[name] != want {
			t.Errorf("limit %s: got %d, want %d", name, got.Limits[name], want)
		}
	}
	if len(got.Pids) != 1 {
		t.Errorf("processes seen: %v", got.Pids)
	}
	if strings.Join(got.Interfaces, " ") != "lo" {
		t.Errorf("network interfaces: %v", got.Interfaces)
	}
	if got.Hostname != "here" || got.Umask != 0o022 {
		t.Errorf("host name %q, umask %o", got.Hostname, got.Umask)
	}
	if strings.Contains(got.Cgroup, "millicent") || strings.Contains(got.Cgroup, s.id) {
		t.Errorf("the cgroup's path is seen: %s", got.Cgroup)
	}
	if strings.Contains(got.Mounts, h.cfg.Dir) {
		t.Errorf("the host's directory is seen: %s", got.Mounts)
	}
	for line := range strings.Lines(got.Mounts) {
		f := strings.Fields(line)
		if f[4] != "/tmp" && f[4] != "/dev/shm" && f[4] != "/proc" && !strings.HasPrefix(f[5], "ro") {
			t.Errorf("a mount that can be written to: %s", line)
		}
		if !strings.Contains(f[5], "nosuid") {
			t.Errorf("a mount with set-uid programs: %s", line)
		}
	}
	for _, f := range got.Files {
		if strings.Contains(f, "socket") {
			t.Errorf("a socket came from outside: %s", f)
		}
	}
	for script, want := range map[string]string{
		"id -un": "sbx_user1051\n", "id -u": uid + "\n", "hostname": "here\n", "ls -A /tmp": "",
	} {
		if r := sh(t, s, script); r.out != want {
			t.Errorf("%s: got %q, want %q", script, r.out, want)
		}
	}
}
