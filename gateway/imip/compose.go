package imip

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"strings"
	"time"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/textproto"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

// Compose writes the mail: multipart/alternative of a readable text/plain part (who wants what, when in the event's own time
// zone and UTC offset, where, what changed by the method, how to answer) and text/calendar with its method and
// component, the calendar object byte for byte. The Message-ID depends on the two parties and on UID, METHOD and each
// RECURRENCE-ID, SEQUENCE and DTSTAMP only, so that a repeat is known for one and an update never is taken for one.
// ASCII where possible; RFC 2047 for names; SMTPUTF8 (RFC 6532) only when an address needs it, which
// the second result says. An error: an address that mail cannot reach, a Body that is not what was inspected. IS-SEND-7.
func Compose(d *Draft) (mail []byte, utf8 bool, err error) {
	if d.From.Scheme() != "mailto" || d.To.Scheme() != "mailto" {
		return nil, false, errors.New("imip: an address that is none of mail")
	}
	if strings.Contains(d.From.Local()+" "+d.To.Local(), "=?") {
		return nil, false, errors.New("imip: an address that mail programs read as another one") // as an encoded word
	}
	about, err := itip.Describe(d.Body)
	if err != nil {
		return nil, false, err
	}
	l := letter{Draft: d, about: about}
	id := identity(d)
	fields := []field{
		{"Date", d.Date.Format(time.RFC1123Z)},
		{"From", named(l.name(d.From), d.From)},
		{"To", named(l.name(d.To), d.To)},
		{"Subject", encoded(l.subject())},
		{"Message-ID", "<calfed." + id + "@" + d.Host + ">"},
		{"References", "<calfed." + hashed(d.Message.UID, d.To.Key()) + "@" + d.Host + ">"}, // threads what belongs to one event
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"},
	}
	if d.AuthResult != "" {
		fields = append([]field{{"Authentication-Results", d.Host + "; " + d.AuthResult}}, fields...)
	}
	mail, err = multipart("alternative", nil, id, fields, []piece{
		{"text/plain; charset=UTF-8", "quoted-printable", []byte(l.text())},
		{mime.FormatMediaType("text/calendar", map[string]string{
			"charset": "UTF-8", "method": d.Message.Method, "component": d.Message.Component,
		}), "base64", d.Body},
	})
	return mail, !ascii(d.From.Local()) || !ascii(d.To.Local()), err
}

// identity is what makes one message to one recipient the same again.
func identity(d *Draft) string {
	parts := []string{d.From.Key(), d.To.Key(), d.Message.Method, d.Message.UID}
	for _, i := range d.Message.Instances {
		parts = append(parts, i.RecurrenceID, fmt.Sprint(i.Sequence), i.DTStamp.UTC().Format(time.RFC3339))
		if !itip.OrganizerSends(d.Message.Method) {
			for _, a := range i.Attendees {
				parts = append(parts, a.PartStat)
			}
		}
	}
	return hashed(parts...)
}

// hashed is a name for a list of strings, in letters and digits.
func hashed(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil)[:20]))
}

// address is an addr-spec (RFC 5322 §3.4.1): cua lets no local part through that needs quotes.
func address(a cua.Address) string { return a.Local() + "@" + a.Domain() }

// named is a mailbox with a display name.
func named(name string, a cua.Address) string {
	return (&mail.Address{Name: unencoded(name), Address: address(a)}).String()
}

// encoded is text for a header field.
func encoded(text string) string { return mime.QEncoding.Encode("utf-8", unencoded(text)) }

// unencoded keeps text from being read as an encoded word (RFC 2047), in which anything could be hidden.
func unencoded(text string) string { return strings.ReplaceAll(text, "=?", "= ?") }

func ascii(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 0x7f }) < 0
}

type field struct{ name, value string }

// piece is a part to write.
type piece struct {
	kind     string
	encoding string
	content  []byte
}

// multipart writes a mail of several parts. The boundary holds "=_", which neither quoted-printable nor base64 ever write: no
// content can be taken for one, whoever computes it.
func multipart(kind string, params map[string]string, id string, fields []field, pieces []piece) ([]byte, error) {
	all := map[string]string{"boundary": "=_" + id}
	for k, v := range params {
		all[k] = v
	}
	fields = append(fields, field{"Content-Type", mime.FormatMediaType("multipart/"+kind, all)})
	var out bytes.Buffer
	w, err := message.CreateWriter(&out, headerOf(fields))
	if err != nil {
		return nil, err
	}
	for _, p := range pieces {
		part, err := w.CreatePart(headerOf([]field{{"Content-Type", p.kind}, {"Content-Transfer-Encoding", p.encoding}}))
		if err != nil {
			return nil, err
		}
		if err := writeAll(part, p.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func writeAll(w io.WriteCloser, b []byte) error {
	if _, err := w.Write(b); err != nil {
		return err
	}
	return w.Close()
}

// headerOf keeps the order: go-message puts each new field on top.
func headerOf(fields []field) message.Header {
	var h textproto.Header
	for i := len(fields) - 1; i >= 0; i-- {
		h.AddRaw(fields[i].folded())
	}
	return message.Header{Header: h}
}

const maxHeaderLine = 76 // RFC 2047 §2, of a line with an encoded word

// folded writes the field. It breaks lines between words only; whatever blank or line end stands between two words becomes
// one blank, or a fold: no value can begin another field.
func (f field) folded() []byte {
	out := []byte(f.name + ":")
	used := len(out)
	for word := range strings.FieldsSeq(f.value) {
		if used+1+len(word) > maxHeaderLine {
			out = append(out, "\r\n"...)
			used = 0
		}
		out = append(append(out, ' '), word...)
		used += 1 + len(word)
	}
	return append(out, "\r\n"...)
}
