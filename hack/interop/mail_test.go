//go:build interop

package interop

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message/mail"
	"github.com/google/go-cmp/cmp"
)

// testMail has alice invite somebody whose domain has no iSchedule: one mail leaves, and the answer comes back by mail. Cyrus
// writes that mail itself, and it goes on as it is; for DAViCal, which knows iSchedule only, calfed writes it.
func (f *federation) testMail(t *testing.T) {
	for _, kind := range []string{"Cyrus", "DAViCal"} {
		t.Run(kind, func(t *testing.T) { f.testMailOf(t, f.west.systems[kind]) })
	}
}

func (f *federation) testMailOf(t *testing.T, from *system) {
	uid := "talk-at-" + from.domain
	alice, guest := from.address("alice"), "guest@"+f.stranger.domain
	look := func(t *testing.T, parameter, want string) {
		t.Helper()
		o := f.find(t, from, "alice", uid)
		t.Logf("in alice's calendar\n%s", told(o.data))
		if got := parameters(o.data, guest, parameter); len(got) != 1 || got[0] != want {
			t.Errorf("guest's %s is %v, want %s", parameter, got, want)
		}
	}

	t.Run("an invitation leaves as one mail", func(t *testing.T) {
		o := &object{url: from.calendar("alice") + uid + ".ics", data: meeting(uid, "Talk", day.Add(10*time.Hour), alice, guest)}
		before := len(f.west.smarthost.mail(t, guest))
		f.leaves(t, f.west, traffic{mails: 1}, func() { f.put(t, from, "alice", o) })
		f.eventually(t, "the mail lies in guest's mailbox", func() bool { return len(f.west.smarthost.mail(t, guest)) > before })
		look(t, "SCHEDULE-STATUS", "1.1")
		t.Logf("the mail as guest's client shows it:\n%s", rendered(t, f.west.smarthost.mail(t, guest)[before]))
	})

	t.Run("an answer that nobody vouches for does not count, and is delivered as it came", func(t *testing.T) {
		reply := f.stranger.reply(uid, alice, "ACCEPTED")
		f.leaves(t, f.west, traffic{mails: 1}, func() { f.arrives(t, guest, alice, strings.ReplaceAll(reply, "\n", "\r\n")) })
		f.eventually(t, "the mail lies in alice's mailbox", func() bool { return len(f.west.smarthost.mail(t, alice)) == 1 })
		kept := f.west.smarthost.mail(t, alice)[0]
		if _, after, found := strings.Cut(kept, "From: Guest"); !found || "From: Guest"+after != reply {
			t.Errorf("the mail has changed (-sent +kept):\n%s", cmp.Diff(reply, kept))
		}
		look(t, "PARTSTAT", "NEEDS-ACTION")
	})

	t.Run("a signed answer stands in the organizer's copy", func(t *testing.T) {
		reply := f.stranger.signed(t, f.stranger.reply(uid, alice, "ACCEPTED"))
		f.leaves(t, f.west, traffic{}, func() { f.arrives(t, guest, alice, reply) })
		look(t, "PARTSTAT", "ACCEPTED")
	})
}

// arrives hands a mail to the west's gateway as its MX would.
func (f *federation) arrives(t *testing.T, from, to, mail string) {
	t.Helper()
	conn, err := net.Dial("tcp", f.west.smtp)
	if err != nil {
		t.Fatal(err)
	}
	client, err := smtp.NewClient(conn, f.west.host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	auth := smtp.PlainAuth("", "cyrus", "mail-password-of-"+f.west.systems["Cyrus"].domain, f.west.host)
	for _, step := range []func() error{
		func() error { return client.StartTLS(&tls.Config{ServerName: f.west.host, RootCAs: f.ca.pool()}) },
		func() error { return client.Auth(auth) },
		func() error { return client.Mail(from) },
		func() error { return client.Rcpt(to) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	data, err := client.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(data, mail); err != nil {
		t.Fatal(err)
	}
	if err := data.Close(); err != nil {
		t.Fatal(err)
	}
	if err := client.Quit(); err != nil {
		t.Fatal(err)
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
