package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// synthetic is a run as a quiet machine might have made it, with each verdict.
func synthetic() result {
	rec := &recorder{out: io.Discard}
	rec.begin(scenarios[0])
	python := make([]float64, 500)
	for i := range python {
		python[i] = 2 + float64(i%50)/100
	}
	rec.cold(subject{label: "Python", p50: atMost(3), p99: atMost(2)}, summarise(python), 0.06, "a | b")
	rec.keep("Python", "ms", python)
	rec.keep(bareName, "ms", []float64{0.05, 0.06, 0.3})
	rec.fail("Node: p50", atMost(4), errors.New("no answer\nand its log"))
	rec.scenario = "snapstart"
	rec.fail("SnapStart", atMost(8), fmt.Errorf("%w: off", errNotBuilt))
	rec.scenario = "throughput"
	rec.add(figure{Name: bareName, Unit: "/s", Value: 91_000, Bare: 91_000, N: 5})
	rec.add(figure{Name: "Python", Unit: "/s", Value: 18_300, Bare: 91_000, N: 5, Target: atLeast(18_000)})
	rec.peerFailed("RIE, Go", errors.New("it <crashed>"))
	return result{
		Format: resultFormat, Began: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), Took: "9m",
		Machine: machine{CPU: "some", Cores: 2, Load: "3.10", Commit: "abc"},
		Figures: rec.figures, Curves: rec.curves,
	}
}

func TestReport(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	path, err := synthetic().write(dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# Benchmark of 2026-05-04",
		"its load was 3.10",
		"| Python: p50 | 2.25 ms | ≤ 3 | pass | 0.12 | 500 | 0.06 ms | 37.4 | a \\| b |",
		"| Python: p99 | 2.49 ms | ≤ 2 | **miss** |",
		"| Node: p50 |  | ≤ 4 | **failed** |  |  |  |  | no answer |",
		"| SnapStart |  | ≤ 8 | **not built** |",
		"| Python | 18,300 /s | ≥ 18,000 | pass |",
		"| RIE, Go |  |  | **peer failed** |  |  |  |  | it &lt;crashed> |",
		"![2026-05-04-cold.svg](2026-05-04-cold.svg)",
		"![2026-05-04-throughput.svg](2026-05-04-throughput.svg)",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the report has no %q:\n%s", want, text)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 4 {
		t.Errorf("got files %v, %v", files, err)
	}
}

func TestResultInJSON(t *testing.T) {
	want := synthetic()
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got result
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != string(data) {
		t.Errorf("read and written again it is\n%s\nand was\n%s", again, data)
	}
	if got.markdown(nil) != want.markdown(nil) {
		t.Error("the report of what was read is another")
	}
}

// TestPlots draws the synthetic run: what comes out is XML, says what it shows
// and stays within its frame.
func TestPlots(t *testing.T) {
	r := synthetic()
	for name, c := range map[string]struct {
		svg   string
		wants []string
	}{
		"starts":     {plotStarts(r.Curves), []string{"Python", bareName, "milliseconds", "100 %"}},
		"throughput": {plotThroughput(r.Figures), []string{"Python", "91,000", "18,300"}},
	} {
		texts, points := readSVG(t, c.svg)
		for _, want := range c.wants {
			if !slices.Contains(texts, want) {
				t.Errorf("%s: no text %q among %q", name, want, texts)
			}
		}
		for _, p := range points {
			if p[0] < 0 || p[0] > plotWidth || p[1] < 0 || p[1] > plotHeight {
				t.Errorf("%s: %v is outside", name, p)
			}
		}
	}
	if plotStarts(nil) != "" || plotThroughput(nil) != "" {
		t.Error("there is a plot of nothing")
	}
	flat := []distribution{{Scenario: "cold", Name: "one", Unit: "ms", N: 1, Points: []number{10, 10}}}
	readSVG(t, plotStarts(flat))
}

// readSVG returns the texts of a picture, and the points of its lines.
func readSVG(t *testing.T, svg string) (texts []string, points [][2]float64) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts, points
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		switch e := token.(type) {
		case xml.CharData:
			texts = append(texts, string(e))
		case xml.StartElement:
			for _, a := range e.Attr {
				if a.Name.Local != "points" {
					continue
				}
				for pair := range strings.FieldsSeq(a.Value) {
					var p [2]float64
					if _, err := fmt.Sscanf(pair, "%g,%g", &p[0], &p[1]); err != nil {
						t.Fatalf("point %q: %v", pair, err)
					}
					points = append(points, p)
				}
			}
		}
	}
}

func TestLine(t *testing.T) {
	got := line(figure{Name: "Python: p50", Unit: "ms", Value: 2.25, Spread: 0.1, N: 500, Target: atMost(3), Verdict: pass, Bare: 0.05})
	if want := "Python: p50                                       2.25 ms   ≤ 3       pass      ±0.10 n=500 45× bare"; strings.TrimSpace(got) != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}
