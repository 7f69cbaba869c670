package imip

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/emersion/go-message"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// charsets are those that calendar software was seen to use beside UTF-8.
var charsets = map[string]encoding.Encoding{
	"iso-8859-1":   charmap.Windows1252, // who says the one often means the other, which is a superset in print
	"iso-8859-15":  charmap.ISO8859_15,
	"windows-1252": charmap.Windows1252,
	"utf-16":       unicode.UTF16(unicode.BigEndian, unicode.UseBOM),
	"utf-16be":     unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
	"utf-16le":     unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM),
}

// content undoes the transfer encoding and the character set, and gives lines CRLF.
func (p *part) content() ([]byte, *Error) {
	var h message.Header // no Content-Type: the character set is our own work
	h.Set("Content-Transfer-Encoding", p.header.Get("Content-Transfer-Encoding"))
	entity, err := message.New(h, bytes.NewReader(p.body))
	if err != nil {
		return nil, unreadable("encoding", err)
	}
	text, err := io.ReadAll(entity.Body)
	if err != nil {
		return nil, unreadable("encoding", err)
	}
	switch name := strings.ToLower(p.params["charset"]); name {
	case "", "utf-8", "utf8", "us-ascii":
	default:
		set, ok := charsets[name]
		if !ok {
			return nil, unreadable("charset", fmt.Errorf("character set %.40q", name))
		}
		if text, err = set.NewDecoder().Bytes(text); err != nil {
			return nil, unreadable("charset", err)
		}
	}
	return normalise(text), nil
}

func unreadable(reason string, err error) *Error {
	return &Error{Reason: reason, Description: "The calendar part of the mail cannot be decoded: " + err.Error() + ".", Err: err}
}

// normalise strips a byte order mark, and makes every line, the last one too, end in one CRLF.
func normalise(text []byte) []byte {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	text = bytes.ReplaceAll(bytes.TrimRight(text, "\r\n"), []byte("\r\n"), []byte("\n"))
	return append(bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")), "\r\n"...)
}

// methodIn finds METHOD in a calendar object that nobody inspected yet; upper-case, "" = none.
func methodIn(body []byte) string {
	depth := 0
	for line := range bytes.SplitSeq(body, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		name, _, _ = bytes.Cut(name, []byte(";"))
		switch strings.ToUpper(string(name)) {
		case "BEGIN":
			depth++
		case "END":
			depth--
		case "METHOD":
			if depth == 1 {
				return strings.ToUpper(string(bytes.TrimSpace(value)))
			}
		}
	}
	return ""
}

// unfolded is a form in which two spellings of one object are equal.
func unfolded(body []byte) string {
	body = bytes.ReplaceAll(body, []byte("\r\n "), nil)
	return string(bytes.ReplaceAll(body, []byte("\r\n\t"), nil))
}
