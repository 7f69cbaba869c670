package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// chart draws busy times, one bar for each attendee, under a scale of local time.
type chart struct {
	from, to time.Time
	zone     *time.Location
	width    int // columns of the terminal
	glyphs   glyphs
}

// glyphs are what bars are made of.
type glyphs struct{ free, busy, tentative, unavailable, unknown, tick, rule, more string }

var (
	unicodeGlyphs = glyphs{free: "·", busy: "█", tentative: "▒", unavailable: "░", unknown: "?", tick: "┬", rule: "─", more: "…"}
	asciiGlyphs   = glyphs{free: ".", busy: "#", tentative: "~", unavailable: "x", unknown: "?", tick: "+", rule: "-", more: "~"}
)

// terminalGlyphs asks the locale, as every terminal program does.
func terminalGlyphs() glyphs {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := os.Getenv(name); locale != "" {
			locale = strings.ToLower(locale)
			if strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8") {
				return unicodeGlyphs
			}
			break
		}
	}
	return asciiGlyphs
}

// terminalWidth is $COLUMNS within reason, 80 without it.
func terminalWidth() int {
	n, err := strconv.Atoi(os.Getenv("COLUMNS"))
	if err != nil {
		return 80
	}
	return min(max(n, 40), 200)
}

const maxLabel = 28

func (c *chart) print(w io.Writer, attendees []attendeeReport) error {
	label := 0
	for _, a := range attendees {
		label = max(label, min(utf8.RuneCountInString(shown(a.Address)), maxLabel, c.width/3))
	}
	cells := c.width - label - 2
	out := bufio.NewWriter(w)
	g := c.glyphs
	_, _ = fmt.Fprintf(out, "%s\n%s busy  %s tentative  %s away  %s free\n\n", c.title(), g.busy, g.tentative, g.unavailable, g.free)
	labels, ruler := c.scale(cells)
	_, _ = fmt.Fprintf(out, "%s\n", strings.TrimRight(strings.Repeat(" ", label+2)+labels, " "))
	_, _ = fmt.Fprintf(out, "%s%s\n", strings.Repeat(" ", label+2), ruler)
	for _, a := range attendees {
		name := cut(shown(a.Address), label, c.glyphs.more)
		_, _ = fmt.Fprintf(out, "%s%s  %s\n", name, strings.Repeat(" ", label-utf8.RuneCountInString(name)), c.bar(a, cells))
	}
	for _, a := range attendees {
		_, _ = fmt.Fprintf(out, "\n%s\n", shown(a.Address))
		c.list(out, a)
	}
	return out.Flush()
}

func (c *chart) title() string {
	from, to := c.from.In(c.zone), c.to.In(c.zone)
	end := to.Format("15:04 MST")
	if from.YearDay() != to.YearDay() || from.Year() != to.Year() {
		end = to.Format("Mon 2 Jan 2006, 15:04 MST")
	}
	return from.Format("Mon 2 Jan 2006, 15:04") + " to " + end
}

// list writes the ranges in words.
func (c *chart) list(w io.Writer, a attendeeReport) {
	if !a.Answered {
		text := strings.TrimSpace(a.Status + " " + a.Meaning)
		if a.Description != "" {
			text += ": " + a.Description
		}
		_, _ = fmt.Fprintf(w, "  no answer: %s\n", printable(text))
		return
	}
	if len(a.Periods) == 0 {
		_, _ = fmt.Fprintln(w, "  free all the time")
		return
	}
	oneDay := c.from.In(c.zone).Format(time.DateOnly) == c.to.Add(-time.Nanosecond).In(c.zone).Format(time.DateOnly)
	for _, p := range a.Periods {
		start, end := p.Start.In(c.zone), p.End.In(c.zone)
		from, to := start.Format("15:04"), end.Format("15:04")
		if !oneDay {
			from = start.Format("Mon 2 Jan 15:04")
			if start.Format(time.DateOnly) != end.Format(time.DateOnly) {
				to = end.Format("Mon 2 Jan 15:04")
			}
		}
		_, _ = fmt.Fprintf(w, "  %s - %s  %s\n", from, to, inWords(p.Type))
	}
}

