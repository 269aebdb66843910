package scheduler

import "math"

// Memory is what a machine has of it, in bytes. The zero value is a machine of
// which nothing is known.
type Memory struct {
	Total     int64
	Available int64 // without anything being pushed out
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
