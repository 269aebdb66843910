package scheduler

import (
	"math"
	"os"
	"strconv"
	"strings"
)

// machineMemoryMB returns the machine's memory. Where the kernel does not say
// it, there is no limit but that on the number of environments.
func machineMemoryMB() int {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return math.MaxInt
	}
	return parseMemTotal(string(b))
}

func parseMemTotal(meminfo string) int {
	for line := range strings.Lines(meminfo) {
		rest, ok := strings.CutPrefix(line, "MemTotal:")
		if !ok {
			continue
		}
		kb, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
		if err != nil || kb < 1024 {
			break
		}
		return kb / 1024
	}
	return math.MaxInt
}
