package sandbox

import (
	"os"
	"path/filepath"
	"testing"
)

func TestParseMeminfo(t *testing.T) {
	const gb = 1 << 30
	for text, want := range map[string][2]int64{
		"MemTotal:       16777216 kB\nMemFree: 12 kB\nMemAvailable:    8388608 kB\nBuffers: 1 kB\n": {16 * gb, 8 * gb},
		"MemTotal: 1048576 kB\n":   {gb, 0},
		"MemTotal: many kB\n":      {},
		"MemTotal: -5 kB\n":        {},
		"MemAvailable 77\nnothing": {},
		"":                         {},
	} {
		if total, available := parseMeminfo(text); [2]int64{total, available} != want {
			t.Errorf("%q: got %d and %d, want %v", text, total, available, want)
		}
	}
}

// What a service or a container may have counts, not what the machine has.
func TestMemoryIsBoundByGroups(t *testing.T) {
	const mb, machine = 1 << 20, 1 << 34
	for name, c := range map[string]struct {
		files       map[string]map[string]string // by directory
		limit, free int64
	}{
		"none": {map[string]map[string]string{
			"": {"cgroup.procs": ""}, "millicent": {"cgroup.procs": "", "memory.max": "max\n"}, "millicent/me": {"cgroup.procs": "", "memory.max": "max\n"},
		}, machine, machine},
		"version 2": {map[string]map[string]string{
			"":             {"cgroup.procs": ""},
			"millicent":    {"cgroup.procs": "", "memory.max": "536870912\n", "memory.current": "419430400\n", "memory.stat": "anon 1\ninactive_file 104857600\n"},
			"millicent/me": {"cgroup.procs": "", "memory.max": "1073741824\n", "memory.current": "0\n"},
		}, 512 * mb, 212 * mb},
		"version 1": {map[string]map[string]string{
			"":             {"cgroup.procs": "", "memory.limit_in_bytes": "268435456\n", "memory.usage_in_bytes": "209715200\n", "memory.stat": "total_inactive_file 10485760\n"},
			"millicent":    {"cgroup.procs": "", "memory.limit_in_bytes": "9223372036854771712\n", "memory.usage_in_bytes": "1\n"},
			"millicent/me": {"cgroup.procs": "", "memory.limit_in_bytes": "9223372036854771712\n", "memory.usage_in_bytes": "1\n"},
		}, 256 * mb, 66 * mb},
		"full": {map[string]map[string]string{
			"": {"cgroup.procs": ""}, "millicent": {"cgroup.procs": ""},
			"millicent/me": {"cgroup.procs": "", "memory.max": "1048576\n", "memory.current": "2097152\n"},
		}, mb, 0},
	} {
		root := t.TempDir()
		for dir, files := range c.files {
			newTree(t, filepath.Join(root, dir), files)
		}
		if limit, free := bound(filepath.Join(root, "millicent", "me"), machine); limit != c.limit || free != c.free {
			t.Errorf("%s: got %d and %d, want %d and %d", name, limit, free, c.limit, c.free)
		}
	}
}

func TestMemory(t *testing.T) {
	h := openHost(t)
	total, available := h.Memory()
	if total < 64<<20 || available <= 0 || available > total {
		t.Fatalf("got %d and %d for this machine", total, available)
	}
	dir := h.groups.memory()
	file := "memory.max"
	if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
		file = "memory.limit_in_bytes"
	}
	if err := putInt(dir, file, 48<<20); err != nil {
		t.Fatal(err)
	}
	if total, available := h.Memory(); total != 48<<20 || available <= 0 || available > total {
		t.Errorf("got %d and %d with a limit of 48 MB", total, available)
	}
}
