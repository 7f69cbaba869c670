package gateway_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway"
	"github.com/calfed/calfed/gateway/backend/caldav/caldavtest"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
	"github.com/calfed/calfed/gateway/snapshot"
)

// office is an organisation whose calendar server schedules by itself, whoever writes into it.
type office struct {
	*site
	domain    string
	user      cua.Address
	calendars *caldavtest.Server
	url       string
	hand      func(ctx context.Context, m caldavtest.Message) error // to the gateway; nil = over HTTP

	mu        sync.Mutex
	submitted []string // METHOD and status of what the calendar server handed to the gateway
}

func newOffice(t *testing.T, domain, user string) *office {
	t.Helper()
	return newOfficeWith(t, domain, user, func(*gateway.Options, *caldavtest.Config, *snapshot.CalDAV) {})
}

func newOfficeWith(t *testing.T, domain, user string, change func(*gateway.Options, *caldavtest.Config, *snapshot.CalDAV)) *office {
	t.Helper()
	o := &office{domain: domain, user: cua.MustParse("mailto:" + user + "@" + domain)}
	calendars := caldavtest.Config{
		Users:   []caldavtest.User{{Address: o.user, Password: "secret"}},
		Service: "gateway", ServicePassword: "service", Schedule: o.schedule, Deaf: true,
	}
	backend := snapshot.CalDAV{Profile: snapshot.ProfileSabreDAV, Username: "gateway", Password: "service", BypassACL: true}
	var options gateway.Options
	change(&options, &calendars, &backend)
	o.calendars = caldavtest.New(calendars)
	server := httptest.NewServer(o.calendars)
	t.Cleanup(server.Close)
	o.url = server.URL
	backend.URL = o.url
	o.site = newSite(t, func(opt *gateway.Options, s *snapshot.Snapshot) {
		opt.Now = options.Now
		d := &s.Domains[0]
		d.Name = domain
		d.Signing.Keys[0].Domain = domain
		d.Backend = snapshot.Backend{Type: snapshot.BackendCalDAV, CalDAV: &backend}
		token := sha256.Sum256([]byte(submitToken))
		d.Submitters = []snapshot.Submitter{{Name: "calendar", TokenSHA256: token[:]}}
	})
	return o
}

// meet tells each of two running gateways where the other is, and how it signs.
func meet(t *testing.T, a, b *office) {
	t.Helper()
	for _, pair := range [][2]*office{{a, b}, {b, a}} {
		own, other := pair[0], pair[1]
		key := other.snap.Domains[0].Signing.Keys[0]
		own.snap.Policies[0].Peers = []string{other.domain}
		own.snap.Policies[0].Inbound.PinnedKeys = []snapshot.PinnedKey{{Domain: other.domain, Selector: key.Selector, Record: key.Record}}
		own.snap.Policies[0].Outbound = snapshot.Outbound{Endpoint: other.publicURL(ischedule.WellKnownPath), CABundle: other.ca.PEM()}
		check(t, own.Apply(own.snap))
	}
}

// schedule hands a message to the gateway, and notes what became of it.
func (o *office) schedule(ctx context.Context, m caldavtest.Message) error {
	if o.hand != nil {
		return o.hand(ctx, m)
	}
	read, err := itip.Inspect(m.Body, itip.Limits{}, 0)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.submitURL("http"), bytes.NewReader(m.Body))
	if err != nil {
		return err
	}
	req.Header = http.Header{
		ischedule.HeaderVersion:    {ischedule.Version},
		ischedule.HeaderOriginator: {m.Originator.URI()},
		ischedule.HeaderRecipient:  {m.Recipients[0].URI()},
		"Content-Type":             {"text/calendar; charset=utf-8; component=VEVENT; method=" + read.Method},
		"Authorization":            {"Bearer " + submitToken},
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	answer, err := ischedule.ReadResponse(body)
	if err != nil {
		return fmt.Errorf("%s: %s", resp.Status, body)
	}
	what := read.Method + " " + answer.Results[0].Status.Code
	if strings.Contains(answer.Results[0].Description, "echo") {
		what += " echo"
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.submitted = append(o.submitted, what)
	return nil
}

// seen returns what the calendar server handed over since the last call.
func (o *office) seen() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := o.submitted
	o.submitted = nil
	return out
}