func inWords(kind string) string {
	switch kind {
	case "BUSY-TENTATIVE":
		return "tentative"
	case "BUSY-UNAVAILABLE":
		return "away"
	}
	return "busy" // RFC 5545 §3.2.9: what is not known means BUSY
}

// bar paints each cell with the strongest thing that touches it.
func (c *chart) bar(a attendeeReport, cells int) string {
	if !a.Answered {
		return strings.Repeat(c.glyphs.unknown, cells)
	}
	strength := make([]int, cells)
	for _, p := range a.Periods {
		s := 3
		switch p.Type {
		case "BUSY-TENTATIVE":
			s = 1
		case "BUSY-UNAVAILABLE":
			s = 2
		}
		first, last := c.cell(p.Start, cells), c.cell(p.End.Add(-time.Nanosecond), cells)
		for i := max(first, 0); i <= min(last, cells-1); i++ {
			strength[i] = max(strength[i], s)
		}
	}
	paint := []string{c.glyphs.free, c.glyphs.tentative, c.glyphs.unavailable, c.glyphs.busy}
	var b strings.Builder
	for _, s := range strength {
		b.WriteString(paint[s])
	}
	return b.String()
}

func (c *chart) cell(t time.Time, cells int) int {
	return int(float64(cells) * (float64(t.Sub(c.from)) / float64(c.to.Sub(c.from))))
}

// scale is a line of labels over a ruler with ticks at round local times.
func (c *chart) scale(cells int) (labels, ruler string) {
	text := []rune(strings.Repeat(" ", cells))
	line := make([]string, cells)
	for i := range line {
		line[i] = c.glyphs.rule
	}
	next := 0
	for t := range c.ticks(cells) {
		at := c.cell(t, cells)
		if at < 0 || at >= cells {
			continue
		}
		line[at] = c.glyphs.tick
		label := []rune(c.tickLabel(t))
		if at < next || at+len(label) > cells {
			continue
		}
		copy(text[at:], label)
		next = at + len(label) + 1
	}
	return string(text), strings.Join(line, "")
}

// tickLabel is the time of day, or the day where one begins in a range of several.
func (c *chart) tickLabel(t time.Time) string {
	t = t.In(c.zone)
	if t.Hour() == 0 && t.Minute() == 0 && c.to.Sub(c.from) > 24*time.Hour {
		return t.Format("2 Jan")
	}
	return t.Format("15:04")
}

// ticks yields round local times that leave room for their labels.
func (c *chart) ticks(cells int) func(func(time.Time) bool) {
	const room = 7 // columns
	least := time.Duration(float64(c.to.Sub(c.from)) * room / float64(max(cells, 1)))
	step := 7 * 24 * time.Hour
	for least > step {
		step *= 2
	}
	for _, s := range []time.Duration{15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 4 * time.Hour,
		6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 48 * time.Hour, 96 * time.Hour} {
		if s >= least {
			step = s
			break
		}
	}
	from := c.from.In(c.zone)
	return func(yield func(time.Time) bool) {
		// by the wall clock of each day, so that ticks stay round over a change of daylight saving
		for day := 0; ; {
			midnight := time.Date(from.Year(), from.Month(), from.Day()+day, 0, 0, 0, 0, c.zone)
			if !midnight.Before(c.to) {
				return
			}
			for at := time.Duration(0); at < 24*time.Hour; at += min(step, 24*time.Hour) {
				t := time.Date(midnight.Year(), midnight.Month(), midnight.Day(), 0, int(at/time.Minute), 0, 0, c.zone)
				skipped := time.Duration(t.Hour())*time.Hour+time.Duration(t.Minute())*time.Minute != at // by daylight saving
				if skipped || t.Before(c.from) || !t.Before(c.to) {
					continue
				}
				if !yield(t) {
					return
				}
			}
			day += max(int(step/(24*time.Hour)), 1)
		}
	}
}

// shown is an address as people know it.
func shown(address string) string {
	if scheme, rest, ok := strings.Cut(address, ":"); ok && strings.EqualFold(scheme, "mailto") {
		address = rest
	}
	return printable(address)
}

// fit cuts s to n columns.
func fit(s string, n int) string { return cut(s, n, "…") }

// cut cuts s to n columns, and lets more, of one column, say so.
func cut(s string, n int, more string) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + more
}
