package imip

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"strings"
	"time"

	"github.com/emersion/go-message/textproto"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
)

const (
	maxReturned = 64 << 10 // octets of the header that goes back
	maxReason   = 300      // runes
)

// ComposeReport writes the notification: multipart/report with a part for people, delivery-status (RFC 6522, 3464) and the header
// of the original, Auto-Submitted: auto-replied. It is to be sent with the null sender. An error: To is no address.
func ComposeReport(r *Report) ([]byte, error) {
	to, err := cua.Parse(r.To)
	if err != nil || to.Scheme() != "mailto" {
		return nil, errors.New("imip: the sender of what failed has no address that could be told")
	}
	header, raw, _, err := splitHeader(r.Original, mailLines)
	if err != nil { // what cannot be read is not returned
		header, raw = textproto.Header{}, nil
	}
	parts := []string{to.Key(), r.Envelope, r.Date.UTC().Format(time.RFC3339), string(raw)}
	for _, f := range r.Failures {
		parts = append(parts, f.Recipient.Key(), f.Status.Code)
	}
	id := hashed(parts...)
	fields := []field{
		{"Date", r.Date.Format(time.RFC1123Z)},
		{"From", named("Calendar service", cua.MustParse("mailto:postmaster@"+r.Host))},
		{"To", named("", to)},
		{"Subject", mime.QEncoding.Encode("utf-8", "Not delivered: "+originalSubject(&header))},
		{"Message-ID", "<calfed." + id + "@" + r.Host + ">"},
		{"Auto-Submitted", "auto-replied"},
		{"MIME-Version", "1.0"},
	}
	if original := messageID(&header); original != "" {
		fields = append(fields, field{"In-Reply-To", "<" + original + ">"}, field{"References", "<" + original + ">"})
	}
	return multipart("report", map[string]string{"report-type": "delivery-status"}, id, fields, []piece{
		{"text/plain; charset=UTF-8", "quoted-printable", []byte(r.text(&header))},
		{"message/delivery-status", "7bit", r.status()},
		{"text/rfc822-headers", "quoted-printable", returned(raw)},
	})
}

func originalSubject(h *textproto.Header) string {
	s := h.Get("Subject")
	if decoded, err := new(mime.WordDecoder).DecodeHeader(s); err == nil {
		s = decoded
	}
	if s = printable(s, maxReason); s == "" {
		return "your calendar message"
	}
	return s
}

// printable is text in one line without control characters, of bounded length.
func printable(s string, limit int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, ""), func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}

// text is the part for people.
func (r *Report) text(h *textproto.Header) string {
	var b strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\r\n", args...) }
	line("Your calendar message could not be delivered to everybody.")
	line("")
	line("  Subject: %s", originalSubject(h))
	line("")
	for _, f := range r.Failures {
		line("%s", mailboxText(f.Recipient))
		line("  %s", reasons[f.Status.Code].words())
		if f.Text != "" {
			line("  The other side said: %s", printable(f.Text, maxReason))
		}
		line("")
	}
	line("Nobody tries again: the calendar of these people knows nothing of your message. Tell them in another way, or send it again when the cause is gone.")
	line("")
	line("-- ")
	line("This notice was written by the calendar gateway %s.", r.Host)
	return b.String()
}

func mailboxText(a cua.Address) string {
	if a.Scheme() == "mailto" {
		return address(a)
	}
	return a.String()
}

// reason is what a request status means in mail (RFC 3463) and in words.
type reason struct{ status, text string }

func (r reason) words() string {
	if r.text == "" {
		return "The message could not be delivered."
	}
	return r.text
}

var reasons = map[string]reason{
	ischedule.StatusUnknownUser.Code:  {"5.1.1", "There is no calendar user with this address. Check how it is spelled."},
	ischedule.StatusNoAuthority.Code:  {"5.7.1", "Their calendar service does not take this message from you. Ask them, or their administrator, to let you send it."},
	ischedule.StatusUnsupported.Code:  {"5.6.1", "Their calendar service cannot handle this kind of message. Try without attachments and without a complicated repetition."},
	ischedule.StatusUnavailable.Code:  {"5.4.7", "Their calendar service could not be reached."},
	ischedule.StatusNoService.Code:    {"5.4.4", "Their domain has no calendar service that could be found."},
	ischedule.StatusNoScheduling.Code: {"5.3.3", "Their calendar service takes no invitations for this address."},
}

// status is the part for programs (RFC 3464 §2).
func (r *Report) status() []byte {
	var b bytes.Buffer
	line := func(name, value string) {
		_, _ = fmt.Fprintf(&b, "%s: %s\r\n", name, strings.TrimSpace(asciiOnly(value)))
	}
	line("Reporting-MTA", "dns; "+r.Host)
	if r.Envelope != "" {
		line("Original-Envelope-Id", r.Envelope)
	}
	for _, f := range r.Failures {
		status := reasons[f.Status.Code].status
		if status == "" {
			status = "5.0.0"
		}
		_, _ = b.WriteString("\r\n")
		line("Final-Recipient", "rfc822; "+mailboxText(f.Recipient))
		line("Action", "failed")
		line("Status", status)
		line("Diagnostic-Code", "x-calfed; "+f.Status.String())
		line("Last-Attempt-Date", r.Date.Format(time.RFC1123Z))
	}
	return b.Bytes()
}

// asciiOnly is one line that 7bit can carry, bounded far below 998 octets.
func asciiOnly(s string) string {
	return strings.Map(func(r rune) rune {
		if r > '~' {
			return '?'
		}
		return r
	}, printable(s, maxReason))
}

// returned is the header that goes back, with CRLF, whole lines only.
func returned(raw []byte) []byte {
	if len(raw) > maxReturned {
		raw = raw[:bytes.LastIndexByte(raw[:maxReturned], '\n')+1]
	}
	return bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}
