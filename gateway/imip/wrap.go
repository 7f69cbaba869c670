package imip

import "strings"

const maxColumns = 90

// wrapped puts indent before every line, and breaks lines that are too long between words: at the left edge, and where a
// mail program would break a line by itself, stand no words but our own.
func wrapped(indent, text string) string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		out = append(out, broken(line, maxColumns-len(indent))...)
	}
	return indent + strings.Join(out, "\n"+indent)
}

// broken is a line as several of at most width runes, unless a word is longer.
func broken(line string, width int) []string {
	if len([]rune(line)) <= width {
		return []string{line}
	}
	var out []string
	used := width
	for word := range strings.FieldsSeq(line) {
		n := len([]rune(word))
		if used+1+n > width {
			out, used = append(out, word), n
			continue
		}
		out[len(out)-1] += " " + word
		used += 1 + n
	}
	return out
}

// quotation is a text of several lines, marked as not ours; of several blank lines in a row one is left.
func quotation(text string) string {
	for strings.Contains(text, "\n\n\n") {
		text = strings.ReplaceAll(text, "\n\n\n", "\n\n")
	}
	return wrapped("  | ", text)
}
