package ischedule

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds on the documents of peers: IS-CAP-8, IS-SEND-5.
const (
	maxDepth       = 32    // nested elements
	maxElements    = 50000 // of one document
	maxToken       = MaxCalendarDataBytes + 4<<10
	maxDescription = 512 // octets of a text that is passed on to people
)

// ErrDocument means that a body is not the XML document that was expected. Errors that wrap it say why
// and where, and never repeat what the peer sent.
var ErrDocument = errors.New("not a usable iSchedule document")

// element is one element of a document read whole. Its text is that of itself and all below it.
type element struct {
	space, name string
	attrs       []xml.Attr
	children    []*element
	start, end  int // its text in text.b
	text        *textBuffer
}

type textBuffer struct{ b []byte }

// parseXML reads a document of at most limit octets into a tree: no DTD, hence no entities of its own, bounded depth and
// count. What follows the root element is not looked at.
func parseXML(body []byte, limit int) (*element, error) {
	if len(body) > limit {
		return nil, fmt.Errorf("%w: larger than %d octets", ErrDocument, limit)
	}
	body = withoutControls(bytes.TrimPrefix(body, []byte("\uFEFF")))
	source := &tokenReader{rest: body}
	d := xml.NewDecoder(source)
	text := new(textBuffer)
	var stack []*element
	for count := 0; ; {
		source.read = 0
		token, err := d.Token()
		if err != nil {
			if errors.Is(err, io.EOF) && len(stack) == 0 {
				return nil, fmt.Errorf("%w: no root element", ErrDocument)
			}
			line, _ := d.InputPos()
			return nil, fmt.Errorf("%w: not well-formed XML at line %d", ErrDocument, line)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if count++; count > maxElements || len(stack) >= maxDepth {
				return nil, fmt.Errorf("%w: too many or too deeply nested elements", ErrDocument)
			}
			e := &element{space: t.Name.Space, name: t.Name.Local, attrs: t.Attr, start: len(text.b), text: text}
			if n := len(stack); n > 0 {
				stack[n-1].children = append(stack[n-1].children, e)
			}
			stack = append(stack, e)
		case xml.EndElement:
			last := stack[len(stack)-1]
			last.end = len(text.b)
			if stack = stack[:len(stack)-1]; len(stack) == 0 {
				return last, nil
			}
		case xml.CharData:
			if len(stack) > 0 {
				text.b = append(text.b, t...)
			} else if len(bytes.TrimSpace(t)) > 0 {
				return nil, fmt.Errorf("%w: text before the root element", ErrDocument)
			}
		case xml.Directive:
			return nil, fmt.Errorf("%w: a document type declaration", ErrDocument)
		}
	}
}

// tokenReader feeds the decoder and ends a token that grows beyond all measure: a tag's attributes take many times its own
// size in memory.
type tokenReader struct {
	rest []byte
	read int // octets of this token
}

var errToken = errors.New("token too long")

func (r *tokenReader) ReadByte() (byte, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	if r.read++; r.read > maxToken {
		return 0, errToken
	}
	c := r.rest[0]
	r.rest = r.rest[1:]
	return c, nil
}

// Read is there for the io.Reader that the decoder asks for; it reads by ReadByte.
func (r *tokenReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c, err := r.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = c
	return 1, nil
}

// withoutControls drops the octets that make a document ill-formed without meaning anything in it.
func withoutControls(body []byte) []byte {
	bad := func(c byte) bool { return c < ' ' && c != '\t' && c != '\n' && c != '\r' }
	for i, c := range body {
		if bad(c) {
			out := append(make([]byte, 0, len(body)), body[:i]...)
			for _, c := range body[i:] {
				if !bad(c) {
					out = append(out, c)
				}
			}
			return out
		}
	}
	return body
}

// ours says whether the element may be one of D05's: in its namespace, or in none.
func (e *element) ours() bool { return e.space == Namespace || e.space == "" }

// is says whether the element is D05's under one of its names.
func (e *element) is(names ...string) bool {
	if !e.ours() {
		return false
	}
	for _, n := range names {
		if e.name == n {
			return true
		}
	}
	return false
}

// child is the first child under one of these names, nil when there is none.
func (e *element) child(names ...string) *element {
	for _, c := range e.children {
		if c.is(names...) {
			return c
		}
	}
	return nil
}

// attr is the value of an attribute, "" when it is absent.
func (e *element) attr(name string) string {
	for _, a := range e.attrs {
		if a.Name.Local == name && a.Name.Space == "" {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

// raw is the element's text as it came.
func (e *element) raw() []byte { return e.text.b[e.start:e.end] }

// word is the element's text without blanks around it.
func (e *element) word() string { return string(bytes.TrimSpace(e.raw())) }

// line is the element's text as one line of at most limit octets.
func (e *element) line(limit int) string { return OneLine(string(e.raw()), limit) }

// OneLine makes a peer's text fit to be shown: blanks collapsed, nothing that controls a terminal, cut at a rune.
func OneLine(s string, limit int) string {
	const slack = 4
	if len(s) > limit*slack {
		s = s[:limit*slack]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > limit {
		s = s[:limit]
		for !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
		s = strings.TrimRight(s, " ")
	}
	return s
}
