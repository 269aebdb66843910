package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// A bill is the processor time that requests took of a server, of the
// processes below it, and of this program, which makes the load. It is zero
// where the kernel does not count (/proc/PID/task/TID/schedstat).
type bill struct {
	server, below, load time.Duration
	requests            int
}

// billOf returns what a server and its load have taken until now.
func billOf(pid int) (bill, error) {
	below, err := descendants(pid)
	if err != nil {
		return bill{}, err
	}
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		return bill{}, err
	}
	b := bill{server: scheduled(pid), load: time.Duration(own.Utime.Nano() + own.Stime.Nano())}
	for _, p := range below {
		b.below += scheduled(p)
	}
	return b, nil
}

// scheduled returns how long a process's threads have run.
func scheduled(pid int) (sum time.Duration) {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return 0 // ended meanwhile
	}
	for _, t := range tasks {
		stat, err := os.ReadFile(dir + "/" + t.Name() + "/schedstat")
		if err != nil {
			continue // as above
		}
		ran, _, _ := bytes.Cut(stat, []byte(" "))
		if ns, err := strconv.ParseInt(string(ran), 10, 64); err == nil {
			sum += time.Duration(ns)
		}
	}
	return sum
}

// add adds what was taken between two bills for so many requests.
func (b *bill) add(from, to bill, requests int) {
	b.server += to.server - from.server
	b.below += max(0, to.below-from.below) // a process may have ended
	b.load += to.load - from.load
	b.requests += requests
}

// String says what one request took, nothing where that is not known.
func (b bill) String() string {
	if b.requests == 0 || b.server == 0 {
		return ""
	}
	each := func(d time.Duration) string { return digits(float64(d) / 1e3 / float64(b.requests)) }
	return fmt.Sprintf("processor time of a request: server %s µs, function %s, load %s", each(b.server), each(b.below), each(b.load))
}
