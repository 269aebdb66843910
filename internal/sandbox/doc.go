// Package sandbox isolates processes with the Linux kernel's own means and
// knows nothing of functions.
package sandbox
