package launchertest

import (
	"fmt"
	"regexp"
	"strings"
)

func tailHoldsTheLog(h *harness) {
	env := h.launch()
	for i := range 20 {
		line := fmt.Sprintf("line %d", i)
		res, inv := h.invoke(env, event("log", "lines", []string{line, "and the last"}))
		init := ""
		if i == 0 {
			init = `Init Duration: \d+\.\d\d ms\t`
		}
		want := regexp.MustCompile(`^START RequestId: ` + inv.ID + ` Version: ` + regexp.QuoteMeta(h.subject.Probe.Number) + `\n` +
			line + "\nand the last\n" +
			`END RequestId: ` + inv.ID + `\n` +
			`REPORT RequestId: ` + inv.ID + `\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: \d+ MB\tMax Memory Used: \d+ MB\t` + init + `(CPU Time: \d+\.\d\d ms\tFuel: \d+\t)?\n$`)
		if !want.Match(res.LogTail) {
			h.Errorf("got %q, want a match of %s", res.LogTail, want)
		}
	}
	var lines []string
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf("line %d of many", i))
	}
	res, inv := h.invoke(env, event("log", "lines", lines))
	if got := len(res.LogTail); got != 4<<10 {
		h.Errorf("got a tail of %d bytes, want 4096", got)
	}
	if !strings.Contains(string(res.LogTail), "line 999 of many\nEND RequestId: "+inv.ID+"\n") {
		h.Errorf("got %q, want the end of the log", res.LogTail)
	}
}

func recordsNameTheirInvocation(h *harness) {
	env := h.launch()
	for i := range 10 {
		line := fmt.Sprintf("mine %d", i)
		_, inv := h.invoke(env, event("log", "lines", []string{line}))
		got := h.logs.Of(inv.ID)
		if len(got) != 4 || got[1] != line || !strings.HasPrefix(got[0], "START ") || !strings.HasPrefix(got[2], "END ") || !strings.HasPrefix(got[3], "REPORT ") {
			h.Errorf("got records %q", got)
		}
	}
}
