package imip_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"mime/quotedprintable"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/itip"
)

const head = "From: Ada <ada@sender.example>\r\nTo: grace@receiver.example\r\nMessage-ID: <1@sender.example>\r\nMIME-Version: 1.0\r\n"

// entity is a mail's or a part's last header lines and its body.
func entity(contentType, encoding, body string) string {
	s := "Content-Type: " + contentType + "\r\n"
	if encoding != "" {
		s += "Content-Transfer-Encoding: " + encoding + "\r\n"
	}
	return s + "\r\n" + body
}

// multi makes a multipart entity.
func multi(kind, boundary string, parts ...string) string {
	return entity("multipart/"+kind+"; boundary=\""+boundary+"\"", "", "--"+boundary+"\r\n"+strings.Join(parts, "\r\n--"+boundary+"\r\n")+"\r\n--"+boundary+"--\r\n")
}

func b64(b string) string {
	s := base64.StdEncoding.EncodeToString([]byte(b))
	var out strings.Builder
	for len(s) > 76 {
		out.WriteString(s[:76] + "\r\n")
		s = s[76:]
	}
	return out.String() + s
}

func qp(b string) string {
	var out bytes.Buffer
	w := quotedprintable.NewWriter(&out)
	w.Write([]byte(b))
	w.Close()
	return out.String()
}

func latin1(s string) string {
	var out []byte
	for _, r := range s {
		out = append(out, byte(r))
	}
	return string(out)
}

func utf16le(s string) string {
	out := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return string(out)
}

const (
	calendarType = "text/calendar; charset=UTF-8; method=REQUEST; component=VEVENT"
	plainPart    = "Content-Type: text/plain\r\n\r\nYou are invited."
	htmlPart     = "Content-Type: text/html; charset=utf-8\r\n\r\n<p>You are invited.</p>"
)

