package itip

import "unicode/utf8"

const foldAt = 75 // octets of a physical line without its end; RFC 5545 §3.1

// Fold writes one content line (without line end) folded at 75 octets, never inside a UTF-8 sequence, with CRLF.
// RFC 5545 §3.1.
func Fold(dst []byte, line string) []byte {
	for room := foldAt; len(line) > room; room = foldAt - 1 { // continuations begin with a blank
		cut := room
		for cut > room-utf8.UTFMax && !utf8.RuneStart(line[cut]) {
			cut--
		}
		if !utf8.RuneStart(line[cut]) { // not UTF-8: nothing to keep whole
			cut = room
		}
		dst = append(dst, line[:cut]...)
		dst = append(dst, "\r\n "...)
		line = line[cut:]
	}
	dst = append(dst, line...)
	return append(dst, "\r\n"...)
}
