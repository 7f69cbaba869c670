package caldav

import "strings"

// uidOf is the UID of a calendar object's first main component, unescaped; "" when there is none.
func uidOf(object string) string {
	depth, uid, open := 0, "", false
	for line := range strings.Lines(object) {
		line = strings.TrimRight(line, "\r\n")
		if line != "" && (line[0] == ' ' || line[0] == '\t') {
			if open {
				uid += line[1:]
			}
			continue
		}
		if open {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		name, _, _ = strings.Cut(name, ";")
		switch strings.ToUpper(name) {
		case "BEGIN":
			depth++
		case "END":
			depth--
		case "UID":
			if depth == 2 {
				uid, open = value, true
			}
		}
	}
	return unescape.Replace(uid)
}

var unescape = strings.NewReplacer(`\\`, `\`, `\,`, ",", `\;`, ";", `\n`, "\n", `\N`, "\n")
