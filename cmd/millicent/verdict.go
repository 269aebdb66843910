package main

import (
	"fmt"
	"time"

	"github.com/millicent-run/millicent"
)

// What `millicent explain` says of an invocation: pure functions of its
// explanation.

// verdict says in sentences whether a start was cold, why, and what else the
// invocation waited for.
func verdict(e *millicent.Explanation) []string {
	if e.Report == nil {
		return []string{"Nothing is known of its start: it runs still, or its log has no reports (platform logs at level WARN)."}
	}
	if e.Delay == nil {
		return []string{"Warm: an idle environment was there, and it waited for nothing."}
	}
	w, s := e.Delay.Wait, e.Delay.Start
	if s == nil {
		return []string{fmt.Sprintf("Warm, after %s in the queue: %s.", micros(w.Time), queued(w.For))}
	}
	var list []string
	switch {
	case s.From == millicent.FromEnvironment:
		list = append(list, "Warm, but its runtime had to be started again: "+cause(e, s)+".")
		if w.For != "" {
			list = append(list, fmt.Sprintf("Before, it waited %s in the queue: %s.", micros(w.Time), queued(w.For)))
		}
	case w.For == "":
		list = append(list, "Cold start: "+cause(e, s)+".",
			"It did not wait for that: the environment was started for an earlier request, which another one served.")
	default:
		list = append(list, "Cold start: "+cause(e, s)+".")
		switch {
		case w.For != millicent.WaitStart:
			list = append(list, fmt.Sprintf("Before the start began it waited %s: %s.", micros(w.Before), queued(w.For)))
		case w.Time < s.Total():
			list = append(list, fmt.Sprintf("That start was under way when the request came: it waited %s of it.", micros(w.Time)))
		}
	}
	return list
}

// cause puts why something was started into words.
func cause(e *millicent.Explanation, s *millicent.StartRecord) string {
	gone := ""
	if s.Gone > 0 {
		gone = " " + ago(s.Gone) + " before"
	}
	switch s.Cause {
	case millicent.StartFirst:
		return "first call of version " + e.Version + ", nothing was known of it"
	case millicent.StartScaleOut:
		return "scale-out, " + counted(s.Others, "other environment was", "other environments were") + " busy"
	case millicent.StartAfterEviction:
		why := "its last environment was evicted" + gone + " to make room"
		if s.For != "" {
			why += " for " + s.For
		}
		return why
	case millicent.StartAfterExpiry:
		return "its last environment had been idle for too long and was closed" + gone
	case millicent.StartAfterTimeout:
		return "it was stopped at the timeout of an earlier invocation"
	case millicent.StartAfterFailure:
		if s.From == millicent.FromEnvironment {
			return "it ended in or after an earlier invocation"
		}
		return "its last environment broke" + gone
	case millicent.StartUpdated:
		if gone == "" {
			return "updated code or configuration"
		}
		return "updated code or configuration, and the last environment of the earlier one closed" + gone
	case millicent.StartProvisioned:
		return "its environment was provisioned"
	case "":
		return "the cause is not known"
	}
	return string(s.Cause)
}

// queued says what an invocation waited for in the queue.
func queued(why millicent.WaitReason) string {
	switch why {
	case millicent.WaitStart:
		return "for an environment that was being started"
	case millicent.WaitBusy:
		return "all environments of its version were busy"
	case millicent.WaitSlot:
		return "enough others were being started"
	case millicent.WaitRoom:
		return "the machine was full"
	}
	return string(why)
}

// origin says what a start began with, "" where there was none.
func origin(s millicent.StartRecord) string {
	runtime := s.Runtime
	if runtime == "" {
		runtime = "the runtime"
	}
	switch s.From {
	case millicent.FromNothing:
		return "nothing: the sandbox was made for it"
	case millicent.FromSandbox:
		return "a prepared sandbox"
	case millicent.FromRuntime:
		return "a prepared sandbox with " + runtime + " booted"
	case millicent.FromVersion:
		return "a snapshot of the initialised version"
	case millicent.FromEnvironment:
		return "its environment, without a runtime"
	}
	return s.From
}

// longInit is an Init that is worth an advice.
const longInit = 20 * time.Millisecond

// advice says what would make such a start rarer or shorter.
func advice(e *millicent.Explanation) []string {
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
	add(w.For == millicent.WaitRoom, "more room: `millicent up --max-environments`, `--max-memory`, or less memory for the functions")
	add(w.For == millicent.WaitSlot, "more processors: so many starts at a time slow one another")
	if s == nil {
		add(w.For == millicent.WaitBusy && w.Time > longInit, "provisioned concurrency, which keeps environments ready: `millicent provision %s:VERSION N`", e.Function)
		return list
	}
	cold := s.From != millicent.FromEnvironment
	add(cold && s.From == millicent.FromNothing, "a larger `millicent up --pool`: no sandbox was ready (a function with a /tmp of its own size never finds one)")
	add(s.From == millicent.FromSandbox && s.Boot+s.Init > longInit && bootable(s.Runtime),
		"a larger `millicent up --pool`: no sandbox with %s booted was ready", s.Runtime)
	if s.Init > longInit && 2*s.Init > s.Total() {
		add(true, "a shorter Init: it took %d %% of the start; import less, or later", 100*s.Init/s.Total())
	}
	switch s.Cause {
	case millicent.StartScaleOut:
		add(true, "provisioned concurrency for peaks that are known: `millicent provision %s:VERSION N`", e.Function)
	case millicent.StartAfterExpiry:
		add(true, "a longer `millicent up --keep-alive`, or provisioned concurrency: `millicent provision %s:VERSION N`", e.Function)
	case millicent.StartAfterEviction:
		add(w.For != millicent.WaitRoom, "more room: `millicent up --max-environments`, `--max-memory`, or less memory for the functions")
	case millicent.StartAfterTimeout:
		add(true, "a longer timeout, or a look at what took so long: `millicent logs %s`", e.Function)
	case millicent.StartAfterFailure:
		add(true, "a look at why it ended: `millicent logs %s`", e.Function)
	}
	return list
}

// bootable reports whether runtimes of a kind can be booted ahead.
func bootable(runtime string) bool {
	family := familyOf(runtime)
	return family == "python" || family == "nodejs"
}

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
