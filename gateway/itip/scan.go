package itip

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// contentLine is one unfolded content line (RFC 5545 §3.1). Its strings are parts of the scanner's text.
type contentLine struct {
	text   string // all of it
	name   string // upper-case
	params string // as written, from the first ";", "" when there are none
	value  string
	num    int // 1-based number of its first physical line

	start, end int // where it stands in the source, line end included

	// The parameters that decide how the line is read, unquoted; "" when absent.
	valueType, tzid, partStat, rng, encoding, fbType string
}

// scanner splits a message into content lines and enforces their grammar. One allocation for the unfolded text, however
// many lines there are: pieces of strings.Builder's buffer stay valid because it is never grown again.
type scanner struct {
	src  []byte
	pos  int
	num  int // physical lines read
	n    int // content lines read
	text strings.Builder
	lim  Limits
}

func (s *scanner) init(src []byte, lim Limits) *Error {
	s.src, s.lim = src, lim
	if len(src) > lim.MaxBytes {
		return tooLarge("message-bytes", 0, "message longer than allowed")
	}
	s.text.Grow(len(src))
	return nil
}

// next reads one content line into l. It reports false at the end of the source.
func (s *scanner) next(l *contentLine) (bool, *Error) {
	if s.pos >= len(s.src) {
		return false, nil
	}
	*l = contentLine{num: s.num + 1, start: s.pos}
	text, err := s.unfold(l)
	if err != nil {
		return false, err
	}
	if text == "" {
		if len(bytes.Trim(s.src[s.pos:], "\r\n")) == 0 { // blank lines after the object do no harm
			s.pos = len(s.src)
			return false, nil
		}
		return false, syntax("empty-line", l.num, "empty content line")
	}
	if s.n++; s.n > s.lim.MaxLines {
		return false, tooLarge("message-lines", l.num, "too many content lines")
	}
	if err := l.parse(text, s.lim.MaxParamBytes); err != nil {
		return false, err
	}
	if len(text) > s.lim.MaxLineBytes && !l.inline() {
		return false, tooLarge("line-bytes", l.num, "content line longer than allowed")
	}
	return true, nil
}

// unfold joins the physical lines of the content line that starts at s.pos, checks their characters, and leaves
// s.pos behind them. A fold may split a UTF-8 sequence, so validity is checked afterwards.
func (s *scanner) unfold(l *contentLine) (string, *Error) {
	from := s.text.Len()
	high := false
	for first := true; ; first = false {
		piece, size := s.src[s.pos:], len(s.src)-s.pos
		if i := bytes.IndexByte(piece, '\n'); i >= 0 {
			piece, size = piece[:i], i+1
			if i > 0 && piece[i-1] == '\r' {
				piece = piece[:i-1]
			}
		}
		s.pos += size
		s.num++
		if first {
			if len(piece) > 0 && (piece[0] == ' ' || piece[0] == '\t') {
				return "", syntax("fold", s.num, "continuation without a line before it")
			}
		} else {
			piece = piece[1:]
		}
		class := classify(piece)
		if class&hasControl != 0 {
			return "", syntax("control-character", s.num, "control character")
		}
		high = high || class&hasHigh != 0
		_, _ = s.text.Write(piece)
		if s.pos >= len(s.src) || (s.src[s.pos] != ' ' && s.src[s.pos] != '\t') {
			break
		}
	}
	l.end = s.pos
	text := s.text.String()[from:]
	if high && !utf8.ValidString(text) {
		return "", syntax("utf-8", l.num, "not UTF-8")
	}
	return text, nil
}

const (
	hasControl = 1 << iota // a control character other than HTAB (a bare CR among them)
	hasHigh                // an octet outside ASCII
)

// classify looks at eight octets at a time: nearly all lines are plain ASCII.
func classify(b []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	class := 0
	for len(b) >= 8 {
		w := binary.LittleEndian.Uint64(b)
		// A high bit appears where an octet is above 0x7F, below 0x20, or 0x7F.
		del := w ^ ones*0x7F
		if (w|(w-ones*0x20)|(del-ones))&highs != 0 {
			class |= classifySlow(b[:8])
		}
		b = b[8:]
	}
	return class | classifySlow(b)
}

