// plot draws messages a second and p99 against the number of clients and the
// size of a message. Its input has a point a line: the server, the size in
// bytes, the number of clients, messages a second, the p99 in milliseconds,
// and the number of errors, with tabs between them. A point with errors is
// left out.
package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

type point struct {
	server                   string
	size, clients, perS, p99 float64
}

// A panel is one of the four plots.
type panel struct {
	title  string
	filter func(point) bool
	x, y   func(point) float64
	unit   func(float64) string // of x
}

const (
	width, height = 380, 260
	left, top     = 60, 44
)

var colours = []string{"#1b6ca8", "#c8553d", "#588157", "#8d6a9f"}

func main() {
	points, err := read(os.Stdin)
	if err != nil || len(points) == 0 {
		fmt.Fprintln(os.Stderr, "plot: fatal: unable to read points:", err)
		os.Exit(111)
	}
	draw(os.Stdout, points)
}

func read(r io.Reader) ([]point, error) {
	var points []point
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) != 6 {
			return nil, fmt.Errorf("not a point: %s", lines.Text())
		}
		var n [5]float64
		for i, field := range fields[1:] {
			var err error
			if n[i], err = strconv.ParseFloat(field, 64); err != nil {
				return nil, err
			}
		}
		if n[4] == 0 {
			points = append(points, point{fields[0], n[0], n[1], n[2], n[3]})
		}
	}
	return points, lines.Err()
}

func draw(w io.Writer, points []point) {
	var servers []string
	for _, p := range points {
		if !slices.Contains(servers, p.server) {
			servers = append(servers, p.server)
		}
	}
	byClients := func(p point) bool { return p.size == 1024 && p.clients != 20 }
	bySize := func(p point) bool { return p.clients == 20 }
	perS := func(p point) float64 { return p.perS }
	p99 := func(p point) float64 { return p.p99 }
	clients := func(p point) float64 { return p.clients }
	size := func(p point) float64 { return p.size / 1024 }
	count := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	panels := []panel{
		{"messages/s of 1 KiB, by clients", byClients, clients, perS, count},
		{"p99 in ms of 1 KiB, by clients", byClients, clients, p99, count},
		{"messages/s of 20 clients, by KiB", bySize, size, perS, count},
		{"p99 in ms of 20 clients, by KiB", bySize, size, p99, count},
	}
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n",
		2*width, 2*height+30)
	fmt.Fprintf(w, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	for i, server := range servers {
		fmt.Fprintf(w, `<rect x="%d" y="10" width="12" height="12" fill="%s"/><text x="%d" y="20">%s</text>`+"\n",
			left+i*120, colours[i%len(colours)], left+18+i*120, server)
	}
	for i, panel := range panels {
		fmt.Fprintf(w, `<g transform="translate(%d,%d)">`+"\n", i%2*width, 30+i/2*height)
		panel.draw(w, points, servers)
		fmt.Fprintln(w, "</g>")
	}
	fmt.Fprintln(w, "</svg>")
}

// draw draws both axes logarithmic.
func (panel *panel) draw(w io.Writer, points []point, servers []string) {
	var xs, ys []float64
	for _, p := range points {
		if panel.filter(p) {
			xs, ys = append(xs, panel.x(p)), append(ys, panel.y(p))
		}
	}
	fmt.Fprintf(w, `<text x="%d" y="%d" font-weight="bold">%s</text>`+"\n", left, top-16, panel.title)
	if len(xs) == 0 {
		return
	}
	xMin, xMax := slices.Min(xs), slices.Max(xs)
	yMin, yMax := math.Pow(10, math.Floor(math.Log10(slices.Min(ys)))), math.Pow(10, math.Ceil(math.Log10(slices.Max(ys))))
	x := func(v float64) float64 {
		return left + (width-left-20)*math.Log(v/xMin)/math.Max(math.Log(xMax/xMin), 1e-9)
	}
	y := func(v float64) float64 {
		return height - 40 - (height-40-top)*math.Log(v/yMin)/math.Max(math.Log(yMax/yMin), 1e-9)
	}
	for v := yMin; v <= yMax*1.01; v *= 10 {
		fmt.Fprintf(w, `<path d="M%d %.1fH%d" stroke="#ccc"/><text x="%d" y="%.1f" text-anchor="end">%g</text>`+"\n",
			left, y(v), width-20, left-6, y(v)+4, v)
	}
	slices.Sort(xs)
	for _, v := range slices.Compact(xs) {
		fmt.Fprintf(w, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x(v), height-22, panel.unit(v))
	}
	for i, server := range servers {
		var line []point
		for _, p := range points {
			if p.server == server && panel.filter(p) {
				line = append(line, p)
			}
		}
		slices.SortFunc(line, func(a, b point) int { return int(panel.x(a)) - int(panel.x(b)) })
		path := ""
		for _, p := range line {
			path += fmt.Sprintf("%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[path == ""], x(panel.x(p)), y(panel.y(p)))
			fmt.Fprintf(w, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x(panel.x(p)), y(panel.y(p)), colours[i%len(colours)])
		}
		fmt.Fprintf(w, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path, colours[i%len(colours)])
	}
}