// The forms in which calendar software puts a message into a mail; each gives the same object.
//
// Proves: IS-SUB-2
func TestParseFindsTheMessage(t *testing.T) {
	want := string(object(t, "umlauts"))
	ascii := string(object(t, "invitation"))
	for _, tt := range []struct {
		rule, mail, want string
	}{
		{"alone", head + entity(calendarType, "8bit", want), want},
		{"base64", head + entity(calendarType, "base64", b64(want)), want},
		{"base64 with a blank", head + entity(calendarType, " BASE64 ", b64(want)), want},
		{"quoted-printable", head + entity(calendarType, "quoted-printable", qp(want)), want},
		{"7bit without a charset", head + entity("text/calendar; method=REQUEST", "", ascii), ascii},
		{"alternative, as Outlook and Google", head + multi("alternative", "b", plainPart, htmlPart, entity(calendarType, "base64", b64(want))), want},
		{"mixed", head + multi("mixed", "b", plainPart, entity(calendarType, "base64", b64(want))), want},
		{"related in alternative in mixed", head + multi("mixed", "b", multi("alternative", "b2", plainPart, multi("related", "b3", htmlPart, entity(calendarType, "base64", b64(want))))), want},
		{"a boundary that begins like another", head + multi("mixed", "b", multi("alternative", "bb", plainPart, entity(calendarType, "base64", b64(want)))), want},
		{"alternative and attachment, as Google", head + multi("mixed", "b", multi("alternative", "b2", plainPart, entity(calendarType, "base64", b64(want))),
			entity("application/ics; name=\"invite.ics\"", "base64", b64(want))), want},
		{"twice, folded differently", head + multi("mixed", "b", entity(calendarType, "base64", b64(want)),
			entity(calendarType, "base64", b64(strings.Replace(want, "SUMMARY:Fr", "SUMMARY:F\r\n r", 1)))), want},
		{"an attachment alone", head + multi("mixed", "b", plainPart, entity("application/ics; name=invite.ics", "base64", b64(want))), want},
		{"a message beside a published object", head + multi("mixed", "b", entity(calendarType, "base64", b64(want)),
			entity("text/calendar", "base64", b64(strings.Replace(want, "METHOD:REQUEST\r\n", "", 1)))), want},
		{"signed (RFC 1847)", head + multi("signed; protocol=\"application/pgp-signature\"", "b", multi("alternative", "b2", plainPart, entity(calendarType, "base64", b64(want))),
			entity("application/pgp-signature", "", "x")), want},
		{"no method parameter", head + entity("text/calendar; charset=utf-8", "8bit", want), want},
		{"method in lower case", head + entity("TEXT/Calendar; Method=request; charset=utf-8", "8bit", want), want},
		{"parameters that cannot be read", head + entity("text/calendar; name=my invitation.ics; charset=utf-8", "8bit", want), want},
		{"ISO 8859-1", head + entity("text/calendar; method=REQUEST; charset=ISO-8859-1", "base64", b64(latin1(want))), want},
		{"UTF-16", head + entity("text/calendar; method=REQUEST; charset=UTF-16", "base64", b64(utf16le(want))), want},
		{"a byte order mark", head + entity(calendarType, "base64", b64("\ufeff"+want)), want},
		{"bare LF", head + entity(calendarType, "base64", b64(strings.ReplaceAll(want, "\r\n", "\n"))), want},
		{"a mail with bare LF", strings.ReplaceAll(head+multi("alternative", "b", plainPart, entity(calendarType, "8bit", want)), "\r\n", "\n"), want},
		{"blank lines behind it", head + entity(calendarType, "8bit", want+"\r\n\r\n"), want},
		{"no line end behind it", head + entity(calendarType, "8bit", strings.TrimSuffix(want, "\r\n")), want},
		{"no closing delimiter", strings.TrimSuffix(head+multi("mixed", "b", plainPart, entity(calendarType, "8bit", want)), "\r\n--b--\r\n"), want},
		{"text around the parts", head + "Content-Type: multipart/mixed; boundary=b\r\n\r\nThis is MIME.\r\n--b\r\n" + entity(calendarType, "8bit", want) + "\r\n--b--\r\nend", want},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			m, err := imip.Parse([]byte(tt.mail), itip.Limits{}, 0)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(m.Body)); diff != "" {
				t.Error(diff)
			}
			if m.MessageID != "1@sender.example" || !m.From.Equal(cua.MustParse("mailto:ada@sender.example")) || m.Message.Method != "REQUEST" {
				t.Errorf("%+v", m)
			}
		})
	}
}

