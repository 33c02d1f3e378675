// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
)

// The plot has a bar for each row, from 1, on a logarithmic scale, and a mark where its target is: as make bench draws it.
const (
	plotLeft  = 300.0 // of the axis, in pixels: titles are to the left of it
	plotWidth = 560.0 // of the axis
	plotRight = 160.0 // of it: figures
	plotTop   = 70.0
	plotStep  = 22.0 // from row to row
	plotLeast = 0.05 // ratios at the ends of the axis
	plotMost  = 64.0

	colourMet   = "#2a7f62"
	colourShort = "#c2571a"
)

func plotX(ratio float64) float64 {
	part := math.Log(min(max(ratio, plotLeast), plotMost)/plotLeast) / math.Log(plotMost/plotLeast)
	return plotLeft + part*plotWidth
}

func (r *report) plot(path string) error {
	var svg bytes.Buffer
	bottom := plotTop + plotStep*float64(len(r.lines))
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" font-family="sans-serif" font-size="12">`+"\n",
		plotLeft+plotWidth+plotRight, bottom+30)
	svg.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	fmt.Fprintf(&svg, `<text x="20" y="28" font-size="16">Tarn to the best of bbolt, Badger and Pebble, in Go</text>`+"\n")
	fmt.Fprintf(&svg, `<text x="20" y="48" fill="#555">records or scans a second; black marks are targets</text>`+"\n")
	for _, tick := range []float64{0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50} {
		fmt.Fprintf(&svg, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#ddd"/><text x="%.1f" y="%.1f" text-anchor="middle" fill="#555">%g</text>`+"\n",
			plotX(tick), plotTop-6, plotX(tick), bottom, plotX(tick), bottom+18, tick)
	}
	for i, l := range r.lines {
		l.bar(&svg, plotTop+plotStep*float64(i))
	}
	svg.WriteString("</svg>\n")
	return os.WriteFile(path, svg.Bytes(), 0o644)
}

func (l line) bar(svg *bytes.Buffer, y float64) {
	fmt.Fprintf(svg, `<text x="%.1f" y="%.1f" text-anchor="end">%s</text>`+"\n", plotLeft-10, y+12, l.row.title)
	ratio := l.ratio()
	if ratio == 0 {
		return
	}
	colour := colourShort
	if ratio >= l.row.target {
		colour = colourMet
	}
	from, to := min(plotX(1), plotX(ratio)), max(plotX(1), plotX(ratio))
	fmt.Fprintf(svg, `<rect x="%.1f" y="%.1f" width="%.1f" height="14" fill="%s"/>`+"\n", from, y, max(to-from, 1), colour)
	fmt.Fprintf(svg, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="black" stroke-width="2"/>`+"\n",
		plotX(l.row.target), y-2, plotX(l.row.target), y+16)
	_, _, best := l.rates()
	fmt.Fprintf(svg, `<text x="%.1f" y="%.1f">%.2f (%s)</text>`+"\n", plotLeft+plotWidth+10, y+12, ratio, best)
}
