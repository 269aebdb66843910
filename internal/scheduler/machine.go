package scheduler

import (
	"math"
	"os"
	"strconv"
	"strings"
)

// Memory is what a machine has of it, in bytes. The zero value is a machine of
// which nothing is known.
type Memory struct {
	Total     int64
	Available int64 // without anything being pushed out
}

// machineMemory returns what the kernel says, at the moment.
func machineMemory() Memory {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return Memory{}
	}
	return parseMeminfo(string(b))
}

func parseMeminfo(meminfo string) (m Memory) {
	for line := range strings.Lines(meminfo) {
		name, rest, _ := strings.Cut(line, ":")
		if name != "MemTotal" && name != "MemAvailable" {
			continue
		}
		kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 54)
		if err != nil || kb < 0 {
			return Memory{}
		}
		if name == "MemTotal" {
			m.Total = kb << 10
		} else {
			m.Available = kb << 10
		}
	}
	return m
}

// forEnvironments returns how much of a machine's memory its environments may
// have, in MB: all but what the server, prepared sandboxes and the machine
// itself need. Where the kernel does not say how much there is, only the
// number of environments is limited.
func (m Memory) forEnvironments() int {
	total := m.Total >> 20
	if total <= 0 {
		return math.MaxInt
	}
	return int(max(total-max(headroomMB, total/10), total/2))
}
