package main

import "syscall"

// int80 makes a system call by the convention of 32-bit programs.
func int80()

// convention makes a system call by another convention than this machine's.
func convention(name string) {
	switch name {
	case "int 0x80":
		int80()
	case "x32":
		syscall.RawSyscall(0x40000000|syscall.SYS_GETPID, 0, 0, 0)
	}
}
