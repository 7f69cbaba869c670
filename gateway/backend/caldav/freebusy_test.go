package caldav_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
	"github.com/calfed/calfed/gateway/snapshot"
)

func question(attendees ...string) string {
	lines := []string{
		"METHOD:REQUEST", "BEGIN:VFREEBUSY", "UID:asked-1", "DTSTAMP:20261122T110000Z", "DTSTART:20270105T000000Z", "DTEND:20270107T000000Z",
		"ORGANIZER:mailto:carol@sender.example",
	}
	for _, a := range attendees {
		lines = append(lines, "ATTENDEE:mailto:"+a)
	}
	return ics(append(lines, "END:VFREEBUSY")...)
}

// busy are an answer's periods, from the asked start.
func busy(t *testing.T, answer []byte, of cua.Address) []string {
	t.Helper()
	periods, err := itip.ParseFreeBusy(answer, of)
	if err != nil {
		t.Fatalf("%v in\n%s", err, answer)
	}
	var out []string
	for _, p := range periods {
		out = append(out, fmt.Sprintf("%s %s+%s", p.Type, p.Start.Sub(time.Date(2027, 1, 5, 0, 0, 0, 0, time.UTC)), p.End.Sub(p.Start)))
	}
	return out
}

// Through the Outbox we ask in the principal's name, and the sender gets what it asked for and nothing that the server added.
//
// Proves: IS-BACK-5
func TestOutbox(t *testing.T) {
	f := newFake(t)
	var asked string
	f.hook = func(w http.ResponseWriter, r *http.Request, body string) bool {
		if r.Method != http.MethodPost || r.URL.Path != "/dav/outbox/bob/" {
			return false
		}
		asked = body
		one := func(who, status, data string) string {
			return "<c:response><c:recipient><d:href>" + who + "</d:href></c:recipient><c:request-status>" + status + "</c:request-status><c:calendar-data>" + escape(data) + "</c:calendar-data></c:response>"
		}
		answer := ics("METHOD:REPLY", "BEGIN:VFREEBUSY", "UID:inner", "DTSTAMP:20261122T110000Z", "DTSTART:20270101T000000Z", "DTEND:20270201T000000Z",
			"ORGANIZER:mailto:bob@example.org", "ATTENDEE:mailto:alice@example.org", "X-SUMMARY:secret meeting", "COMMENT:secret",
			"FREEBUSY;FBTYPE=BUSY;X-TITLE=secret:20270105T090000Z/PT1H,20270131T090000Z/PT1H", "END:VFREEBUSY")
		_, _ = io.WriteString(w, `<c:schedule-response xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav">`+
			one("mailto:stranger@example.org", "2.0;Success", answer)+one("MAILTO:Alice@example.org", "2.0;Success", answer)+one("mailto:x@example.org", "3.8;No authority", "")+
			one("mailto:y@example.org", "9.9;what", "")+one("mailto:z@example.org", "2.0", "no calendar")+"</c:schedule-response>")
		return true
	}
	b := f.backend(t, func(s *snapshot.CalDAV) { s.FreeBusyPrincipal = "/dav/users/bob/" })
	var to []cua.Address
	var names []string
	for _, name := range []string{"alice", "x", "y", "z", "nobody"} {
		names = append(names, name+"@example.org")
		to = append(to, cua.MustParse("mailto:"+name+"@example.org"))
	}
	results, err := b.Deliver(context.Background(), delivery(t, question(names...), carol, to...))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range results {
		got = append(got, r.Status.Code)
	}
	if d := cmp.Diff([]string{"2.0", "3.8", "3.7", "5.1", "5.1"}, got); d != "" { // y is nobody here
		t.Errorf("(-want +got):\n%s", d)
	}
	want := ics("METHOD:REPLY", "BEGIN:VFREEBUSY", "UID:asked-1", "DTSTAMP:20261122T120000Z", "ORGANIZER:mailto:carol@sender.example", "ATTENDEE:mailto:alice@example.org",
		"DTSTART:20270105T000000Z", "DTEND:20270107T000000Z", "FREEBUSY;FBTYPE=BUSY:20270105T090000Z/20270105T100000Z", "END:VFREEBUSY")
	want = strings.Replace(want, "-//test//test//EN", "-//calfed//calfed//EN", 1)
	if d := cmp.Diff(want, string(results[0].CalendarData)); d != "" {
		t.Errorf("answer (-want +got):\n%s", d)
	}
	for _, part := range []string{"METHOD:REQUEST\r\n", "ORGANIZER:mailto:bob@example.org\r\n", "ATTENDEE:mailto:alice@example.org\r\n", "DTSTART:20270105T000000Z\r\n", "DTEND:20270107T000000Z\r\n"} {
		if !strings.Contains(asked, part) {
			t.Errorf("no %q in the question\n%s", part, asked)
		}
	}
	if strings.Contains(asked, "carol") || strings.Contains(asked, "asked-1") {
		t.Errorf("the question tells who asks:\n%s", asked)
	}
	if h := f.writes[0]; h.Get("Originator") != "mailto:bob@example.org" || !strings.HasPrefix(h.Get("Recipient"), "mailto:alice@example.org, ") {
		t.Errorf("header %v", h)
	}
}

