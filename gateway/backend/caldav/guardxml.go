package caldav

import (
	"bytes"
	"encoding/xml"
	"errors"
)

// Bounds on the documents of a server.
const (
	maxDepth    = 32
	maxElements = 100_000
	maxTag      = 8 << 10 // octets of one tag: attributes take many times their size in memory
)

var errDocument = errors.New("calendar server answers with no usable XML document")

// readXML decodes a document that passes guard into v.
func readXML(body []byte, v any) error {
	body = bytes.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' {
			return -1 // in no XML document, and in some calendar objects
		}
		return r
	}, body)
	if !guard(body) {
		return errDocument
	}
	if err := xml.Unmarshal(body, v); err != nil {
		return errDocument
	}
	return nil
}

// guard looks over the markup of a document before anything is built from it: no DTD, hence no entities of its own, bounded
// depth, count and tags.
func guard(body []byte) bool {
	depth, elements := 0, 0
	for {
		start := bytes.IndexByte(body, '<')
		if start < 0 {
			return true
		}
		body = body[start:]
		var end int
		switch {
		case bytes.HasPrefix(body, []byte("<![CDATA[")):
			end = after(body, "]]>")
		case bytes.HasPrefix(body, []byte("<!--")):
			end = after(body, "-->")
		case bytes.HasPrefix(body, []byte("<?")):
			end = after(body, "?>")
		case bytes.HasPrefix(body, []byte("<!")):
			return false
		default:
			end = tagEnd(body)
			if end < 0 {
				return false
			}
			if body[1] == '/' {
				depth--
			} else {
				elements++
				if body[end-2] != '/' {
					depth++
				}
			}
		}
		if end < 0 || depth > maxDepth || elements > maxElements {
			return false
		}
		body = body[end:]
	}
}

// after is the index behind the first mark, -1 when there is none.
func after(body []byte, mark string) int {
	i := bytes.Index(body, []byte(mark))
	if i < 0 {
		return -1
	}
	return i + len(mark)
}

// tagEnd is the index behind the tag that body begins with, -1 when it does not end in time.
func tagEnd(body []byte) int {
	var quote byte
	for i := 1; i < len(body) && i < maxTag; i++ {
		switch c := body[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i + 1
		}
	}
	return -1
}
