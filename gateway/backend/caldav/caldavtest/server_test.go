package caldavtest_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/backend/caldav/caldavtest"
	"github.com/calfed/calfed/gateway/cua"
)

var (
	anna = cua.MustParse("mailto:anna@a.example")
	bert = cua.MustParse("mailto:bert@b.example")
)

// desk is a server with anna's calendar, and what it sent.
type desk struct {
	t    *testing.T
	url  string
	sent []string
}

func newDesk(t *testing.T, deaf bool) *desk {
	d := &desk{t: t}
	s := caldavtest.New(caldavtest.Config{
		Users: []caldavtest.User{{Address: anna, Password: "secret"}}, Service: "gateway", ServicePassword: "service", Deaf: deaf,
		Schedule: func(_ context.Context, m caldavtest.Message) error {
			for line := range strings.Lines(strings.ReplaceAll(string(m.Body), "\r\n ", "")) {
				for _, name := range []string{"METHOD:", "RECURRENCE-ID", "ATTENDEE;", "ATTENDEE:"} {
					if strings.HasPrefix(line, name) {
						d.sent = append(d.sent, strings.TrimSpace(line))
					}
				}
			}
			return nil
		},
	})
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	d.url = server.URL
	return d
}

func (d *desk) do(method, path, login, body string, header ...string) (int, string) {
	d.t.Helper()
	req, err := http.NewRequest(method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	user, password, _ := strings.Cut(login, ":")
	req.SetBasicAuth(user, password)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

const object = "/dav/anna/calendars/calendar/1.ics"

// event is anna's or bert's; lines come on top.
func event(organizer, partstat string, lines ...string) string {
	return strings.Join(append(append([]string{
		"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", "BEGIN:VEVENT", "UID:1@example", "DTSTAMP:20261122T120000Z",
		"DTSTART:20271201T100000Z", "DTEND:20271201T110000Z", "RRULE:FREQ=DAILY;COUNT=3", "ORGANIZER:" + organizer,
	}, lines...), "ATTENDEE;PARTSTAT="+partstat+":"+anna.URI(), "ATTENDEE;PARTSTAT=NEEDS-ACTION:"+bert.URI(), "END:VEVENT", "END:VCALENDAR", ""), "\r\n")
}

func TestWhatAWriteSetsOff(t *testing.T) {
	toBert := []string{"METHOD:REQUEST", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:anna@a.example", "ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:bert@b.example"}
	for name, tc := range map[string]struct {
		before, after string
		header        []string
		deaf          bool
		want          []string
	}{
		"an organizer invites":                  {"", event(anna.URI(), "ACCEPTED"), nil, false, toBert},
		"an organizer changes nothing":          {event(anna.URI(), "ACCEPTED"), event(anna.URI(), "ACCEPTED", "X-SEEN:yes"), nil, false, nil},
		"an organizer changes the place":        {event(anna.URI(), "ACCEPTED"), event(anna.URI(), "ACCEPTED", "LOCATION:East"), nil, false, toBert},
		"an organizer removes the event":        {event(anna.URI(), "ACCEPTED"), "", nil, false, []string{"METHOD:CANCEL", "ATTENDEE:mailto:bert@b.example"}},
		"an invitation arrives":                 {"", event(bert.URI(), "NEEDS-ACTION"), nil, false, nil},
		"an attendee accepts":                   {event(bert.URI(), "NEEDS-ACTION"), event(bert.URI(), "ACCEPTED"), nil, false, []string{"METHOD:REPLY", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:anna@a.example"}},
		"an attendee strikes an instance out":   {event(bert.URI(), "ACCEPTED"), event(bert.URI(), "ACCEPTED", "EXDATE:20271202T100000Z"), nil, false, []string{"METHOD:REPLY", "ATTENDEE;PARTSTAT=DECLINED:mailto:anna@a.example", "RECURRENCE-ID:20271202T100000Z"}},
		"an attendee removes the event":         {event(bert.URI(), "ACCEPTED"), "", nil, false, []string{"METHOD:REPLY", "ATTENDEE;PARTSTAT=DECLINED:mailto:anna@a.example"}},
		"the writer wants no reply":             {event(bert.URI(), "NEEDS-ACTION"), event(bert.URI(), "ACCEPTED"), []string{"Schedule-Reply", "F"}, false, nil},
		"the writer wants none, and is ignored": {event(bert.URI(), "NEEDS-ACTION"), event(bert.URI(), "ACCEPTED"), []string{"Schedule-Reply", "F"}, true, []string{"METHOD:REPLY", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:anna@a.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, tc.deaf)
			if tc.before != "" {
				if status, text := d.do(http.MethodPut, object, "anna:secret", tc.before); status != http.StatusCreated {
					t.Fatal(status, text)
				}
			}
			d.sent = nil
			method := http.MethodPut
			if tc.after == "" {
				method = http.MethodDelete
			}
			if status, text := d.do(method, object, "anna:secret", tc.after, tc.header...); status/100 != 2 {
				t.Fatal(status, text)
			}
			if diff := cmp.Diff(tc.want, d.sent); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	d := newDesk(t, false)
	for _, tc := range []struct {
		what, method, path, login, body string
		header                          []string
		want                            int
	}{
		{"nobody", "PROPFIND", "/dav/anna/", ":", "", nil, 401},
		{"a wrong password", "PROPFIND", "/dav/anna/", "anna:wrong", "", nil, 401},
		{"the principal", "PROPFIND", "/dav/anna/", "anna:secret", "", nil, 207},
		{"the home", "PROPFIND", "/dav/anna/calendars/", "anna@a.example:secret", "", []string{"Depth", "1"}, 207},
		{"somebody else's", "PROPFIND", "/dav/eve/", "anna:secret", "", nil, 404},
		{"where to begin", "GET", "/.well-known/caldav", "anna:secret", "", nil, 301},
		{"no calendar object", "PUT", object, "anna:secret", "BEGIN:VCALENDAR", nil, 403},
		{"a new object", "PUT", object, "gateway:service", event(bert.URI(), "NEEDS-ACTION"), []string{"If-None-Match", "*"}, 201},
		{"it is not new any more", "PUT", object, "gateway:service", event(bert.URI(), "NEEDS-ACTION"), []string{"If-None-Match", "*"}, 412},
		{"another version of it", "PUT", object, "anna:secret", event(bert.URI(), "ACCEPTED"), []string{"If-Match", `"other"`}, 412},
		{"the object", "GET", object, "anna:secret", "", nil, 200},
		{"the service asks who has an address", "REPORT", "/dav/", "gateway:service", `<principal-property-search xmlns="DAV:"><property-search><prop/><match>mailto:anna@a.example</match></property-search></principal-property-search>`, nil, 207},
	} {
		if status, text := d.do(tc.method, tc.path, tc.login, tc.body, tc.header...); status != tc.want {
			t.Errorf("%s: %d, want %d: %s", tc.what, status, tc.want, text)
		}
	}
}

// A client learns on whatever it looks at that the server sends the invitations.
func TestServerSaysThatItSchedules(t *testing.T) {
	d := newDesk(t, false)
	for _, path := range []string{"/", "/dav/", "/dav/anna/", "/dav/anna/calendars/", "/dav/anna/calendars/calendar/"} {
		for _, method := range []string{http.MethodOptions, "PROPFIND"} {
			req, err := http.NewRequest(method, d.url+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.SetBasicAuth("anna", "secret")
			req.Header.Set("Depth", "0")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if got := resp.Header.Values("DAV"); len(got) != 1 || !strings.HasSuffix(got[0], ", calendar-auto-schedule") || resp.StatusCode/100 != 2 {
				t.Errorf("%s %s: %d, DAV %q", method, path, resp.StatusCode, got)
			}
		}
	}
}
