package main

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A machine is what a run was measured on.
type machine struct {
	CPU      string `json:"cpu"`
	Cores    int    `json:"cores"`
	MemoryMB int    `json:"memoryMB"`
	Kernel   string `json:"kernel"`
	System   string `json:"system"`
	Cgroups  string `json:"cgroups"`
	Load     string `json:"load"` // average of the last minute before the run

	Commit  string `json:"commit"`
	Version string `json:"version"` // of the binary
	Go      string `json:"go"`
	Python  string `json:"python"`
	Node    string `json:"node"`
}

// describeMachine finds out where it runs. What cannot be found out is "?".
func describeMachine(ctx context.Context) machine {
	m := machine{
		CPU:    field("/proc/cpuinfo", "model name", ":"),
		Cores:  runtime.NumCPU(),
		System: strings.Trim(field("/etc/os-release", "PRETTY_NAME", "="), `"`),
		Commit: "?", Kernel: "?", Load: "?", Cgroups: "1",
		Go: runtime.Version(),
	}
	if kb, err := strconv.Atoi(strings.TrimSuffix(field("/proc/meminfo", "MemTotal", ":"), " kB")); err == nil {
		m.MemoryMB = kb / 1024
	}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		m.Kernel = unix.ByteSliceToString(uts.Release[:])
	}
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		m.Cgroups = "2"
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(b), " ")
	}
	if out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--abbrev=12").Output(); err == nil {
		m.Commit = strings.TrimSpace(string(out))
	}
	return m
}

// busy reports whether others used the machine when the run began.
func (m machine) busy() bool {
	load, err := strconv.ParseFloat(m.Load, 64)
	return err == nil && load > 1 // the build before it leaves some
}

// field returns the value of the first line of a file that has a key.
func field(file, key, separator string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return "?"
	}
	for line := range strings.Lines(string(b)) {
		name, value, ok := strings.Cut(line, separator)
		if ok && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return "?"
}