// Ordinary mail is told from mail that wants to be iMIP and cannot be read.
//
// Proves: IS-SUB-2
func TestParseRefuses(t *testing.T) {
	body := string(object(t, "invitation"))
	published := strings.Replace(body, "METHOD:REQUEST", "METHOD:PUBLISH", 1)
	other := strings.Replace(body, "SUMMARY:Budget", "SUMMARY:Other", 1)
	nested := entity(calendarType, "8bit", body)
	for i := range 9 {
		nested = multi("mixed", fmt.Sprint("n", i), nested)
	}
	for _, tt := range []struct{ rule, mail, reason string }{
		{"ordinary mail", head + plainPart, ""},
		{"no header for MIME", "From: a@b.example\r\n\r\nhello", ""},
		{"no body", "From: a@b.example\r\n", ""},
		{"nothing", "", ""},
		{"PUBLISH", head + entity("text/calendar; method=PUBLISH", "8bit", published), ""},
		{"PUBLISH in METHOD alone", head + entity("text/calendar", "8bit", published), ""},
		{"no METHOD", head + entity("text/calendar", "8bit", strings.Replace(body, "METHOD:REQUEST\r\n", "", 1)), ""},
		{"METHOD in a component", head + entity("text/calendar", "8bit", strings.Replace(strings.Replace(body, "METHOD:REQUEST\r\n", "", 1), "SUMMARY:", "METHOD:REQUEST\r\nSUMMARY:", 1)), ""},
		{"encrypted", head + multi("encrypted; protocol=\"application/pgp-encrypted\"", "b", entity(calendarType, "8bit", body)), ""},
		{"S/MIME", head + entity("application/pkcs7-mime; smime-type=enveloped-data", "base64", b64(body)), ""},
		{"a forwarded invitation", head + multi("mixed", "b", plainPart, "Content-Type: message/rfc822\r\n\r\n"+head+entity(calendarType, "8bit", body)), ""},
		{"a notification that returns one", head + multi("report", "b", plainPart, entity(calendarType, "8bit", body)), ""},
		{"only behind the signature", head + multi("signed", "b", plainPart, entity(calendarType, "8bit", body)), ""},
		{"a multipart without boundary", head + "Content-Type: multipart/mixed\r\n\r\n--\r\n" + entity(calendarType, "8bit", body), ""},
		{"a calendar that claims nothing and cannot be decoded", head + entity("text/calendar; charset=klingon", "8bit", body), ""},

		{"winmail.dat", head + multi("mixed", "b", plainPart, entity("application/ms-tnef; name=winmail.dat", "base64", "eJ8+")), "winmail"},
		{"two messages", head + multi("mixed", "b", entity(calendarType, "8bit", body), entity(calendarType, "8bit", other)), "several-messages"},
		{"two attachments", head + multi("mixed", "b", entity("application/ics", "8bit", body), entity("application/ics", "8bit", other)), "several-messages"},
		{"method and METHOD differ", head + entity("text/calendar; method=CANCEL", "8bit", body), "method-mismatch"},
		{"PUBLISH that would be a REQUEST", head + entity("text/calendar; method=PUBLISH", "8bit", body), "method-mismatch"},
		{"method without METHOD", head + entity(calendarType, "8bit", strings.Replace(body, "METHOD:REQUEST\r\n", "", 1)), "method-mismatch"},
		{"broken iCalendar", head + entity(calendarType, "8bit", strings.Replace(body, "END:VEVENT\r\n", "", 1)), "component-end"},
		{"no UID", head + entity(calendarType, "8bit", strings.Replace(body, "UID:1@sender.example\r\n", "", 1)), "uid-missing"},
		{"too large", head + entity(calendarType, "8bit", strings.Replace(body, "SUMMARY:", "SUMMARY:"+strings.Repeat("x", 70<<10), 1)), "line-bytes"},
		{"broken base64", head + entity(calendarType, "base64", "!!!"), "encoding"},
		{"an encoding nobody knows", head + entity(calendarType, "x-uuencode", body), "encoding"},
		{"a charset nobody knows", head + entity("text/calendar; method=REQUEST; charset=klingon", "8bit", body), "charset"},
		{"nested too deeply", head + nested, "mime-limits"},
		{"too many parts", head + multi("mixed", "b", strings.Split(strings.Repeat("\r\nx|", 101), "|")...), "mime-limits"},
		{"a header line that is none", "From: a@b.example\r\nnonsense\r\n\r\n", "malformed"},
		{"a header that begins with a continuation", " x\r\nFrom: a@b.example\r\n\r\n", "malformed"},
		{"a bare CR in the header", "From: a@b.example\r\nX: a\rFrom: c@d.example\r\n\r\n", "malformed"},
		{"a NUL in the header", "From: a@b.example\r\nX: \x00\r\n\r\n", "malformed"},
		{"a header of too many lines", strings.Repeat("X: y\r\n", 3000) + "\r\n", "malformed"},
		{"a header of too many octets", "X: " + strings.Repeat("y", 300<<10) + "\r\n\r\n", "malformed"},
		{"a part's header of too many lines", head + multi("mixed", "b", strings.Repeat("X: y\r\n", 200)+"\r\n"), "malformed"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			_, err := imip.Parse([]byte(tt.mail), itip.Limits{}, 0)
			var e *imip.Error
			switch {
			case tt.reason == "":
				if !errors.Is(err, imip.ErrNoITIP) {
					t.Errorf("%v", err)
				}
			case !errors.As(err, &e) || e.Reason != tt.reason || e.Description == "":
				t.Errorf("%v, want reason %s", err, tt.reason)
			}
		})
	}
}

