package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// teller prints the story: with colours to a terminal, plain to everything else.
type teller struct {
	out    io.Writer
	color  bool
	glyphs glyphs
	ok, no string
	step   int
}

func newTeller(out io.Writer) *teller {
	t := &teller{out: out, color: isTerminal(out) && os.Getenv("NO_COLOR") == "", glyphs: terminalGlyphs(), ok: "✓", no: "✗"}
	if t.glyphs == asciiGlyphs {
		t.ok, t.no = "ok", "FAILED"
	}
	return t
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// The few styles there are: ANSI SGR parameters.
const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
	cyan  = "36"
)

func (t *teller) style(sgr, s string) string {
	if !t.color || s == "" {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}

func (t *teller) line(s string) { _, _ = fmt.Fprintln(t.out, strings.TrimRight(s, " ")) }

// chapter begins a numbered step.
func (t *teller) chapter(title string) {
	t.step++
	t.line("")
	t.line(t.style(bold, fmt.Sprintf("%2d  %s", t.step, title)))
}

// say is plain narration.
func (t *teller) say(format string, args ...any) {
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		t.line("    " + line)
	}
}

// quote shows what a machine wrote: a wire, a calendar.
func (t *teller) quote(text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		t.line("      " + t.style(cyan, printable(line)))
	}
}

// right says that something is as it should be.
func (t *teller) right(format string, args ...any) {
	t.line("    " + t.style(green, t.ok) + " " + fmt.Sprintf(format, args...))
}

// expect says what is right, or returns what is not.
func (t *teller) expect(as bool, what string, otherwise string, args ...any) error {
	if !as {
		return fmt.Errorf("expected: %s; but "+otherwise, append([]any{what}, args...)...)
	}
	t.right("%s", what)
	return nil
}

func (t *teller) fail(err error) {
	t.line("    " + t.style(red, t.no+" "+printable(err.Error())))
}

func (t *teller) end(took time.Duration) {
	t.line("")
	t.line(t.style(bold, fmt.Sprintf("All %d steps went as they should, in %.1f s.", t.step, took.Seconds())))
}

// short cuts a long field value for the eye.
func short(s string, n int) string { return fit(strings.TrimSpace(s), n) }