// late is a context that is over once it was told so, for those who ask.
type late struct {
	context.Context
	over atomic.Bool
}

func (c *late) Err() error {
	if c.over.Load() {
		return context.DeadlineExceeded
	}
	return nil
}

// A calendar that takes long to expand takes no longer than the question may.
//
// Proves: IS-BACK-5
func TestBusyEnds(t *testing.T) {
	f := newFake(t)
	f.objects[calendarOfAlice+"1.ics"] = ics("BEGIN:VEVENT", "UID:1", "DTSTAMP:20261101T110000Z", "DTSTART:20270105T090000Z", "DTEND:20270105T100000Z", "END:VEVENT")
	ctx := &late{Context: context.Background()}
	f.hook = func(w http.ResponseWriter, r *http.Request, body string) bool {
		refuse := strings.Contains(body, "free-busy-query")
		if refuse {
			w.WriteHeader(http.StatusForbidden)
		} else {
			ctx.over.Store(r.Method == "REPORT")
		}
		return refuse
	}
	_, err := f.backend(t, func(s *snapshot.CalDAV) { s.BypassACL = true }).Deliver(ctx, delivery(t, question("alice@example.org"), carol, alice))
	if !errors.Is(err, backend.ErrUnavailable) || !strings.Contains(err.Error(), "too long") {
		t.Errorf("%v", err)
	}
}

