package imip

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"mime"
	"net/mail"
	"strings"

	"github.com/emersion/go-message/textproto"

	"github.com/calfed/calfed/gateway/cua"
)

const (
	maxHeaderBytes = 256 << 10
	mailLines      = 2000 // of a mail's header, continuations included
	partLines      = 100  // of a part's header
	maxMailboxes   = 4 << 10
	maxMessageID   = 255
)

var errHeader = errors.New("the mail's header is malformed or too large")

// splitHeader reads the header of a mail or of a part and returns what follows it. What two readers could understand in two
// ways is refused: a line that is no field, a bare CR, a NUL.
func splitHeader(mail []byte, maxLines int) (h textproto.Header, raw, body []byte, err error) {
	end := 0
	for lines := 1; end < len(mail); lines++ {
		line := mail[end:]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i+1]
		}
		end += len(line)
		text := bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if len(text) == 0 {
			body = mail[end:]
			break
		}
		if end > maxHeaderBytes || lines > maxLines || bytes.ContainsAny(text, "\r\x00") {
			return h, nil, nil, errHeader
		}
		if text[0] == ' ' || text[0] == '\t' {
			continue
		}
		if bytes.IndexByte(text, ':') < 1 {
			return h, nil, nil, errHeader
		}
	}
	raw = mail[:end]
	h, err = textproto.ReadHeader(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil && !errors.Is(err, io.EOF) {
		return h, nil, nil, errHeader
	}
	return h, raw, body, nil
}

// addresses reads a list of mailboxes; what they are called does not matter, in whatever character set.
var addresses = mail.AddressParser{WordDecoder: &mime.WordDecoder{
	CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil },
}}

// mailbox is the one address of a field that stands there once. false: there is none, or more than one.
func mailbox(h *textproto.Header, field string) (cua.Address, bool) {
	values := h.Values(field)
	if len(values) != 1 || len(values[0]) > maxMailboxes {
		return cua.Address{}, false
	}
	list, err := addresses.ParseList(values[0])
	if err != nil || len(list) != 1 {
		return cua.Address{}, false
	}
	a, err := cua.FromMailbox(list[0].Address)
	return a, err == nil
}

// sameMailbox compares as mail systems do in practice: the case of a local part does not count.
func sameMailbox(a, b cua.Address) bool {
	return a.Scheme() == "mailto" && b.Scheme() == "mailto" && a.Domain() == b.Domain() && strings.EqualFold(a.Local(), b.Local())
}

// messageID is without <>, "" when it is no visible ASCII.
func messageID(h *textproto.Header) string {
	id := strings.TrimSuffix(strings.TrimPrefix(h.Get("Message-ID"), "<"), ">")
	if len(id) > maxMessageID || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return id
}
