package millicent

// A StartCause says why an invocation had to wait for a new environment: why
// its start was cold.
type StartCause string

// The causes of cold starts.
const (
	StartFirst         StartCause = "first"          // of an earlier environment of the version nothing is known
	StartScaleOut      StartCause = "scale-out"      // those that there were had enough to do
	StartAfterEviction StartCause = "after-eviction" // the last one had made way for another version
	StartAfterExpiry   StartCause = "after-expiry"   // the last one had been idle for too long
	StartAfterFailure  StartCause = "after-failure"  // the last one had broken
	StartUpdated       StartCause = "updated"        // the last one ran other code or another configuration
)