// Where nobody said how, free/busy is refused; where credentials may, the server is asked, and what it cannot say is computed.
//
// Proves: IS-BACK-5
func TestReadBusy(t *testing.T) {
	const zone = "<c:calendar-timezone>BEGIN:VCALENDAR&#13;\nBEGIN:VTIMEZONE&#13;\nTZID:Europe/Berlin&#13;\nEND:VTIMEZONE&#13;\nEND:VCALENDAR</c:calendar-timezone>"
	object := func(uid string, lines ...string) string {
		return ics(append(append([]string{"BEGIN:VEVENT", "UID:" + uid, "DTSTAMP:20261101T110000Z", "SUMMARY:secret"}, lines...), "END:VEVENT")...)
	}
	f := newFake(t)
	f.calProps = zone
	f.homeMore = response("/dav/calendars/alice/hobby/", "<d:resourcetype><d:collection/><c:calendar/></d:resourcetype><c:schedule-calendar-transp><c:transparent/></c:schedule-calendar-transp>")
	f.objects[calendarOfAlice+"1.ics"] = object("1", "DTSTART:20270105T090000Z", "DTEND:20270105T100000Z")
	f.objects[calendarOfAlice+"2.ics"] = object("2", "DTSTART:20270106T120000", "DTEND:20270106T130000") // floats
	f.objects[calendarOfAlice+"3.ics"] = object("3", "DTSTART:20270105T110000Z", "DTEND:20270105T120000Z", "ORGANIZER:mailto:carol@sender.example", "ATTENDEE;PARTSTAT=DECLINED:mailto:alice@example.org")
	f.objects[calendarOfAlice+"4.ics"] = "no calendar"
	f.objects["/dav/calendars/alice/hobby/5.ics"] = object("5", "DTSTART:20270105T150000Z", "DTEND:20270105T160000Z")

	if got := statuses(t, f.backend(t, nil), question("alice@example.org"), carol, alice); got != "5.3" {
		t.Errorf("not configured: %s", got)
	}
	bypass := func(s *snapshot.CalDAV) { s.BypassACL = true }
	for _, tt := range []struct {
		name   string
		status int
		kind   string
		body   string
		want   []string
	}{
		{"its answer", 200, "text/calendar; charset=utf-8", ics("BEGIN:VFREEBUSY", "DTSTAMP:20261122T110000Z", "FREEBUSY;FBTYPE=BUSY-TENTATIVE:20270105T070000Z/PT1H", "END:VFREEBUSY"), []string{"BUSY-TENTATIVE 7h0m0s+1h0m0s"}},
		{"forbidden", 403, "", "", []string{"BUSY 9h0m0s+1h0m0s", "BUSY 35h0m0s+1h0m0s"}},
		{"not implemented", 501, "", "", []string{"BUSY 9h0m0s+1h0m0s", "BUSY 35h0m0s+1h0m0s"}},
		{"not understood", 207, "application/xml", `<d:multistatus xmlns:d="DAV:"/>`, []string{"BUSY 9h0m0s+1h0m0s", "BUSY 35h0m0s+1h0m0s"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f.hook = func(w http.ResponseWriter, r *http.Request, body string) bool {
				if !strings.Contains(body, "free-busy-query") {
					return false
				}
				if !strings.Contains(body, `start="20270105T000000Z" end="20270107T000000Z"`) {
					t.Errorf("asked %s", body)
				}
				w.Header().Set("Content-Type", tt.kind)
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
				return true
			}
			results, err := f.backend(t, bypass).Deliver(context.Background(), delivery(t, question("alice@example.org"), carol, alice))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, busy(t, results[0].CalendarData, alice)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if strings.Contains(string(results[0].CalendarData), "secret") {
				t.Errorf("answer:\n%s", results[0].CalendarData)
			}
		})
	}
}

// Who names a principal is asked about through it alone, though our credentials could read more; and only a server whose own answer is right
// is asked for one.
//
// Proves: IS-BACK-5
func TestBusyIsAskedInOneWay(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*snapshot.CalDAV)
		want   string
		query  bool
	}{
		{"principal and bypassACL", func(s *snapshot.CalDAV) { s.FreeBusyPrincipal, s.BypassACL = "/dav/users/bob/", true }, "PROPFIND POST", false},
		{"SabreDAV", func(s *snapshot.CalDAV) { s.BypassACL = true }, "PROPFIND PROPFIND REPORT REPORT", true},
		{"DAViCal", func(s *snapshot.CalDAV) { s.BypassACL, s.Profile = true, snapshot.ProfileDAViCal }, "PROPFIND PROPFIND REPORT", false},
		{"Radicale", func(s *snapshot.CalDAV) { s.BypassACL, s.Profile = true, snapshot.ProfileRadicale }, "PROPFIND PROPFIND REPORT", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			query, around := false, false
			f.hook = func(w http.ResponseWriter, r *http.Request, body string) bool {
				query = query || strings.Contains(body, "free-busy-query")
				// what floats may be a day away from where the server places it
				around = around || strings.Contains(body, `start="20270104T000000Z" end="20270108T000000Z"`)
				if r.Method == http.MethodPost || strings.Contains(body, "free-busy-query") {
					w.WriteHeader(http.StatusNotFound)
					return true
				}
				return false
			}
			if _, err := f.backend(t, tt.change).Deliver(t.Context(), delivery(t, question("alice@example.org"), carol, alice)); err != nil {
				t.Fatal(err)
			}
			var methods []string
			for _, r := range f.requests() {
				method, _, _ := strings.Cut(r, " ")
				methods = append(methods, method)
			}
			if got := strings.Join(methods, " "); got != tt.want || query != tt.query || around != strings.Contains(tt.want, "REPORT") {
				t.Errorf("%s, want %s; free-busy-query: %v; a day on either side: %v", got, tt.want, query, around)
			}
		})
	}
}
