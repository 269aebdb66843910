package billing

import (
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

// measuredAt is n invocations of so many milliseconds at a size.
func measuredAt(memoryMB int, n, ms, cpuMs int64) Measured {
	m := Measured{MemoryMB: memoryMB, Duration: n * ms * 1000, Squares: float64(n * ms * ms), PeakMB: 90}
	m.Quantities[Requests] = n
	m.Quantities[Compute] = n * ms * int64(memoryMB)
	m.Quantities[CPU] = n * cpuMs * 1000
	return m
}

func report(t *testing.T, measured ...Measured) (SizeReport, map[int]Size) {
	t.Helper()
	to := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	r := RightSize("fn", to.AddDate(0, 0, -30), to, measured, Default())
	at := map[int]Size{}
	for _, s := range r.Sizes {
		at[s.MemoryMB] = s
		if s.CostLow.Compare(s.CostHigh) > 0 || s.DurationLow > s.DurationHigh {
			t.Errorf("%+v: low is above high", s)
		}
	}
	return r, at
}

// near reports whether a duration in microseconds is about so many
// milliseconds.
func near(us, ms int64) bool { return us > ms*1000-1000 && us < ms*1000+1000 }

// TestRightSizeOfComputing: what only computes takes half the time with twice
// the memory, up to one core, and beyond only if it can.
func TestRightSizeOfComputing(t *testing.T) {
	r, at := report(t, measuredAt(512, 1000, 346, 100)) // 512 MB are .29 cores
	if s := at[1024]; !near(s.DurationLow, 173) || !near(s.DurationHigh, 173) || s.Measured != 0 || !s.Fits {
		t.Errorf("at 1024 MB: %+v", s)
	}
	if s := at[3538]; !near(s.DurationLow, 50) || s.DurationHigh < 99_000 || s.DurationHigh > 102_000 {
		t.Errorf("at 3538 MB: %+v", s)
	}
	if s := at[512]; s.Measured != 1000 || !near(s.DurationLow, 346) {
		t.Errorf("at 512 MB: %+v", s)
	}
	if r.MemoryMB != 512 || r.Invocations != 1000 || r.PeakMB != 90 {
		t.Errorf("got %+v", r)
	}
}

// TestRightSizeOfWaiting: what only waits is cheapest where it is smallest and
// fits.
func TestRightSizeOfWaiting(t *testing.T) {
	m := measuredAt(1024, 1000, 200, 0)
	r, at := report(t, m)
	if r.Best != 128 || !near(at[128].DurationHigh, 200) {
		t.Errorf("best is %d MB, at 128 MB %+v", r.Best, at[128])
	}
	// An eighth of the memory, for the same time and half a millisecond.
	want := Default().Total(Quantities{Requests: 1000, Compute: 1000 * 128 * 2005 / 10}).Total
	if got := at[128].CostHigh; got != want {
		t.Errorf("costs %v, want %v", got, want)
	}
	m.PeakMB = 300
	if r, at := report(t, m); r.Best != 512 || at[256].Fits {
		t.Errorf("best is %d MB with 300 MB held, 256 MB: %+v", r.Best, at[256])
	}
}

// TestRightSizeMeasured: what was measured is not estimated; and who varies is
// less certain.
func TestRightSizeMeasured(t *testing.T) {
	varied := measuredAt(256, 100, 100, 0)
	varied.Squares *= 2 // a standard deviation of 100 ms, an error of 10
	_, at := report(t, measuredAt(512, 1000, 346, 100), varied)
	if s := at[256]; !near(s.DurationLow, 80) || !near(s.DurationHigh, 120) || s.Measured != 100 {
		t.Errorf("got %+v", s)
	}
}

func TestServerBeside(t *testing.T) {
	r, _ := report(t, measuredAt(128, 10, 10, 1))
	// 30 days are 720 of the month's 730 hours.
	if want := (30*millicent.Unit + 37*millicent.Cent).Of(720, 730); r.ServerCost != want || r.Servers != 1 || r.Server == "" {
		t.Errorf("got %v of %d × %q, want %v", r.ServerCost, r.Servers, r.Server, want)
	}
	if r, _ := report(t, measuredAt(10240, 10, 10, 1)); r.Servers != 3 {
		t.Errorf("10 GB take %d servers", r.Servers)
	}
}
