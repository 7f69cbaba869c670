package probe

import (
	"strings"
	"unicode"
)

// maxText bounds what a report quotes of a stranger's answer, in runes.
const maxText = 600

// printable keeps what others wrote from steering a terminal, in one line of bounded length.
func printable(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }), " ")
	if runes := []rune(s); len(runes) > maxText {
		return string(runes[:maxText]) + "…"
	}
	return s
}
