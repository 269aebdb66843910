package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// resultFormat is the version of the JSON's form.
const resultFormat = 1

// A result is a whole run, as its JSON has it.
type result struct {
	Format  int            `json:"format"`
	Began   time.Time      `json:"began"`
	Took    string         `json:"took"`
	Quick   bool           `json:"quick"`
	Only    string         `json:"only,omitempty"`
	Machine machine        `json:"machine"`
	Figures []figure       `json:"figures"`
	Curves  []distribution `json:"distributions"`
}

// write writes the result into dir, as files named after the day: JSON,
// Markdown, and a plot for each kind of figure that there is. It returns the
// path of the Markdown.
func (r result) write(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	day := r.Began.Format("2006-01-02")
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return "", err
	}
	files := map[string]string{day + ".json": string(data) + "\n"}
	var plots []string
	for _, plot := range []struct{ name, svg string }{
		{day + "-cold.svg", plotStarts(r.Curves)},
		{day + "-throughput.svg", plotThroughput(r.Figures)},
	} {
		if plot.svg != "" {
			files[plot.name] = plot.svg
			plots = append(plots, plot.name)
		}
	}
	files[day+".md"] = r.markdown(plots)
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, day+".md"), nil
}

// markdown is the report for people.
func (r result) markdown(plots []string) string {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "# Benchmark of %s\n\n", r.Began.Format("2006-01-02"))
	fmt.Fprintf(&b, "Commit %s, %s. %s, %d cores, %s MB; Linux %s, %s, cgroup v%s. Go %s, Python %s, Node.js %s. The run took %s.\n\n",
		m.Commit, m.Version, m.CPU, m.Cores, digits(float64(m.MemoryMB)), m.Kernel, m.System, m.Cgroups,
		strings.TrimPrefix(m.Go, "go"), m.Python, m.Node, r.Took)
	if r.Quick {
		b.WriteString("**A quick run: few samples, and fewer functions deployed than the targets speak of.**\n\n")
	}
	if r.Only != "" {
		fmt.Fprintf(&b, "**Only the scenarios that match `%s`.**\n\n", r.Only)
	}
	if m.busy() {
		fmt.Fprintf(&b, "**The machine was in use by others: its load was %s when the run began.**\n\n", m.Load)
	}
	b.WriteString("\"bare\" is the same measured on a Go `net/http` handler in a process of its own, in turns within the same run. " +
		"\"±\" is the median absolute deviation. Percentiles and targets are defined in [the bench's README](../README.md).\n")
	for _, plot := range plots {
		fmt.Fprintf(&b, "\n![%s](%s)\n", plot, plot)
	}
	last := ""
	for _, f := range r.Figures {
		if f.Scenario != last {
			last = f.Scenario
			fmt.Fprintf(&b, "\n## %s: %s\n\n", last, about(last))
			b.WriteString("| figure | measured | target | | ± | n | bare | × bare | |\n|---|---:|---:|---|---:|---:|---:|---:|---|\n")
		}
		b.WriteString(row(f))
	}
	return b.String()
}

func about(name string) string {
	for _, s := range scenarios {
		if s.name == name {
			return s.about
		}
	}
	return ""
}

// row is a figure in the report's table.
func row(f figure) string {
	withUnit := func(n number) string {
		if text := n.String(); text != "–" {
			return strings.TrimSpace(text + " " + f.Unit)
		}
		return ""
	}
	bound, samples, spread, ratio := "", "", "", ""
	if f.Target != nil {
		bound = f.Target.String()
	}
	if f.N > 0 {
		samples = fmt.Sprint(f.N)
	}
	if text := f.Spread.String(); text != "–" {
		spread = text
	}
	if text := digits(f.ratio()); text != "–" {
		ratio = text
	}
	verdict := f.Verdict
	if verdict != pass && verdict != informal {
		verdict = "**" + verdict + "**"
	}
	note := strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;").Replace(f.Note)
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n",
		f.Name, withUnit(f.Value), bound, verdict, spread, samples, withUnit(f.Bare), ratio, note)
}
