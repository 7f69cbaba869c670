package caldav_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/backend/caldav"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	alice = cua.MustParse("mailto:alice@example.org")
	bob   = cua.MustParse("mailto:bob@example.org")
	carol = cua.MustParse("mailto:carol@sender.example")
	start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

// fake is a calendar server that does as little as can be, for answers that no real one gives: users alice and bob, a calendar
// each; its calendar-query filters nothing.
type fake struct {
	url string

	mu       sync.Mutex
	hook     func(w http.ResponseWriter, r *http.Request, body string) bool // true = answered
	objects  map[string]string                                              // by path
	version  map[string]int
	seen     []string // "METHOD path"
	writes   []http.Header
	logged   strings.Builder
	clock    time.Time
	wrote    []string // what Echoes was told
	panics   bool     // Echoes does
	homeMore string   // further responses in the calendar home
	calProps string   // further properties of the calendar
}

// newFake runs a server.
func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{objects: map[string]string{}, version: map[string]int{}, clock: start}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	f.url = s.URL
	return f
}

// backend makes a Backend for the server.
func (f *fake) backend(t *testing.T, change func(*snapshot.CalDAV)) *caldav.Backend {
	t.Helper()
	server := snapshot.CalDAV{
		URL: f.url + "/dav/", Profile: snapshot.ProfileSabreDAV, PrincipalTemplate: "/dav/users/{local}/", Username: "gateway", Password: "secret",
	}
	if change != nil {
		change(&server)
	}
	b, err := caldav.New(caldav.Config{
		Server: server, Guard: netguard.New(netguard.Config{BackendCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}),
		Echoes: f, UserAgent: "calfed/test", Now: f.now, Log: slog.New(slog.NewTextHandler(f, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func (f *fake) now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.clock
}

// Wrote implements backend.Echoes.
func (f *fake) Wrote(owner cua.Address, object []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.panics {
		panic("secret")
	}
	f.wrote = append(f.wrote, owner.String()+" "+string(object))
}

// Write implements io.Writer, for the log.
func (f *fake) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.logged.Write(p)
}

// requests are those seen, "METHOD path", of the methods asked for.
func (f *fake) requests(methods ...string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, r := range f.seen {
		if method, _, _ := strings.Cut(r, " "); len(methods) == 0 || slices.Contains(methods, method) {
			out = append(out, r)
		}
	}
	return out
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, r.Method+" "+r.URL.EscapedPath())
	if r.Method == http.MethodPut || r.Method == http.MethodDelete || r.Method == http.MethodPost {
		f.writes = append(f.writes, r.Header.Clone())
	}
	if f.hook != nil && f.hook(w, r, string(body)) {
		return
	}
	segments := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	user := ""
	if len(segments) >= 3 {
		user = segments[2]
	}
	switch {
	case user != "" && user != "alice" && user != "bob":
		w.WriteHeader(http.StatusNotFound)
	case r.Method == "PROPFIND" && len(segments) == 1:
		f.multistatus(w, response("/dav/", "<d:principal-collection-set><d:href>/dav/users/</d:href></d:principal-collection-set>"))
	case r.Method == "PROPFIND" && len(segments) == 3 && segments[1] == "users":
		f.multistatus(w, f.principal(user))
	case r.Method == "PROPFIND" && len(segments) == 3:
		f.multistatus(w, response("/dav/calendars/"+user+"/", "<d:resourcetype><d:collection/></d:resourcetype>")+
			response("/dav/calendars/"+user+"/personal/", "<d:resourcetype><d:collection/><c:calendar/></d:resourcetype>"+f.calProps)+f.homeMore)
	case r.Method == "REPORT":
		f.report(w, r.URL.Path)
	default:
		f.object(w, r, string(body))
	}
}

func (f *fake) principal(user string) string {
	return response("/dav/users/"+user+"/", "<c:calendar-home-set><d:href>/dav/calendars/"+user+"/</d:href></c:calendar-home-set>"+
		"<c:calendar-user-address-set><d:href>mailto:"+user+"@example.org</d:href><d:href>mailto:"+user+".alias@example.org</d:href><d:href>/dav/users/"+user+"/</d:href></c:calendar-user-address-set>"+
		"<c:schedule-outbox-URL><d:href>/dav/outbox/"+user+"/</d:href></c:schedule-outbox-URL>")
}

func (f *fake) report(w http.ResponseWriter, folder string) {
	list := ""
	for path, object := range f.objects {
		if strings.HasPrefix(path, folder) {
			list += response(path, "<c:calendar-data>"+escape(object)+"</c:calendar-data>")
		}
	}
	f.multistatus(w, list)
}

func (f *fake) object(w http.ResponseWriter, r *http.Request, body string) {
	path := r.URL.Path
	old, there := f.objects[path]
	tag := fmt.Sprintf(`"%s-%d"`, path, f.version[path])
	if r.Header.Get("If-None-Match") == "*" && there || r.Header.Get("If-Match") != "" && r.Header.Get("If-Match") != tag {
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	}
	switch {
	case r.Method == http.MethodPut:
		f.objects[path] = body
		f.version[path]++
		w.WriteHeader(http.StatusCreated)
	case !there:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodDelete:
		delete(f.objects, path)
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodGet:
		w.Header().Set("ETag", tag)
		_, _ = io.WriteString(w, old)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (f *fake) multistatus(w http.ResponseWriter, responses string) { multistatus(w, responses) }

func multistatus(w http.ResponseWriter, responses string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusMultiStatus)
	_, _ = io.WriteString(w, `<d:multistatus xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav">`+responses+"</d:multistatus>")
}

func response(href, props string) string {
	return "<d:response><d:href>" + href + "</d:href><d:propstat><d:prop>" + props + "</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

func ics(lines ...string) string {
	return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//test//EN\r\n" + strings.Join(lines, "\r\n") + "\r\nEND:VCALENDAR\r\n"
}

// meeting is a message of carol's, who invites alice and bob; more lines go into the event.
func meeting(method string, sequence int, more ...string) string {
	lines := []string{
		"METHOD:" + method, "BEGIN:VEVENT", "UID:meeting-1@sender.example", fmt.Sprintf("DTSTAMP:202611%02dT110000Z", 1+sequence), fmt.Sprintf("SEQUENCE:%d", sequence),
		"ORGANIZER:mailto:carol@sender.example", "ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:alice@example.org",
		"ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:bob@example.org",
	}
	return ics(append(append(lines, more...), "END:VEVENT")...)
}

// invitation is a plain one.
func invitation(sequence int) string {
	return meeting("REQUEST", sequence, "DTSTART:20270105T090000Z", "DTEND:20270105T100000Z", fmt.Sprintf("SUMMARY:Plan %d", sequence))
}

// asStored is a message as a calendar holds it.
func asStored(message string) string {
	lines := strings.SplitAfter(message, "\r\n")
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "METHOD:") }), "")
}

func delivery(t *testing.T, body string, from cua.Address, to ...cua.Address) *backend.Delivery {
	t.Helper()
	m, err := itip.Inspect([]byte(body), itip.Limits{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return &backend.Delivery{MessageID: "m", Originator: from, Recipients: to, Body: []byte(body), Message: m}
}

// statuses delivers a message and returns the codes.
func statuses(t *testing.T, b *caldav.Backend, body string, from cua.Address, to ...cua.Address) string {
	t.Helper()
	results, err := b.Deliver(context.Background(), delivery(t, body, from, to...))
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for i, r := range results {
		if !r.Recipient.Equal(to[i]) {
			t.Errorf("result %d is for %v", i, r.Recipient)
		}
		codes = append(codes, r.Status.Code)
	}
	return strings.Join(codes, " ")
}
