//go:build !amd64

package escape

// archCalls are those of this architecture alone.
var archCalls []attempt
