//go:build interop

package interop

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-msgauth/dkim"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/hack/calendartest"
)

// testMail has alice invite somebody whose domain has no iSchedule: one mail leaves, and the answer comes back by mail. Cyrus
// writes that mail itself, and it goes on as it is; for DAViCal, which knows iSchedule only, calfed writes it.
func (f *federation) testMail(t *testing.T) {
	for _, kind := range []string{"Cyrus", "DAViCal"} {
		t.Run(kind, func(t *testing.T) { f.testMailOf(t, f.west.systems[kind]) })
	}
}

func (f *federation) testMailOf(t *testing.T, from *calendartest.System) {
	uid := "talk-at-" + from.Domain
	alice, guest := from.Address("alice"), "guest@"+f.stranger.domain
	look := func(t *testing.T, parameter, want string) {
		t.Helper()
		o := from.Find(t, "alice", uid)
		t.Logf("in alice's calendar\n%s", calendartest.Told(o.Data))
		if got := calendartest.Parameters(o.Data, guest, parameter); len(got) != 1 || got[0] != want {
			t.Errorf("guest's %s is %v, want %s", parameter, got, want)
		}
	}

	t.Run("an invitation leaves as one mail", func(t *testing.T) {
		o := &calendartest.Object{URL: from.Calendar("alice") + uid + ".ics", Data: calendartest.Meeting(uid, "Talk", calendartest.Day.Add(10*time.Hour), alice, guest)}
		f.leaves(t, f.west, traffic{mails: 1}, func() { from.Put(t, "alice", o) })
		f.eventually(t, "the mail lies in guest's mailbox", func() bool { return len(f.west.smarthost.mail(t, guest, alice)) == 1 })
		look(t, "SCHEDULE-STATUS", "1.1")
		mail := f.west.smarthost.mail(t, guest, alice)[0]
		t.Logf("the mail as guest's client shows it:\n%s", rendered(t, mail))
		if from.Kind == "DAViCal" { // Cyrus's own mail is its smarthost's to sign
			f.mustBeSigned(t, mail, from.Domain)
		}
	})

	t.Run("an answer that nobody vouches for does not count, and is delivered as it came", func(t *testing.T) {
		reply := replyMail(uid, guest, alice, "ACCEPTED")
		f.leaves(t, f.west, traffic{mails: 1}, func() { f.mailTo(t, f.west, from, guest, alice, strings.ReplaceAll(reply, "\n", "\r\n")) })
		f.eventually(t, "the mail lies in alice's mailbox", func() bool { return len(f.west.smarthost.mail(t, alice, guest)) == 1 })
		kept := f.west.smarthost.mail(t, alice, guest)[0]
		if _, after, found := strings.Cut(kept, "\nFrom: "); !found || "From: "+after != reply {
			t.Errorf("the mail has changed (-sent +kept):\n%s", cmp.Diff(reply, kept))
		}
		look(t, "PARTSTAT", "NEEDS-ACTION")
	})

	t.Run("a signed answer stands in the organizer's copy", func(t *testing.T) {
		reply := f.stranger.signed(t, replyMail(uid, guest, alice, "ACCEPTED"))
		f.leaves(t, f.west, traffic{}, func() { f.mailTo(t, f.west, from, guest, alice, reply) })
		look(t, "PARTSTAT", "ACCEPTED")
	})
}

// mailTo hands a mail with CRLF to the side's gateway, with the credentials of the system that is concerned: as the system's users'
// clients do, and the MX, for mail to them.
func (f *federation) mailTo(t *testing.T, s *side, as *calendartest.System, from, rcpt, mail string) {
	t.Helper()
	client, err := smtp.DialStartTLS(s.smtp, &tls.Config{ServerName: s.host, RootCAs: f.ca.Pool()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	for _, step := range []func() error{
		func() error { return client.Auth(sasl.NewPlainClient("", strings.ToLower(as.Kind), mailPassword(as))) },
		func() error { return client.SendMail(from, []string{rcpt}, strings.NewReader(mail)) },
		client.Quit,
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}

// replyMail is the answer to a meeting at ten as a mail client writes it, with LF.
func replyMail(uid, attendee, organizer, partstat string) string {
	calendar := fmt.Sprintf("BEGIN:VCALENDAR\nPRODID:-//Mail client//EN\nVERSION:2.0\nMETHOD:REPLY\nBEGIN:VEVENT\nUID:%s\n"+
		"DTSTAMP:%s\nDTSTART:%s\nDTEND:%s\nSEQUENCE:0\nORGANIZER:mailto:%s\nATTENDEE;PARTSTAT=%s:mailto:%s\nEND:VEVENT\nEND:VCALENDAR\n",
		uid, time.Now().Add(time.Minute).UTC().Format(calendartest.UTC), calendartest.Day.Add(10*time.Hour).Format(calendartest.UTC), calendartest.Day.Add(11*time.Hour).Format(calendartest.UTC),
		organizer, partstat, attendee)
	part := func(contentType, text string) string {
		return "--=_b\nContent-Type: " + contentType + "\nContent-Transfer-Encoding: base64\n\n" +
			base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(text, "\n", "\r\n"))) + "\n"
	}
	return fmt.Sprintf("From: <%s>\nTo: <%s>\nSubject: %s\nDate: %s\nMessage-ID: <%s@client.example>\nMIME-Version: 1.0\n"+
		"Content-Type: multipart/alternative; boundary=\"=_b\"\n\n%s%s--=_b--\n",
		attendee, organizer, partstat, time.Now().UTC().Format(time.RFC1123Z), rand.Text(),
		part("text/plain; charset=utf-8", attendee+" says "+partstat+".\n"), part("text/calendar; charset=utf-8; method=REPLY", calendar))
}

// mustBeSigned verifies the mail's DKIM signature as guest's server does, with the records that `calfed dns` prints.
func (f *federation) mustBeSigned(t *testing.T, mail, domain string) {
	t.Helper()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, f.dns)
	}}
	found, err := dkim.VerifyWithOptions(strings.NewReader(strings.ReplaceAll(mail, "\n", "\r\n")), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) { return resolver.LookupTXT(t.Context(), name) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || found[0].Err != nil || found[0].Domain != domain {
		t.Errorf("DKIM: %+v in\n%s", found, mail)
	}
}

// rendered is what a reader sees: the fields, the text, and of other parts the kind.
func rendered(t *testing.T, stored string) string {
	t.Helper()
	reader, err := mail.CreateReader(strings.NewReader(stored))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, name := range []string{"From", "To", "Subject", "Date"} {
		value, err := reader.Header.Text(name)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(name + ": " + value + "\n")
	}
	for {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(part.Body)
		if err != nil {
			t.Fatal(err)
		}
		if kind := part.Header.Get("Content-Type"); strings.HasPrefix(kind, "text/plain") {
			b.WriteString("\n" + strings.ReplaceAll(string(text), "\r\n", "\n"))
		} else {
			b.WriteString("\n[" + kind + "]\n")
		}
	}
}
