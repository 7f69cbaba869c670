package imip

import (
	"bytes"
	"mime"
	"strings"

	"github.com/emersion/go-message/textproto"
)

const (
	maxDepth    = 8
	maxParts    = 100
	maxBoundary = 70 // RFC 2046 §5.1.1
)

// part is a part that is no multipart.
type part struct {
	kind   string // media type, lower-case
	params map[string]string
	header textproto.Header
	body   []byte // not decoded
}

// parts are those of a mail that may hold calendar data, in order.
type parts struct {
	leaves []part
	seen   int
}

// walk visits a mail or a part. What was encrypted, forwarded or reported is no message of the sender's calendar.
func (p *parts) walk(h *textproto.Header, body []byte, depth int) *Error {
	if p.seen++; p.seen > maxParts || depth > maxDepth {
		return &Error{Reason: "mime-limits", Description: "The mail has too many parts, or parts that are nested too deeply."}
	}
	kind, params := mediaType(h)
	switch {
	case kind == "multipart/encrypted", kind == "multipart/report":
		return nil
	case !strings.HasPrefix(kind, "multipart/"):
		p.leaves = append(p.leaves, part{kind, params, *h, body})
		return nil
	}
	pieces := split(body, params["boundary"])
	if kind == "multipart/signed" && len(pieces) > 1 { // the second is the signature
		pieces = pieces[:1]
	}
	for _, piece := range pieces {
		inner, _, content, err := splitHeader(piece, partLines)
		if err != nil {
			return malformed(err)
		}
		if err := p.walk(&inner, content, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func malformed(err error) *Error {
	return &Error{Reason: "malformed", Description: "The mail is not well-formed: " + err.Error() + ".", Err: err}
}

// mediaType is the type of a part. Of one whose parameters cannot be read, the type alone.
func mediaType(h *textproto.Header) (string, map[string]string) {
	value := h.Get("Content-Type")
	if value == "" {
		return "text/plain", nil
	}
	kind, params, err := mime.ParseMediaType(value)
	if err != nil {
		kind, _, _ = strings.Cut(value, ";")
		return strings.ToLower(strings.TrimSpace(kind)), nil
	}
	return kind, params
}

// split cuts the body of a multipart at its delimiter lines. The line end before a delimiter belongs to the delimiter. At most
// maxParts+1 pieces: one is too many.
func split(body []byte, boundary string) [][]byte {
	if boundary == "" || len(boundary) > maxBoundary {
		return nil
	}
	var pieces [][]byte
	start, at := -1, 0
	for at < len(body) && len(pieces) <= maxParts {
		line := body[at:]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i+1]
		}
		is, last := delimiter(line, boundary)
		if is {
			if start >= 0 {
				pieces = append(pieces, withoutLineEnd(body[start:at]))
			}
			start = at + len(line)
			if last {
				return pieces
			}
		}
		at += len(line)
	}
	if start >= 0 && len(pieces) <= maxParts { // the closing delimiter got lost
		pieces = append(pieces, body[start:])
	}
	return pieces
}

// delimiter says whether a line is one, and whether it closes the multipart.
func delimiter(line []byte, boundary string) (is, last bool) {
	rest, ok := bytes.CutPrefix(line, []byte("--"))
	if !ok {
		return false, false
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(boundary)); !ok {
		return false, false
	}
	rest, last = bytes.CutPrefix(rest, []byte("--"))
	return len(bytes.Trim(rest, " \t\r\n")) == 0, last
}

func withoutLineEnd(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
}
