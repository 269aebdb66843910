package lifecycle

import "github.com/millicent-run/millicent"

// ErrClosed is the error of an invocation that Close ended.
var ErrClosed = &millicent.Error{
	Code:    millicent.CodeServerUnavailable,
	Message: "The execution environment was closed while it served the invocation.",
}

// Dead is the answer of an environment that cannot serve inv, which the
// function did not see.
func Dead(cause error) error {
	return &millicent.Error{
		Code:    millicent.CodeEnvironmentDead,
		Message: "The execution environment is gone.",
		Err:     cause,
	}
}

// DelayOf returns what kept inv from running at once, nil if nothing did.
func DelayOf(inv *millicent.Invocation, res *millicent.Result) *millicent.Delay {
	if res.Start == nil && inv.Wait.For == "" {
		return nil
	}
	return &millicent.Delay{Wait: inv.Wait, Start: res.Start}
}
