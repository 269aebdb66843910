package escape

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// serverMemory returns the bytes of memory that a process has.
func serverMemory(t *testing.T, pid int) int64 {
	return kilobytes(t, fmt.Sprintf("/proc/%d/status", pid), "VmRSS")
}

func kilobytes(t *testing.T, file, key string) int64 {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if k, v, _ := strings.Cut(line, ":"); k == key {
			n, err := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatalf("%s has no %s", file, key)
	return 0
}

// datagramMemory returns the bytes in the buffers of all the machine's UDP
// sockets, in whatever network namespace they are.
func datagramMemory(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "UDP:"); ok {
			fields := strings.Fields(rest) // inuse 2 mem 5
			n, err := strconv.ParseInt(fields[3], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n * int64(os.Getpagesize())
		}
	}
	t.Fatal("no UDP in /proc/net/sockstat")
	return 0
}

// capable reports whether a process, the server, has a capability.
func capable(t *testing.T, pid int, capability uint) bool {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "CapEff:")
	set, err := strconv.ParseUint(strings.Fields(rest)[0], 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return set&(1<<capability) != 0
}
