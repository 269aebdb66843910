package millicent

import (
	"fmt"
	"strings"
	"time"
)

// Verdict says in sentences, for people, whether the invocation's start was
// cold, why, and what else it waited for.
func (e *Explanation) Verdict() []string {
	if e.Report == nil {
		return []string{"Nothing is known of its start: it runs still, or its log has no reports (platform logs at level WARN)."}
	}
	if e.Delay == nil {
		return []string{"Warm: an idle environment was there, and it waited for nothing."}
	}
	w, s := e.Delay.Wait, e.Delay.Start
	if s == nil {
		return []string{fmt.Sprintf("Warm, after %s in the queue: %s.", inMicros(w.Time), queued(w.For))}
	}
	var list []string
	switch {
	case s.From == FromEnvironment:
		list = append(list, "Warm, but its runtime had to be started again: "+cause(e, s)+".")
		if w.For != "" {
			list = append(list, fmt.Sprintf("Before, it waited %s in the queue: %s.", inMicros(w.Time), queued(w.For)))
		}
	case w.For == "":
		list = append(list, "Cold start: "+cause(e, s)+".",
			"It did not wait for that: the environment was started for an earlier request, which another one served.")
	default:
		list = append(list, "Cold start: "+cause(e, s)+".")
		switch {
		case w.For != WaitStart:
			list = append(list, fmt.Sprintf("Before the start began it waited %s: %s.", inMicros(w.Before), queued(w.For)))
		case w.Time < s.Total():
			list = append(list, fmt.Sprintf("That start was under way when the request came: it waited %s of it.", inMicros(w.Time)))
		}
	}
	return list
}

// cause puts why something was started into words.
func cause(e *Explanation, s *StartRecord) string {
	gone := ""
	if s.Gone > 0 {
		gone = " " + ago(s.Gone) + " before"
	}
	switch s.Cause {
	case StartFirst:
		return "first call of version " + e.Version + ", nothing was known of it"
	case StartScaleOut:
		return "scale-out, " + counted(s.Others, "other environment was", "other environments were") + " busy"
	case StartAfterEviction:
		why := "its last environment was evicted" + gone + " to make room"
		if s.For != "" {
			why += " for " + s.For
		}
		return why
	case StartAfterExpiry:
		return "its last environment had been idle for too long and was closed" + gone
	case StartAfterTimeout:
		return "it was stopped at the timeout of an earlier invocation"
	case StartAfterFailure:
		if s.From == FromEnvironment {
			return "it ended in or after an earlier invocation"
		}
		return "its last environment broke" + gone
	case StartUpdated:
		if gone == "" {
			return "updated code or configuration"
		}
		return "updated code or configuration, and the last environment of the earlier one closed" + gone
	case StartProvisioned:
		return "its environment was provisioned"
	case "":
		return "the cause is not known"
	}
	return string(s.Cause)
}

// queued says what an invocation waited for in the queue.
func queued(why WaitReason) string {
	switch why {
	case WaitStart:
		return "for an environment that was being started"
	case WaitBusy:
		return "all environments of its version were busy"
	case WaitSlot:
		return "enough others were being started"
	case WaitRoom:
		return "the machine was full"
	}
	return string(why)
}

// Origin says what the start began with, for people; "" where that is unknown.
func (r *StartRecord) Origin() string {
	runtime := r.Runtime
	if runtime == "" {
		runtime = "the runtime"
	}
	switch r.From {
	case FromNothing:
		return "nothing: the sandbox was made for it"
	case FromSandbox:
		return "a prepared sandbox"
	case FromRuntime:
		return "a prepared sandbox with " + runtime + " booted"
	case FromVersion:
		return "a snapshot of the initialised version"
	case FromEnvironment:
		return "its environment, without a runtime"
	}
	return r.From
}

// longInit is an Init that is worth an advice.
const longInit = 20 * time.Millisecond

// Advice says what would make such a start rarer or shorter, for people.
func (e *Explanation) Advice() []string {
	if e.Delay == nil {
		return nil
	}
	w, s := e.Delay.Wait, e.Delay.Start
	var list []string
	add := func(cond bool, format string, args ...any) {
		if cond {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	add(w.For == WaitRoom, "more room: `millicent up --max-environments`, `--max-memory`, or less memory for the functions")
	add(w.For == WaitSlot, "more processors: so many starts at a time slow one another")
	if s == nil {
		add(w.For == WaitBusy && w.Time > longInit, "provisioned concurrency, which keeps environments ready: `millicent provision %s:VERSION N`", e.Function)
		return list
	}
	cold := s.From != FromEnvironment
	add(cold && s.From == FromNothing, "a larger `millicent up --pool`: no sandbox was ready (a function with a /tmp of its own size never finds one)")
	add(s.From == FromSandbox && s.Boot+s.Init > longInit && bootable(s.Runtime),
		"a larger `millicent up --pool`: no sandbox with %s booted was ready", s.Runtime)
	if s.Init > longInit && 2*s.Init > s.Total() {
		add(true, "a shorter Init: it took %d %% of the start; import less, or later", 100*s.Init/s.Total())
	}
	switch s.Cause {
	case StartScaleOut:
		add(true, "provisioned concurrency for peaks that are known: `millicent provision %s:VERSION N`", e.Function)
	case StartAfterExpiry:
		add(true, "a longer `millicent up --keep-alive`, or provisioned concurrency: `millicent provision %s:VERSION N`", e.Function)
	case StartAfterEviction:
		add(w.For != WaitRoom, "more room: `millicent up --max-environments`, `--max-memory`, or less memory for the functions")
	case StartAfterTimeout:
		add(true, "a longer timeout, or a look at what took so long: `millicent logs %s`", e.Function)
	case StartAfterFailure:
		add(true, "a look at why it ended: `millicent logs %s`", e.Function)
	}
	return list
}

// bootable reports whether runtimes of a kind can be booted ahead.
func bootable(runtime string) bool {
	return strings.HasPrefix(runtime, "python") || strings.HasPrefix(runtime, "nodejs")
}

// inMicros writes a duration as starts are measured.
func inMicros(d time.Duration) string { return fmt.Sprintf("%d µs", d.Microseconds()) }

// counted writes a number with its noun.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// ago writes how long ago something was, no more exactly than people ask.
func ago(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h", int(d.Hours()))
}
