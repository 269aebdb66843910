//go:build !amd64

package main

import (
	"os"
	"syscall"
)

// convention ends the process as the kernel would: this machine has but one.
func convention(string) { syscall.Kill(os.Getpid(), syscall.SIGSYS) }