func TestParseReadsTheSender(t *testing.T) {
	body := entity(calendarType, "8bit", string(object(t, "invitation")))
	for _, tt := range []struct{ from, want string }{
		{"From: =?klingon?q?Q=E9?= <ada@sender.example>\r\n", "mailto:ada@sender.example"},
		{"From: ada@sender.example, bob@sender.example\r\n", ""},
		{"From: nobody\r\n", ""},
		{"From: ada@sender.example\r\nFrom: bob@sender.example\r\n", ""},
		{"", ""},
	} {
		m, err := imip.Parse([]byte(tt.from+body), itip.Limits{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if m.From.String() != tt.want || m.MessageID != "" {
			t.Errorf("%q: %+v", tt.from, m)
		}
	}
	if m, err := imip.Parse([]byte("Message-ID: <a b>\r\n"+body), itip.Limits{}, 0); err != nil || m.MessageID != "" {
		t.Errorf("%+v %v", m, err)
	}
}

// The Originator is who the calendar object says; From of the mail counts for nothing.
//
// Proves: IS-SUB-2
func TestParties(t *testing.T) {
	list := func(s ...string) []cua.Address {
		var out []cua.Address
		for _, a := range s {
			out = append(out, cua.MustParse(a))
		}
		return out
	}
	const ada, grace, joan, list1 = "ada@sender.example", "grace@receiver.example", "joan@other.example", "all@lists.example"
	for _, tt := range []struct {
		rule, name       string
		rcpt             []cua.Address
		originator       string
		recipients, rest []cua.Address
	}{
		{"REQUEST: ORGANIZER to ATTENDEEs", "invitation", list(grace, list1, joan), ada, list(grace, joan), list(list1)},
		{"CANCEL: ORGANIZER to ATTENDEEs", "cancel", list(grace), ada, list(grace), nil},
		{"REPLY: the ATTENDEE to ORGANIZER", "accepted", list(ada, joan), grace, list(ada), list(joan)},
		{"REPLY: not to who answers", "accepted", list(grace, ada), grace, list(ada), list(grace)},
		{"COUNTER: the ATTENDEE to ORGANIZER", "counter", list("ADA@sender.example", ada), grace, list(ada), list("ADA@sender.example")},
		{"each recipient once", "invitation", list(grace, "GRACE@receiver.example", "grace@RECEIVER.example", list1, list1), ada, list(grace), list("GRACE@receiver.example", list1)},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			m, err := itip.Inspect(object(t, tt.name), itip.Limits{}, 0)
			if err != nil {
				t.Fatal(err)
			}
			originator, recipients, rest, err := imip.Parties(m, tt.rcpt)
			if err != nil || !originator.Equal(cua.MustParse(tt.originator)) {
				t.Fatalf("%s: %v", originator, err)
			}
			if diff := cmp.Diff([][]cua.Address{tt.recipients, tt.rest}, [][]cua.Address{recipients, rest}, cmp.Comparer(cua.Address.Equal)); diff != "" {
				t.Error(diff)
			}
			if err := m.CheckParties(originator, recipients); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("a COUNTER of several attendees has no one sender", func(t *testing.T) {
		body := bytes.Replace(object(t, "counter"), []byte("SUMMARY:"), []byte("ATTENDEE:mailto:joan@other.example\r\nSUMMARY:"), 1)
		m, err := itip.Inspect(body, itip.Limits{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		var e *imip.Error
		if _, recipients, rest, err := imip.Parties(m, list(ada)); !errors.As(err, &e) || e.Reason != "no-originator" || recipients != nil || len(rest) != 1 {
			t.Errorf("%v %v %v", recipients, rest, err)
		}
	})
}