func classifySlow(b []byte) int {
	class := 0
	for _, c := range b {
		switch {
		case c >= 0x80:
			class |= hasHigh
		case c < 0x20 && c != '\t', c == 0x7F:
			class |= hasControl
		}
	}
	return class
}

// parse splits an unfolded line into name, parameters and value (RFC 5545 §3.1).
func (l *contentLine) parse(text string, maxParam int) *Error {
	l.text = text
	i, lower := 0, false
	for i < len(text) && isNameByte(text[i]) {
		lower = lower || text[i] >= 'a'
		i++
	}
	if i == 0 || i == len(text) {
		return syntax("line-name", l.num, "no property name")
	}
	l.name = text[:i]
	if lower {
		l.name = strings.ToUpper(l.name)
	}
	at := i
	for text[i] == ';' {
		var err *Error
		if i, err = l.parseParam(text, i+1, maxParam); err != nil {
			return err
		}
	}
	if text[i] != ':' {
		return syntax("line-name", l.num, "unexpected character after the property name")
	}
	l.params, l.value = text[at:i], text[i+1:]
	return nil
}

// parseParam reads one parameter that starts at i and returns where it ends; the octet there exists.
func (l *contentLine) parseParam(text string, i, maxParam int) (int, *Error) {
	from := i
	for i < len(text) && isNameByte(text[i]) {
		i++
	}
	if i == from || i == len(text) || text[i] != '=' {
		return 0, syntax("parameter-name", l.num, "malformed parameter name")
	}
	name := text[from:i]
	i++
	from = i
	for {
		one := i
		if i < len(text) && text[i] == '"' {
			j := strings.IndexByte(text[i+1:], '"')
			if j < 0 {
				return 0, syntax("parameter-quote", l.num, "unclosed quoted parameter value")
			}
			i += j + 2
		} else {
			for i < len(text) && text[i] != '"' && text[i] != ';' && text[i] != ':' && text[i] != ',' {
				i++
			}
		}
		if i-one > maxParam {
			return 0, tooLarge("parameter-bytes", l.num, "parameter value longer than allowed")
		}
		if i == len(text) {
			return 0, syntax("line-value", l.num, "no value")
		}
		switch text[i] {
		case ',':
			i++
			continue
		case ';', ':':
			return i, l.setParam(name, text[from:i])
		}
		return 0, syntax("parameter-quote", l.num, "quote inside a parameter value")
	}
}

// setParam keeps the parameters that we act on. One of those twice could be read differently by us and by the calendar
// behind us, so it is refused.
func (l *contentLine) setParam(name, value string) *Error {
	var to *string
	switch len(name) {
	case 4:
		if strings.EqualFold(name, "TZID") {
			to = &l.tzid
		}
	case 5:
		switch {
		case strings.EqualFold(name, "VALUE"):
			to = &l.valueType
		case strings.EqualFold(name, "RANGE"):
			to = &l.rng
		}
	case 6:
		if strings.EqualFold(name, "FBTYPE") {
			to = &l.fbType
		}
	case 8:
		switch {
		case strings.EqualFold(name, "PARTSTAT"):
			to = &l.partStat
		case strings.EqualFold(name, "ENCODING"):
			to = &l.encoding
		}
	}
	if to == nil {
		return nil
	}
	if *to != "" {
		return syntax("parameter-repeated", l.num, "parameter given twice")
	}
	*to = unquote(value)
	return nil
}

// inline says whether the value is data and not text or a reference: binary (RFC 5545 §3.1.3), or a data: URI where others
// would be fetched.
func (l *contentLine) inline() bool {
	if l.valueType != "" && strings.EqualFold(l.valueType, "BINARY") || l.encoding != "" && strings.EqualFold(l.encoding, "BASE64") {
		return true
	}
	return (l.name == "ATTACH" || l.name == "IMAGE") && len(l.value) >= 5 && strings.EqualFold(l.value[:5], "data:")
}

func unquote(v string) string {
	if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
		return v[1 : len(v)-1]
	}
	return v
}

func isNameByte(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-'
}
