package process

import (
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/lifecycle"
)

// measureInterval is how far apart measurements are, at least: they cost as much
// as a tenth of a short invocation.
const measureInterval = 10 * time.Millisecond

// measure completes what an invocation used by what the kernel has counted for
// the environment: nothing of it comes from inside. Invocations that follow one
// another closely share a measurement: the last one of them has the processor
// time of all, so that their sum is exact.
func (e *environment) measure(f *lifecycle.Failure, usage *millicent.Usage, now time.Time) {
	if f != nil || e.uplink.paying || now.Sub(e.measured) >= measureInterval {
		e.measured = now
		// Errors are those of a sandbox that is gone, and its counters with it.
		if peak, err := e.box.PeakMemory(); err == nil {
			e.peak = min(int((peak+1<<20-1)>>20), e.version.MemoryMB)
		}
		if cpu, err := e.box.CPU(); err == nil && cpu > e.cpu {
			usage.CPU, e.cpu = cpu-e.cpu, cpu
		}
		if sent := e.uplink.paid(e.sent); sent > e.sent {
			usage.Egress, e.sent = sent-e.sent, sent
		}
	}
	usage.PeakMemoryMB = e.peak
	if f != nil && f.Reported == lifecycle.OutOfMemory {
		usage.PeakMemoryMB = e.version.MemoryMB // the limit ended the runtime
	}
}
