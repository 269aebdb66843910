package sandbox

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Memory returns how many bytes of memory the machine has, and how many can be
// had now without anything being pushed out. Where the sandboxes' cgroup or one
// above it, a service's or a container's, is limited to less, it is what that
// one has. Both are zero where the kernel does not say.
func (h *Host) Memory() (total, available int64) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, 0
	}
	total, available = parseMeminfo(string(b))
	if h.groups == nil || total == 0 {
		return total, available
	}
	limit, free := bound(h.groups.memory(), total)
	return min(total, limit), min(available, free)
}

func parseMeminfo(meminfo string) (total, available int64) {
	for line := range strings.Lines(meminfo) {
		name, rest, _ := strings.Cut(line, ":")
		if name != "MemTotal" && name != "MemAvailable" {
			continue
		}
		kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 53)
		if err != nil || kb < 0 {
			return 0, 0
		}
		if name == "MemTotal" {
			total = kb << 10
		} else {
			available = kb << 10
		}
	}
	return total, available
}

// bound returns the least limit of a memory cgroup and of those above it, and
// the least that one of them has left: none of either is more than most. The
// names of the files tell the version.
func bound(dir string, most int64) (limit, free int64) {
	limit, free = most, most
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir + "/cgroup.procs"); err != nil {
			return limit, max(free, 0) // above the top
		}
		highest, current, cache := "memory.max", "memory.current", "inactive_file"
		if _, err := os.Stat(dir + "/memory.limit_in_bytes"); err == nil {
			highest, current, cache = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
		}
		l, err := get(dir, highest)
		if err != nil || l >= most {
			continue // "max", or the top, which has no such file
		}
		limit = min(limit, l)
		used, err := get(dir, current)
		if err != nil {
			continue
		}
		if kept, err := field(dir, "memory.stat", cache); err == nil {
			used -= kept // for files that were read, and not lately
		}
		free = min(free, l-used)
	}
}
