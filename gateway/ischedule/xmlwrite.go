package ischedule

import (
	"bytes"
	"unicode/utf8"
)

// xmlWriter writes the small documents of this package, indented, in the default namespace.
type xmlWriter struct {
	b     bytes.Buffer
	depth int
}

func newXMLWriter() *xmlWriter {
	x := new(xmlWriter)
	x.b.WriteString("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n")
	return x
}

func (x *xmlWriter) bytes() []byte { return x.b.Bytes() }

// start writes an open tag without its closing bracket. attrs are names and values in turn.
func (x *xmlWriter) start(name string, attrs []string) {
	for range x.depth {
		x.b.WriteString("  ")
	}
	x.b.WriteByte('<')
	x.b.WriteString(name)
	for i := 0; i+1 < len(attrs); i += 2 {
		x.b.WriteByte(' ')
		x.b.WriteString(attrs[i])
		x.b.WriteString(`="`)
		x.escape(attrs[i+1])
		x.b.WriteByte('"')
	}
}

func (x *xmlWriter) open(name string, attrs ...string) {
	x.start(name, attrs)
	x.b.WriteString(">\n")
	x.depth++
}

func (x *xmlWriter) close(name string) {
	x.depth--
	for range x.depth {
		x.b.WriteString("  ")
	}
	x.end(name)
}

func (x *xmlWriter) end(name string) {
	x.b.WriteString("</")
	x.b.WriteString(name)
	x.b.WriteString(">\n")
}

func (x *xmlWriter) empty(name string, attrs ...string) {
	x.start(name, attrs)
	x.b.WriteString("/>\n")
}

// text writes an element with text, an empty one when there is none.
func (x *xmlWriter) text(name, text string) {
	if text == "" {
		x.empty(name)
		return
	}
	x.start(name, nil)
	x.b.WriteByte('>')
	x.escape(text)
	x.end(name)
}

// escape writes character data. What XML forbids even as a reference is dropped, octets that are no
// UTF-8 become U+FFFD, and CR is written as a reference so that the CRLFs of calendar data survive
// the reader's line-end normalisation (XML 1.0 §2.11).
func (x *xmlWriter) escape(s string) {
	for len(s) > 0 {
		n := 0
		for n < len(s) && plain[s[n]] {
			n++
		}
		x.b.WriteString(s[:n])
		if s = s[n:]; s == "" {
			return
		}
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == '&':
			x.b.WriteString("&amp;")
		case r == '<':
			x.b.WriteString("&lt;")
		case r == '>':
			x.b.WriteString("&gt;")
		case r == '"':
			x.b.WriteString("&quot;")
		case r == '\r':
			x.b.WriteString("&#13;")
		case allowedInXML(r):
			x.b.WriteRune(r)
		}
		s = s[size:]
	}
}

// plain are the octets that need no second look in character data.
var plain = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '&' && c != '<' && c != '>' && c != '"' && c != 0x7f
	}
	t['\t'], t['\n'] = true, true
	return t
}()

// allowedInXML is XML 1.0 §2.2, less the C1 controls and DEL, which it discourages.
func allowedInXML(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' ||
		r >= 0x20 && r < 0x7f || r > 0x9f && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000 && r <= 0x10ffff
}
