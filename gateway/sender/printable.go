package sender

import (
	"strings"
	"unicode/utf8"
)

// maxText bounds a text of a peer that we pass on, in bytes.
const maxText = 300

// control says whether r could steer a terminal or end a line: C0, DEL, C1, line and paragraph separators,
// and the directional overrides that make a text read as another one.
func control(r rune) bool {
	return r < ' ' || (r >= 0x7f && r <= 0x9f) || r == 0x2028 || r == 0x2029 || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069)
}

// printable returns a peer's text as one line of at most limit bytes.
func printable(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if control(r) {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}

// firstLine is the first line of a plain text.
func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// withoutControls drops control characters from calendar data, save those that iCalendar is made of.
func withoutControls(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		invalid := r == utf8.RuneError && size == 1
		if !invalid && (!control(r) || r == '\t' || r == '\r' || r == '\n') {
			out = append(out, data[:size]...)
		}
		data = data[size:]
	}
	return out
}