// put stores an object as the user's calendar program does; "" removes it.
func (o *office) put(t *testing.T, object string) {
	t.Helper()
	method := http.MethodPut
	if object == "" {
		method = http.MethodDelete
	}
	path := o.url + "/dav/" + o.user.Local() + "/calendars/calendar/"
	stored := o.calendars.Path(o.user, "series@example")
	if stored == "" {
		stored = path[len(o.url):] + "own.ics"
	}
	req, err := http.NewRequest(method, o.url+stored, strings.NewReader(object))
	check(t, err)
	req.SetBasicAuth(o.user.Local(), "secret")
	resp, err := http.DefaultClient.Do(req)
	check(t, err)
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %s", method, resp.Status, body)
	}
}

// object is the stored series, unfolded.
func (o *office) object() string {
	return strings.ReplaceAll(string(o.calendars.Object(o.user, "series@example")), "\r\n ", "")
}

var accepted = regexp.MustCompile(`(?m)^ATTENDEE;PARTSTAT=ACCEPTED[^:]*:mailto:bert`)

// Two calendar servers that schedule whenever anything is written, each behind a gateway: every act of a user makes the messages
// it must, and what the servers say because the gateways wrote is swallowed.
//
// Proves: IS-SUB-3, IS-BACK-2, IS-BACK-4
func TestServersThatAnswerEverythingComeToRest(t *testing.T) {
	a, b := newOffice(t, "a.example", "anna"), newOffice(t, "b.example", "bert")
	a.run()
	b.run()
	meet(t, a, b)

	series := func(sequence, hour int, extra string) string {
		return strings.ReplaceAll(fmt.Sprintf(`BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//EN
BEGIN:VEVENT
UID:series@example
DTSTAMP:%s
DTSTART:20271201T%02d0000Z
DTEND:20271201T%02d3000Z
RRULE:FREQ=DAILY;COUNT=5
%sSEQUENCE:%d
SUMMARY:Standup
ORGANIZER:mailto:anna@a.example
ATTENDEE;PARTSTAT=ACCEPTED:mailto:anna@a.example
ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bert@b.example
END:VEVENT
END:VCALENDAR
`, time.Now().UTC().Add(time.Duration(sequence)*time.Second).Format("20060102T150405Z"), hour, hour, extra, sequence), "\n", "\r\n")
	}
	expect := func(step string, fromA, fromB []string) {
		t.Helper()
		if diff := cmp.Diff(fromA, a.seen()); diff != "" {
			t.Errorf("%s: from a: %s", step, diff)
		}
		if diff := cmp.Diff(fromB, b.seen()); diff != "" {
			t.Errorf("%s: from b: %s", step, diff)
		}
	}

	a.put(t, series(0, 10, ""))
	if !strings.Contains(b.object(), "DTSTART:20271201T100000Z") {
		t.Fatalf("b has\n%s", b.object())
	}
	expect("invite", []string{"REQUEST 2.0"}, nil)

	b.put(t, strings.Replace(b.object(), "PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bert", "PARTSTAT=ACCEPTED:mailto:bert", 1))
	if !accepted.MatchString(a.object()) {
		t.Errorf("a has\n%s", a.object())
	}
	// a's server tells everybody what the gateway wrote: nobody hears it
	expect("accept", []string{"REQUEST 2.0 echo"}, []string{"REPLY 2.0"})

	a.put(t, strings.Replace(series(1, 10, "EXDATE:20271203T100000Z\n"), "PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bert", "PARTSTAT=ACCEPTED:mailto:bert", 1))
	// b's server takes the EXDATE that the gateway wrote for a refusal
	expect("strike an instance out", []string{"REQUEST 2.0"}, []string{"REPLY 2.0 echo"})

	a.put(t, series(2, 15, ""))
	if !strings.Contains(b.object(), "DTSTART:20271201T150000Z") {
		t.Errorf("b has\n%s", b.object())
	}
	moved := b.seen()
	for _, m := range moved {
		if !strings.HasSuffix(m, " echo") {
			t.Errorf("reschedule: b says %s", m)
		}
	}
	expect("reschedule", []string{"REQUEST 2.0"}, nil)

	b.put(t, strings.Replace(b.object(), "PARTSTAT=NEEDS-ACTION", "PARTSTAT=DECLINED", 1))
	expect("decline", []string{"REQUEST 2.0 echo"}, []string{"REPLY 2.0"})

	a.put(t, "")
	if !strings.Contains(b.object(), "STATUS:CANCELLED") {
		t.Errorf("b has\n%s", b.object())
	}
	for _, m := range b.seen() {
		if !strings.HasSuffix(m, " echo") {
			t.Errorf("cancel: b says %s", m)
		}
	}
	expect("cancel", []string{"CANCEL 2.0"}, nil)
}
