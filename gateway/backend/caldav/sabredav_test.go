package caldav_test

import (
	"context"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/backend/caldav"
	"github.com/calfed/calfed/gateway/backend/caldav/caldavtest"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/snapshot"
)

// sabre is an auto-scheduling server, and a Backend that writes into it.
type sabre struct {
	server  *caldavtest.Server
	backend *caldav.Backend
	url     string

	mu   sync.Mutex
	sent []string // methods
}

func newSabre(t testing.TB, change func(*snapshot.CalDAV)) *sabre {
	t.Helper()
	s := &sabre{}
	s.server = caldavtest.New(caldavtest.Config{
		Users: []caldavtest.User{
			{Address: alice, Aliases: []cua.Address{cua.MustParse("mailto:alice.smith@example.org")}, Password: "pwalice"}, {Address: bob, Password: "pwbob"},
		},
		Service: "gateway", ServicePassword: "secret",
		Schedule: func(_ context.Context, m caldavtest.Message) error {
			_, after, _ := strings.Cut(string(m.Body), "METHOD:")
			method, _, _ := strings.Cut(after, "\r\n")
			s.mu.Lock()
			defer s.mu.Unlock()
			s.sent = append(s.sent, method)
			return nil
		},
	})
	web := httptest.NewServer(s.server)
	t.Cleanup(web.Close)
	s.url = web.URL + "/dav/"
	config := snapshot.CalDAV{URL: s.url, Profile: snapshot.ProfileSabreDAV, PrincipalTemplate: "/dav/{local}/", Username: "gateway", Password: "secret", BypassACL: true}
	if change != nil {
		change(&config)
	}
	var err error
	s.backend, err = caldav.New(caldav.Config{
		Server: config, Guard: netguard.New(netguard.Config{BackendCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}), UserAgent: "calfed/test",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.backend.Close)
	return s
}

// An auto-scheduling server's attendee copy follows the organizer, and the server answers nobody for what we wrote.
//
// Proves: IS-BACK-2, IS-BACK-3, IS-BACK-4
func TestSabreDAVAttendee(t *testing.T) {
	s := newSabre(t, nil)
	const uid = "meeting-1@sender.example"
	weekly := []string{"DTSTART:20270104T090000Z", "DTEND:20270104T100000Z", "RRULE:FREQ=WEEKLY;COUNT=6"}
	nobody := cua.MustParse("mailto:nobody@example.org")
	for _, step := range []struct{ name, body, present, absent string }{
		{"invitation", meeting("REQUEST", 0, append(weekly, "SUMMARY:Plan")...), "SUMMARY:Plan\r\n", "METHOD"},
		{"new title", meeting("REQUEST", 1, append(weekly, "SUMMARY:Plan B")...), "SUMMARY:Plan B\r\n", "SUMMARY:Plan\r\n"},
		{"one instance moves", meeting("REQUEST", 2, "RECURRENCE-ID:20270111T090000Z", "DTSTART:20270111T150000Z", "DTEND:20270111T160000Z", "SUMMARY:Later"), "SUMMARY:Later", "METHOD"},
		{"one instance is cancelled", meeting("CANCEL", 3, "RECURRENCE-ID:20270118T090000Z", "DTSTART:20270118T090000Z"), "EXDATE:20270118T090000Z", "METHOD"},
		{"cancelled", meeting("CANCEL", 4, weekly[0]), "STATUS:CANCELLED", "METHOD"},
	} {
		if got := statuses(t, s.backend, step.body, carol, alice, nobody); got != "2.0 3.7" {
			t.Fatalf("%s: %s", step.name, got)
		}
		if object := string(s.server.Object(alice, uid)); !strings.Contains(object, step.present) || strings.Contains(object, step.absent) {
			t.Errorf("%s:\n%s", step.name, object)
		}
	}
	if len(s.sent) != 0 {
		t.Errorf("sent because of our writes: %v", s.sent)
	}
}

// Answers reach the organizer's copy; aliases are the user's; users are found by address without a template.
//
// Proves: IS-BACK-2, IS-BACK-3
func TestSabreDAVOrganizer(t *testing.T) {
	s := newSabre(t, func(c *snapshot.CalDAV) { c.PrincipalTemplate = "" })
	own := ics("BEGIN:VEVENT", "UID:own-1", "DTSTAMP:20261101T110000Z", "SEQUENCE:0", "DTSTART:20270104T090000Z", "DTEND:20270104T100000Z",
		"ORGANIZER:mailto:alice@example.org", "ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:carol@sender.example", "END:VEVENT")
	s.server.Put(alice, "own-1", []byte(own))
	reply := ics("METHOD:REPLY", "BEGIN:VEVENT", "UID:own-1", "DTSTAMP:20261123T110000Z", "SEQUENCE:0", "DTSTART:20270104T090000Z",
		"ORGANIZER:mailto:alice@example.org", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:carol@sender.example", "END:VEVENT")
	if got := statuses(t, s.backend, reply, carol, alice); got != "2.0" {
		t.Fatal(got)
	}
	if object := string(s.server.Object(alice, "own-1")); !strings.Contains(object, "PARTSTAT=ACCEPTED") {
		t.Errorf("stored:\n%s", object)
	}
	alias := cua.MustParse("mailto:alice.smith@example.org")
	if got := statuses(t, s.backend, strings.ReplaceAll(invitation(0), alice.String(), alias.String()), carol, alias); got != "2.0" {
		t.Errorf("alias: %s", got)
	}
}

// The test of itself passes, free/busy included.
//
// Proves: IS-BACK-2, IS-BACK-5
func TestSabreDAVTest(t *testing.T) {
	s := newSabre(t, nil)
	for _, c := range s.backend.Test(context.Background(), alice) {
		if !c.OK {
			t.Errorf("%+v", c)
		}
	}
	s.server.Put(alice, "busy", []byte(ics("BEGIN:VEVENT", "UID:busy", "DTSTAMP:20261101T110000Z", "DTSTART:20270105T090000Z", "DTEND:20270105T100000Z", "SUMMARY:secret", "END:VEVENT")))
	results, err := s.backend.Deliver(context.Background(), delivery(t, question("alice@example.org"), carol, alice))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"BUSY 9h0m0s+1h0m0s"}, busy(t, results[0].CalendarData, alice)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
