package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// A panel is one figure of all rows of the chart.
type panel struct {
	title string
	value func(*result) float64
	text  func(*result) string
	log   bool // points on a logarithmic scale: a bar has no beginning there
}

var panels = []panel{
	{"instructions", func(x *result) float64 { return float64(x.stats.Length) },
		func(x *result) string { return fmt.Sprint(x.stats.Length) }, false},
	{"executed, uncached calls", func(x *result) float64 { return x.stats.MeanUncached },
		func(x *result) string { return fmt.Sprintf("%.1f", x.stats.MeanUncached) }, false},
	{"time to compile, logarithmic", func(x *result) float64 { return median(x.took) },
		func(x *result) string { return short(x.time()) }, true},
}

// The chart's measures, in pixels.
const (
	chartLabels = 250
	chartPanel  = 240
	chartBar    = 150 // the longest bar; the rest of a panel is for its figure
	chartTop    = 78
	chartRow    = 30
)

const chartStyle = `
  .back { fill: #ffffff; stroke: #d0d7de } .ink { fill: #1f2328 } .soft { fill: #59636e }
  .bar { fill: #a9b4c0 } .ours { fill: #0969da } .line { stroke: #d0d7de } .dots { stroke: #a9b4c0 } .ourline { stroke: #0969da }
  @media (prefers-color-scheme: dark) {
    .back { fill: #0d1117; stroke: #3d444d } .ink { fill: #f0f6fc } .soft { fill: #9198a1 }
    .bar { fill: #6e7781 } .ours { fill: #4493f8 } .line { stroke: #3d444d } .dots { stroke: #6e7781 } .ourline { stroke: #4493f8 }
  }
  text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif } .head { font-weight: 600; font-size: 15px }
`

// chart draws a section's programs, a row a compiler. It brings its own background, light or dark as the reader's is.
func chart(s *section) string {
	var rows []*result
	for _, x := range s.rows {
		if x.err == nil {
			rows = append(rows, x)
		}
	}
	width, height := chartLabels+len(panels)*chartPanel, chartTop+len(rows)*chartRow+14
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img" aria-labelledby="t">`,
		width, height)
	line(`<title id="t">%s: %s</title>`, html.EscapeString(s.title), summary(rows))
	line("<style>%s</style>", chartStyle)
	line(`<rect class="back" x="0.5" y="0.5" width="%d" height="%d" rx="6"/>`, width-1, height-1)
	line(`<text class="ink head" x="16" y="28">%s: less is better</text>`, html.EscapeString(s.title))
	for i, x := range rows {
		y := chartTop + i*chartRow
		name := x.name
		if !x.equal {
			name += " (wrong)"
		}
		line(`<text class="ink" x="16" y="%d">%s</text>`, y+15, html.EscapeString(name))
	}
	for i, p := range panels {
		p.draw(line, rows, chartLabels+i*chartPanel)
	}
	line("</svg>")
	return b.String()
}

// summary is the chart in words, for those who can't see it.
func summary(rows []*result) string {
	var said []string
	for _, x := range rows {
		said = append(said, html.EscapeString(fmt.Sprintf("%s %d instructions", x.name, x.stats.Length)))
	}
	return strings.Join(said, ", ")
}

func (p *panel) draw(line func(string, ...any), rows []*result, left int) {
	line(`<text class="soft" x="%d" y="58">%s</text>`, left, html.EscapeString(p.title))
	lo, hi := math.Inf(1), 0.0
	for _, x := range rows {
		lo, hi = min(lo, p.value(x)), max(hi, p.value(x))
	}
	line(`<line class="line" x1="%d" y1="%d" x2="%[1]d" y2="%[3]d"/>`, left, chartTop-6, chartTop+len(rows)*chartRow-4)
	for i, x := range rows {
		y := chartTop + i*chartRow
		fill, stroke := "bar", "dots"
		if x.name == monbanName || x.name == monbanRuncName {
			fill, stroke = "ours", "ourline"
		}
		w := p.value(x) / hi * chartBar
		if p.log {
			floor := math.Pow(10, math.Floor(math.Log10(lo))) // the power of ten below all
			w = math.Log(p.value(x)/floor) / math.Log(hi/floor) * chartBar
			line(`<line class="%s" x1="%d" y1="%d" x2="%.1f" y2="%[3]d" stroke-dasharray="1 3"/>`, stroke, left, y+10, float64(left)+w)
			line(`<circle class="%s" cx="%.1f" cy="%d" r="5"/>`, fill, float64(left)+w, y+10)
			w += 5
		} else {
			line(`<rect class="%s" x="%d" y="%d" width="%.1f" height="16" rx="2"/>`, fill, left, y+2, max(w, 1))
		}
		line(`<text class="ink" x="%.1f" y="%d">%s</text>`, float64(left)+w+6, y+15, p.text(x))
	}
}
