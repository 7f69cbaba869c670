package itip

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// blanks are letters and signs that nobody sees: a row of them pushes what follows out of sight.
const blanks = "\u115f\u1160\u2800\u3164\uffa0"

// cleanText is text for people's eyes: control characters go, and so do those that nobody sees but that turn the reading
// direction around. More than limit runes are cut, with "…" in their place.
func cleanText(s string, limit int) string {
	var b strings.Builder
	n := 0
	for _, r := range strings.TrimSpace(s) {
		switch {
		case r == '\u2028' || r == '\u2029':
			r = '\n'
		case r == '\n':
		case r == '\t':
			r = ' '
		case r == '\u200c' || r == '\u200d': // joiners: scripts and emoji need them
		case strings.ContainsRune(blanks, r):
			continue
		case r == utf8.RuneError || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs):
			continue
		}
		if n++; n > limit {
			return strings.TrimSpace(b.String()) + "…"
		}
		_, _ = b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// cleanLine is cleanText in one line, without runs of blanks.
func cleanLine(s string, limit int) string {
	if len(s) > 8*limit { // whatever stands there, enough of it is left
		s = strings.ToValidUTF8(s[:8*limit], "")
	}
	return cleanText(strings.Join(strings.Fields(s), " "), limit)
}

// unescapeParam undoes RFC 6868.
func unescapeParam(s string) string {
	if !strings.Contains(s, "^") {
		return s
	}
	return strings.NewReplacer("^^", "^", "^n", "\n", "^'", `"`).Replace(s)
}

// upperToken is an enumerated value in upper case, "" for what is none.
func upperToken(s string) string {
	if len(s) > maxName {
		return ""
	}
	return componentName(s)
}

// zoneLabel is a TZID for people: without the database's name before it, as in /example.com/2026/Europe/Berlin.
func zoneLabel(tzid string) string {
	if strings.HasPrefix(tzid, "/") {
		if parts := strings.Split(tzid, "/"); len(parts) > 2 {
			tzid = strings.Join(parts[len(parts)-2:], "/")
		}
	}
	return cleanLine(tzid, maxName)
}

// link is a property that holds a web address, "" for any other URI, and for one that begins with the name of somebody who logs
// in: it looks like the address of another host.
func (c *node) link(name string) string {
	p := c.first(name)
	if p == nil || len(p.value) > maxLink {
		return ""
	}
	scheme, rest, ok := strings.Cut(p.value, "://")
	if !ok || !strings.EqualFold(scheme, "https") && !strings.EqualFold(scheme, "http") {
		return ""
	}
	if host := strings.FieldsFunc(rest+"/", func(r rune) bool { return strings.ContainsRune(`/?#\`, r) }); len(host) == 0 || strings.Contains(host[0], "@") {
		return ""
	}
	if strings.ContainsFunc(p.value, func(r rune) bool { return r <= ' ' || r == '<' || r == '>' || !unicode.IsPrint(r) }) {
		return ""
	}
	return p.value
}
