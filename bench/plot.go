package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// The plots are plain SVG: a white card, so that they read on any page.

const (
	plotWidth  = 860
	plotHeight = 420
	leftMargin = 64
	topMargin  = 48
	rightSpace = 200 // for the legend
	footSpace  = 48
)

// hues are told apart by those who see fewer colours, too (Okabe and Ito).
var hues = []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999", "#000000"}

// An svg is a picture in the making.
type svg struct{ strings.Builder }

func newSVG(title string, height int) *svg {
	s := &svg{}
	fmt.Fprintf(s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="12" fill="#333">`+"\n", plotWidth, height)
	fmt.Fprintf(s, `<rect width="%d" height="%d" rx="6" fill="#fff"/>`+"\n", plotWidth, height)
	s.text(leftMargin, 26, "start", `font-size="15" font-weight="600"`, title)
	return s
}

func (s *svg) text(x, y float64, anchor, more, content string) {
	fmt.Fprintf(s, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, more, html.EscapeString(content))
}

func (s *svg) line(x1, y1, x2, y2 float64, style string) {
	fmt.Fprintf(s, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>`+"\n", x1, y1, x2, y2, style)
}

func (s *svg) end() string {
	s.WriteString("</svg>\n")
	return s.String()
}

// plotStarts draws what share of the cold starts took how long at most; ""
// when none was measured.
func plotStarts(all []distribution) string {
	var shown []distribution
	for _, d := range all {
		again := d.Name == bareName && d.Scenario != "cold"
		if d.Unit == "ms" && !again && len(d.Points) > 1 && d.Points[0] > 0 {
			shown = append(shown, d)
		}
	}
	if len(shown) == 0 {
		return ""
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, d := range shown {
		low, high = min(low, float64(d.Points[0])), max(high, float64(slices.Max(d.Points)))
	}
	low, high = math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)))
	if high <= low {
		high = low * 10
	}
	s := newSVG("Cold starts: request to response, share answered within", plotHeight)
	const right, bottom = plotWidth - rightSpace, plotHeight - footSpace
	x := func(v float64) float64 {
		return leftMargin + (right-leftMargin)*math.Log10(v/low)/math.Log10(high/low)
	}
	y := func(share float64) float64 { return bottom - (bottom-topMargin)*share }
	for share := 0.0; share <= 1; share += 0.25 {
		s.line(leftMargin, y(share), right, y(share), `stroke="#ddd"`)
		s.text(leftMargin-8, y(share)+4, "end", "", fmt.Sprintf("%.0f %%", share*100))
	}
	for decade := low; decade <= high*1.001; decade *= 10 {
		for _, step := range []float64{1, 2, 5} {
			if v := decade * step; v <= high*1.001 {
				s.line(x(v), topMargin, x(v), bottom, `stroke="#ddd"`)
				s.text(x(v), bottom+18, "middle", "", digits(v))
			}
		}
	}
	s.text((leftMargin+right)/2, plotHeight-10, "middle", "", "milliseconds")
	for i, d := range shown {
		style := fmt.Sprintf(`stroke="%s" stroke-width="2" fill="none"`, hues[i%len(hues)])
		if d.Scenario == "cold-empty" {
			style += ` stroke-dasharray="5 3"`
		}
		var path []string
		for k, v := range d.Points {
			path = append(path, fmt.Sprintf("%.1f,%.1f", x(float64(v)), y(float64(k)/float64(len(d.Points)-1))))
		}
		fmt.Fprintf(s, `<polyline points="%s" %s/>`+"\n", strings.Join(path, " "), style)
		at := float64(topMargin + 20*i)
		s.line(right+16, at+8, right+40, at+8, style)
		s.text(right+48, at+12, "start", "", d.Name)
	}
	return s.end()
}

// plotThroughput draws the figures of the scenario "throughput" as bars, with
// a mark where a target is; "" when there are none.
func plotThroughput(all []figure) string {
	var shown []figure
	top := 0.0
	for _, f := range all {
		if f.Scenario == "throughput" && f.Unit == "/s" && !math.IsNaN(float64(f.Value)) {
			shown = append(shown, f)
			top = max(top, float64(f.Value))
			if f.Target != nil {
				top = max(top, f.Target.Bound)
			}
		}
	}
	if len(shown) == 0 || top == 0 {
		return ""
	}
	const bar, left, right = 34, 170, plotWidth - 90
	s := newSVG("Warm invocations a second, 8 connections", topMargin+bar*len(shown)+24)
	x := func(v float64) float64 { return left + (right-left)*v/top }
	for i, f := range shown {
		y := float64(topMargin + bar*i)
		hue := hues[0]
		switch {
		case f.Name == bareName:
			hue = "#999"
		case strings.Contains(f.Name, ","): // a peer, with its language
			hue = hues[1]
		}
		s.text(left-10, y+17, "end", "", f.Name)
		fmt.Fprintf(s, `<rect x="%d" y="%.1f" width="%.1f" height="%d" fill="%s"/>`+"\n", left, y, x(float64(f.Value))-left, bar-12, hue)
		s.text(x(float64(f.Value))+8, y+16, "start", "", f.Value.String())
		if f.Target != nil {
			s.line(x(f.Target.Bound), y-3, x(f.Target.Bound), y+bar-9, `stroke="#d55e00" stroke-width="2" stroke-dasharray="3 2"`)
		}
	}
	s.text(left, float64(topMargin+bar*len(shown)+10), "start", `font-size="11"`, "dashed: the target")
	return s.end()
}
