package imip

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/mail"
	"strings"
	"time"
	"unicode"

	"github.com/emersion/go-message/textproto"

	"github.com/calfed/calfed/gateway/ischedule"
)

const (
	maxReturned = 64 << 10 // octets of the header that goes back
	maxReason   = 300      // runes, as of anything that others wrote
)

// ComposeReport writes the notification: multipart/report with a part for people, delivery-status (RFC 6522, 3464) and the header
// of the original, Auto-Submitted: auto-replied. It is to be sent with the null sender. An error: To is no address.
func ComposeReport(r *Report) ([]byte, error) {
	if !isMailbox(r.To) {
		return nil, errors.New("imip: the sender of what failed has no address that could be told")
	}
	header, raw, _, err := splitHeader(r.Original, mailLines)
	if err != nil { // what cannot be read is not returned
		header, raw = textproto.Header{}, nil
	}
	parts := []string{r.To, r.Envelope, r.Date.UTC().Format(time.RFC3339), string(raw)}
	for _, f := range r.Failures {
		parts = append(parts, f.Recipient, f.Status.Code)
	}
	id := hashed(parts...)
	fields := []field{
		{"Date", r.Date.Format(time.RFC1123Z)},
		{"From", (&mail.Address{Name: "Mail service", Address: "postmaster@" + r.Host}).String()},
		{"To", "<" + addrSpec(r.To) + ">"},
		{"Subject", encoded("Not delivered: " + originalSubject(&header))},
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

// isMailbox says whether an address of an envelope can stand in a header field.
func isMailbox(s string) bool {
	at := strings.LastIndexByte(s, '@')
	return at > 0 && at < len(s)-1 && !strings.ContainsAny(s[at:], " <>,;()") && !strings.ContainsFunc(s, unicode.IsControl)
}

// addrSpec writes an address of an envelope as a header field has it: a local part that needs quotes gets them.
func addrSpec(s string) string {
	return strings.TrimSuffix(strings.TrimPrefix((&mail.Address{Address: s}).String(), "<"), ">")
}

func originalSubject(h *textproto.Header) string {
	s := h.Get("Subject")
	if decoded, err := new(mime.WordDecoder).DecodeHeader(s); err == nil {
		s = decoded
	}
	if s = printable(s); s == "" {
		return "(no subject)"
	}
	return s
}

// printable is text in one line of bounded length, without what changes how the rest of the line looks.
func printable(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, ""), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
	}), " ")
	if r := []rune(s); len(r) > maxReason {
		return string(r[:maxReason]) + "…"
	}
	return s
}

// text is the part for people.
func (r *Report) text(h *textproto.Header) string {
	var b strings.Builder
	line := func(format string, args ...any) {
		_, _ = b.WriteString(strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\r\n") + "\r\n")
	}
	line("Your message could not be delivered to everybody.")
	line("")
	line("%s", wrapped("  ", "Subject: "+originalSubject(h)))
	line("")
	for _, f := range r.Failures {
		line("%s", printable(f.Recipient))
		line("  %s", f.reason().text)
		if f.Text != "" {
			line("%s", wrapped("  ", "The other side said: "+printable(f.Text)))
		}
		line("")
	}
	line("Nobody tries again: these people know nothing of your message. Tell them in another way, or send it again when the cause is gone.")
	line("")
	line("-- ")
	line("This notice was written by the calendar gateway %s.", r.Host)
	return b.String()
}

// reason is a failure's status in mail (RFC 3463), and what it means.
type reason struct{ status, text string }

func (f *Failure) reason() reason {
	if r, known := reasons[f.Status.Code]; known {
		return r
	}
	if f.Status.Code != "" {
		return reason{"5.0.0", "The message could not be delivered."}
	}
	r := reason{f.Enhanced, "Their mail server does not take the message."}
	if !strings.HasPrefix(r.status, "5.") {
		r.status = "5.0.0"
	}
	switch r.status {
	case "5.1.1", "5.1.10":
		r.text = "There is nobody with this address. Check how it is spelled."
	case "5.2.2":
		r.text = "Their mailbox is full."
	}
	return r
}

// diagnostic is what the other side said, for programs.
func (f *Failure) diagnostic() string {
	switch {
	case f.Status.Code != "":
		return "x-calfed; " + f.Status.String()
	case f.Code != 0:
		return strings.TrimSpace(fmt.Sprintf("smtp; %d %s", f.Code, f.Enhanced))
	}
	return "x-calfed; not sent"
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
		_, _ = b.WriteString("\r\n")
		if kind, original, given := strings.Cut(f.Original, ";"); given {
			line("Original-Recipient", typed(strings.ToLower(kind), original))
		}
		line("Final-Recipient", typed("rfc822", addrSpec(f.Recipient)))
		line("Action", "failed")
		line("Status", f.reason().status)
		line("Diagnostic-Code", f.diagnostic())
		line("Last-Attempt-Date", r.Date.Format(time.RFC1123Z))
	}
	return b.Bytes()
}

// typed is an address with its type. One that is not ASCII has a form of its own for that (RFC 6533 §3, utf-8-addr-xtext).
func typed(kind, address string) string {
	if ascii(address) {
		return kind + "; " + address
	}
	var b strings.Builder
	for _, r := range address {
		if r <= ' ' || r > '~' || strings.ContainsRune(`\+=`, r) {
			_, _ = fmt.Fprintf(&b, `\x{%X}`, r)
		} else {
			_, _ = b.WriteRune(r)
		}
	}
	return "utf-8; " + b.String()
}

// asciiOnly is one line that 7bit can carry, bounded far below 998 octets.
func asciiOnly(s string) string {
	return strings.Map(func(r rune) rune {
		if r > '~' {
			return '?'
		}
		return r
	}, printable(s))
}

// returned is the header that goes back, with CRLF, whole lines only.
func returned(raw []byte) []byte {
	if len(raw) > maxReturned {
		raw = raw[:bytes.LastIndexByte(raw[:maxReturned], '\n')+1]
	}
	return bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}
