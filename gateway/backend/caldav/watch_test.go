package caldav_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/calfed/calfed/gateway/backend/caldav"
	"github.com/calfed/calfed/gateway/backend/caldav/caldavtest"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/snapshot"
)

// quiet is a calendar server that sends no answers, with the user alice, and a back end that looks for them.
type quiet struct {
	t       *testing.T
	server  *caldavtest.Server
	url     string
	front   func(w http.ResponseWriter, r *http.Request) bool // true = answered
	metrics *prometheus.Registry
	watch   *caldav.Watch
	backend *caldav.Backend

	mu    sync.Mutex
	clock time.Time
	log   strings.Builder
	seen  []string // "METHOD path" since the last poll began
	sent  []string // "PARTSTAT RECURRENCE-ID" of what was handed to the organizer
	fail  error    // of the next answers
}

func newQuiet(t *testing.T) *quiet {
	t.Helper()
	q := &quiet{t: t, clock: start, metrics: prometheus.NewRegistry()}
	q.server = caldavtest.New(caldavtest.Config{
		Users: []caldavtest.User{{Address: alice, Password: "secret"}}, Service: "gateway", ServicePassword: "service", Now: q.now,
	})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q.mu.Lock()
		q.seen = append(q.seen, r.Method+" "+r.URL.Path)
		front := q.front
		q.mu.Unlock()
		if front == nil || !front(w, r) {
			q.server.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	q.url = s.URL
	q.watch = q.newWatch(q.metrics)
	q.backend = q.dial("service")
	return q
}

func (q *quiet) newWatch(reg prometheus.Registerer) *caldav.Watch {
	return caldav.NewWatch(caldav.WatchConfig{Registerer: reg, Now: q.now, Log: slog.New(slog.NewTextHandler(q, nil))})
}

func (q *quiet) dial(password string) *caldav.Backend {
	q.t.Helper()
	return q.dialAs(snapshot.ProfileDAViCal, password)
}

func (q *quiet) dialAs(profile snapshot.CalDAVProfile, password string) *caldav.Backend {
	q.t.Helper()
	b, err := caldav.New(caldav.Config{
		Server: snapshot.CalDAV{URL: q.url + "/dav/", Profile: profile, Username: "gateway", Password: password},
		Guard:  netguard.New(netguard.Config{BackendCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}),
		Watch:  q.watch, UserAgent: "calfed/test", Now: q.now, Log: slog.New(slog.NewTextHandler(q, nil)),
	})
	if err != nil {
		q.t.Fatal(err)
	}
	q.t.Cleanup(b.Close)
	return b
}

func (q *quiet) now() time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.clock
}

// Write implements io.Writer, for the log.
func (q *quiet) Write(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.log.Write(p)
}

// deliver applies a message of carol's for alice.
func (q *quiet) deliver(body string) {
	q.t.Helper()
	if got := statuses(q.t, q.backend, body, carol, alice); got != "2.0" {
		q.t.Fatalf("delivery: %s", got)
	}
}

// pass lets time go by.
func (q *quiet) pass(d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.clock = q.clock.Add(d)
	q.seen = nil
}

// poll lets enough time go by for the calendar to be looked at again, and returns what the organizer has got.
func (q *quiet) poll() []string {
	q.t.Helper()
	q.pass(12 * time.Second)
	return q.look()
}

func (q *quiet) look() []string {
	q.t.Helper()
	q.backend.Poll(q.t.Context(), q.answer)
	q.mu.Lock()
	defer q.mu.Unlock()
	out := q.sent
	q.sent = nil
	return out
}

// answer is what the gateway would send.
func (q *quiet) answer(_ context.Context, owner, organizer cua.Address, reply []byte) error {
	m, err := itip.Inspect(reply, itip.Limits{}, 0)
	if err != nil {
		q.t.Errorf("%v in\n%s", err, reply)
		return err
	}
	if err := m.CheckParties(owner, []cua.Address{organizer}); err != nil || m.Method != "REPLY" || len(m.Violations) > 0 || !owner.Equal(alice) || !organizer.Equal(carol) {
		q.t.Errorf("%v, %v in\n%s", err, m.Violations, reply)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fail != nil {
		return q.fail
	}
	var said []string
	for _, c := range m.Instances {
		said = append(said, strings.TrimSpace(fmt.Sprintf("%s/%d %s", c.Attendees[0].PartStat, c.Sequence, c.RecurrenceID)))
	}
	q.sent = append(q.sent, strings.Join(said, ", "))
	return nil
}

const uid = "meeting-1@sender.example"

func (q *quiet) object() string { return string(q.server.Object(alice, uid)) }

// stores has alice store the object as edit makes it.
func (q *quiet) stores(edit func(string) string) {
	q.t.Helper()
	before := q.object()
	after := edit(before)
	if after == before {
		q.t.Fatalf("nothing changes in\n%s", before)
	}
	q.server.Put(alice, uid, []byte(after))
}

var ownLine = regexp.MustCompile(`ATTENDEE;PARTSTAT=[A-Z-]+(;RSVP=TRUE)?:mailto:alice`)

// says is an edit: alice's answer to everything in the object.
func says(partstat string) func(string) string {
	return func(object string) string {
		return ownLine.ReplaceAllString(object, "ATTENDEE;PARTSTAT="+partstat+":mailto:alice")
	}
}

// strikes is an edit: alice takes an instance out.
func strikes(at string) func(string) string {
	return func(object string) string { return strings.Replace(object, "SEQUENCE", "EXDATE:"+at+"\r\nSEQUENCE", 1) }
}

// answersOne is an edit: alice answers for one instance, of which a client makes an override.
func answersOne(partstat, at string) func(string) string {
	return func(object string) string {
		master := object[strings.Index(object, "BEGIN:VEVENT") : strings.Index(object, "END:VEVENT")+len("END:VEVENT\r\n")]
		one := regexp.MustCompile(`(RRULE|EXDATE)[^\r]*\r\n`).ReplaceAllString(master, "")
		one = regexp.MustCompile(`DTSTART:\d+T`).ReplaceAllString(one, "RECURRENCE-ID:"+at+"\r\nDTSTART:"+at[:8]+"T")
		one = regexp.MustCompile(`DTEND:\d+T`).ReplaceAllString(one, "DTEND:"+at[:8]+"T")
		return strings.Replace(object, "END:VCALENDAR", says(partstat)(one)+"END:VCALENDAR", 1)
	}
}

// counts holds the metrics to these values.
func (q *quiet) counts(sent, refused, failed, watched int) {
	q.t.Helper()
	want := fmt.Sprintf("# HELP calfed_caldav_answers_total Answers of users read from calendars and sent to their organizers, by outcome.\n"+
		"# TYPE calfed_caldav_answers_total counter\ncalfed_caldav_answers_total{outcome=\"failed\"} %d\n"+
		"calfed_caldav_answers_total{outcome=\"refused\"} %d\ncalfed_caldav_answers_total{outcome=\"sent\"} %d\n"+
		"# HELP calfed_caldav_watched_objects Invitations whose answers are looked for in calendars.\n"+
		"# TYPE calfed_caldav_watched_objects gauge\ncalfed_caldav_watched_objects %d\n", failed, refused, sent, watched)
	if err := testutil.GatherAndCompare(q.metrics, strings.NewReader(want), "calfed_caldav_answers_total", "calfed_caldav_watched_objects"); err != nil {
		q.t.Error(err)
	}
}

func (q *quiet) expect(what string, got []string, want ...string) {
	q.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		q.t.Errorf("%s: the organizer has got (-want +got):\n%s", what, diff)
	}
}

func weekly(sequence int, more ...string) string {
	return meeting("REQUEST", sequence, append([]string{"DTSTART:20270104T090000Z", "DTEND:20270104T100000Z", "RRULE:FREQ=WEEKLY;COUNT=6", "SUMMARY:Weekly"}, more...)...)
}

// What a user answers by storing it gets to the organizer, once, and nothing else does.
//
// Proves: IS-BACK-1
func TestAnswersOfASilentServer(t *testing.T) {
	q := newQuiet(t)
	q.deliver(invitation(0))
	q.expect("nothing is answered", q.poll())
	for _, partstat := range []string{"TENTATIVE", "ACCEPTED", "DECLINED", "ACCEPTED"} {
		q.stores(says(partstat))
		q.expect(partstat, q.poll(), partstat+"/0")
		q.expect(partstat+" stands", q.poll())
	}
	q.stores(says("NEEDS-ACTION"))
	q.expect("undecided", q.poll())
	q.stores(says("ACCEPTED"))
	q.expect("as before", q.poll())
	q.stores(func(o string) string { return strings.Replace(o, "SUMMARY:Plan", "SUMMARY:My plan", 1) })
	q.expect("another title", q.poll())
	q.stores(func(o string) string {
		return says("DECLINED")(strings.Replace(o, "SEQUENCE", "STATUS:CANCELLED\r\nSEQUENCE", 1))
	})
	q.expect("what does not take place", q.poll())
	q.counts(4, 0, 0, 1)
	if log := q.log.String(); log != "" {
		t.Errorf("logged\n%s", log)
	}
}

// Proves: IS-BACK-1
func TestAnswersForOneInstance(t *testing.T) {
	const second, third = "20270111T090000Z", "20270118T090000Z"
	q := newQuiet(t)
	q.deliver(weekly(0))
	q.stores(answersOne("DECLINED", second))
	q.expect("one instance is declined", q.poll(), "DECLINED/0 "+second)
	q.stores(strikes(third))
	q.expect("one is struck out", q.poll(), "DECLINED/0 "+third)
	q.stores(func(o string) string {
		return strings.Replace(o, "ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:alice", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:alice", 1)
	})
	q.expect("the series is accepted", q.poll(), "ACCEPTED/0")
	q.expect("all that stands", q.poll())
	q.stores(func(o string) string { return strings.Replace(o, "EXDATE:"+third+"\r\n", "", 1) })
	q.expect("the instance is taken back in", q.poll(), "ACCEPTED/0 "+third)
	q.stores(strikes("20270119T090000Z"))
	q.expect("what is no instance is struck out", q.poll())
	q.server.Put(alice, uid, nil)
	q.expect("removed, perhaps to be moved", q.poll())
	q.expect("removed", q.poll(), "DECLINED/0, DECLINED/0 "+third)
	q.counts(5, 0, 0, 0)
}

// Proves: IS-BACK-1
func TestRemovalRefuses(t *testing.T) {
	tests := []struct {
		name   string
		before string // the answer that the organizer has
		want   []string
	}{
		{"what was not answered", "", []string{"DECLINED/0"}},
		{"what was accepted", "ACCEPTED", []string{"DECLINED/0"}},
		{"what was declined", "DECLINED", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			q := newQuiet(t)
			q.deliver(invitation(0))
			if test.before != "" {
				q.stores(says(test.before))
				q.poll()
			}
			q.server.Put(alice, uid, nil)
			got := append(q.poll(), q.poll()...)
			q.expect("removed", append(got, q.poll()...), test.want...)
			if q.pass(time.Hour); len(q.look()) > 0 || len(q.seen) > 0 {
				t.Errorf("it is still looked for: %v", q.seen)
			}
		})
	}
}

func (q *quiet) move() {
	q.t.Helper()
	object := q.object()
	from, to := q.server.Path(alice, uid), "/dav/alice/calendars/calendar/elsewhere.ics"
	for _, r := range []struct{ method, path, body string }{{http.MethodDelete, from, ""}, {http.MethodPut, to, object}} {
		req, err := http.NewRequest(r.method, q.url+r.path, strings.NewReader(r.body))
		if err != nil {
			q.t.Fatal(err)
		}
		req.SetBasicAuth("alice", "secret")
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			q.t.Fatal(err)
		}
		_ = resp.Body.Close()
		if r.method == http.MethodDelete { // seen between the two
			q.expect("while it moves", q.poll())
		}
	}
}

// Another event in the place of the one that was invited to is not that one.
func TestAnswersOfAnotherObject(t *testing.T) {
	q := newQuiet(t)
	q.deliver(invitation(0))
	q.stores(func(o string) string { return says("ACCEPTED")(strings.ReplaceAll(o, uid, "another@sender.example")) })
	q.expect("another event", append(q.poll(), q.poll()...), "DECLINED/0")
}

func TestAnswersOfAMovedObject(t *testing.T) {
	q := newQuiet(t)
	q.deliver(invitation(0))
	q.poll()
	q.move()
	q.expect("moved", q.poll())
	q.stores(says("ACCEPTED"))
	q.expect("accepted there", q.poll(), "ACCEPTED/0")
}

// What the organizer says in between is what the next answer is held against.
//
// Proves: IS-BACK-1, IS-SUB-3
func TestOrganizerChangesWhatIsAnswered(t *testing.T) {
	accepted := strings.NewReplacer("PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:alice", "PARTSTAT=ACCEPTED:mailto:alice")
	tests := []struct {
		name   string
		story  func(q *quiet)
		answer string
		want   []string
	}{
		{"the answer is overtaken by an update that does not know it", func(q *quiet) {
			q.stores(says("ACCEPTED"))
			q.deliver(strings.Replace(invitation(1), "Plan 1", "Plan B", 1))
		}, "", []string{"ACCEPTED/1"}},
		{"the organizer's own copy has the answer", func(q *quiet) { q.deliver(accepted.Replace(invitation(1))) }, "", nil},
		{"it is asked again with a new revision", func(q *quiet) {
			q.stores(says("ACCEPTED"))
			q.expect("accepted", q.poll(), "ACCEPTED/0")
			q.deliver(invitation(1))
		}, "", []string{"ACCEPTED/1"}},
		{"an organizer that forgets the answer is not told for ever", func(q *quiet) {
			q.stores(says("ACCEPTED"))
			q.expect("accepted", q.poll(), "ACCEPTED/0")
			q.deliver(strings.Replace(invitation(0), "DTSTAMP:20261101T11", "DTSTAMP:20261101T12", 1))
		}, "", nil},
		{"it is rescheduled", func(q *quiet) {
			q.stores(says("ACCEPTED"))
			q.expect("accepted", q.poll(), "ACCEPTED/0")
			q.deliver(strings.ReplaceAll(invitation(1), "20270105", "20270106"))
			q.expect("asked anew", q.poll())
		}, "ACCEPTED", []string{"ACCEPTED/1"}},
		{"an older message comes late", func(q *quiet) {
			q.deliver(invitation(1))
			q.stores(says("ACCEPTED"))
			q.expect("accepted", q.poll(), "ACCEPTED/1")
			q.deliver(invitation(0))
		}, "", nil},
		{"it is cancelled", func(q *quiet) {
			q.deliver(meeting("CANCEL", 1, "DTSTART:20270105T090000Z"))
			q.counts(0, 0, 0, 0)
		}, "ACCEPTED", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			q := newQuiet(t)
			q.deliver(invitation(0))
			test.story(q)
			if test.answer != "" {
				q.stores(says(test.answer))
			}
			q.expect("at last", q.poll(), test.want...)
			q.expect("and then", q.poll())
		})
	}
}

// An answer for one instance that the organizer's message about another overtakes is told all the same.
func TestOrganizerChangesAnotherInstance(t *testing.T) {
	const second, third, added = "20270111T090000Z", "20270118T090000Z", "20270120T090000Z"
	q := newQuiet(t)
	q.deliver(weekly(0))
	q.stores(func(o string) string { return says("ACCEPTED")(answersOne("ACCEPTED", second)(o)) })
	q.expect("the series is accepted, with an instance of its own", q.poll(), "ACCEPTED/0")
	q.stores(answersOne("DECLINED", "20270125T090000Z"))
	q.deliver(meeting("CANCEL", 1, "RECURRENCE-ID:"+third, "DTSTART:"+third))
	q.expect("declined before", q.poll(), "DECLINED/0 20270125T090000Z")
	q.deliver(meeting("ADD", 2, "DTSTART:"+added, "DTEND:20270120T100000Z", "SUMMARY:One more"))
	q.expect("one more", q.poll())
	q.stores(func(o string) string {
		at := strings.LastIndex(o, "BEGIN:VEVENT")
		return o[:at] + says("ACCEPTED")(o[at:])
	})
	q.expect("that is accepted", q.poll(), "ACCEPTED/2 "+added)
}

func TestOrganizerChangesASeries(t *testing.T) {
	const second, third = "20270111T090000Z", "20270118T090000Z"
	q := newQuiet(t)
	q.deliver(weekly(0))
	q.stores(says("ACCEPTED"))
	q.expect("accepted", q.poll(), "ACCEPTED/0")
	q.deliver(meeting("CANCEL", 1, "RECURRENCE-ID:"+second, "DTSTART:"+second))
	q.expect("the organizer takes an instance out", q.poll())
	q.deliver(meeting("REQUEST", 2, "RECURRENCE-ID:"+third, "DTSTART:20270118T150000Z", "DTEND:20270118T160000Z", "SUMMARY:Later"))
	q.expect("the organizer moves one", q.poll())
	q.stores(func(o string) string {
		at := strings.LastIndex(o, "BEGIN:VEVENT")
		return o[:at] + says("TENTATIVE")(o[at:])
	})
	q.expect("that one is answered", q.poll(), "TENTATIVE/2 "+third)
}

// An answer that cannot be sent is sent later; one that is refused is not sent again.
func TestAnswersThatAreNotTaken(t *testing.T) {
	q := newQuiet(t)
	q.deliver(invitation(0))
	q.stores(says("ACCEPTED"))
	q.fail = errors.New("the peer is away")
	for range 3 {
		q.expect("the peer is away", q.poll())
		q.pass(time.Minute)
	}
	q.fail = nil
	q.pass(-time.Minute)
	q.expect("too early", q.poll())
	q.pass(15 * time.Minute)
	q.expect("the peer is back", q.look(), "ACCEPTED/0")
	q.stores(says("DECLINED"))
	q.fail = fmt.Errorf("%w: 3.8", caldav.ErrRefused)
	q.expect("refused", q.poll())
	q.fail = nil
	q.expect("refused once", q.poll())
	q.stores(says("TENTATIVE"))
	q.expect("another answer", q.poll(), "TENTATIVE/0")
	q.counts(2, 1, 3, 1)
	if log := q.log.String(); strings.Contains(log, "@") || !strings.Contains(log, "refused") {
		t.Errorf("logged\n%s", log)
	}
}

// One question a calendar, while nothing happens; less often, when nothing has happened for an hour.
func TestWatchingIsCheap(t *testing.T) {
	q := newQuiet(t)
	for i := range 3 {
		q.deliver(strings.ReplaceAll(invitation(0), "meeting-1", fmt.Sprint("meeting-", i)))
	}
	q.poll()
	const question = "PROPFIND /dav/alice/calendars/calendar/"
	requests := func(what string, after time.Duration, want ...string) {
		t.Helper()
		q.pass(after)
		q.look()
		if diff := cmp.Diff(want, q.seen); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	requests("while nothing happens", 12*time.Second, question)
	requests("too early", 5*time.Second)
	requests("an hour later", time.Hour, question)
	requests("after a minute", time.Minute)
	requests("after two", 75*time.Second, question)
	q.deliver(invitation(1))
	q.pass(12 * time.Second)
	q.look()
	if q.seen[0] != question || len(q.seen) != 4 {
		t.Errorf("when something happens: %v", q.seen)
	}
	requests("soon after", 12*time.Second, question)
	requests("when all is over", 50*24*time.Hour, question)
	requests("nothing is left", time.Hour)
	q.counts(0, 0, 0, 0)
}

// Whatever a server says of its calendar, answers get through, and nothing that is not the object's is read for it.
func TestHostileCalendarStates(t *testing.T) {
	prop := func(inner string) func(w http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			multistatus(w, response("/dav/alice/calendars/calendar/", inner))
		}
	}
	tag := func(v string) string {
		return `<x:getctag xmlns:x="http://calendarserver.org/ns/">` + v + `</x:getctag>`
	}
	n := 0
	tests := []struct {
		name   string
		answer func(w http.ResponseWriter)
		want   []string
	}{
		{"no state", prop(""), []string{"ACCEPTED/0"}},
		{"an empty tag", prop(tag("")), []string{"ACCEPTED/0"}},
		{"a tag that changes always", func(w http.ResponseWriter) { n++; prop(tag(fmt.Sprint(n)))(w) }, []string{"ACCEPTED/0"}},
		{"a tag of a megabyte", prop(tag(strings.Repeat("x", 1<<20))), []string{"ACCEPTED/0"}},
		{"a sync-token alone", func(w http.ResponseWriter) { n++; prop("<d:sync-token>" + fmt.Sprint(n) + "</d:sync-token>")(w) }, []string{"ACCEPTED/0"}},
		{"no responses", func(w http.ResponseWriter) { multistatus(w, "") }, []string{"ACCEPTED/0"}},
		{"gone", func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }, nil},
		{"no XML", func(w http.ResponseWriter) { w.WriteHeader(http.StatusMultiStatus) }, nil},
		{"forbidden", func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) }, nil},
		{"away", func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) }, nil},
		{"another host", func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(http.StatusMovedPermanently)
		}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			q := newQuiet(t)
			q.deliver(invitation(0))
			q.poll()
			q.mu.Lock()
			q.front = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != "PROPFIND" || r.URL.Path != "/dav/alice/calendars/calendar/" {
					return false
				}
				test.answer(w)
				return true
			}
			q.mu.Unlock()
			q.stores(says("ACCEPTED"))
			q.expect("accepted", q.poll(), test.want...)
			q.expect("once", q.poll())
			if test.want != nil {
				return
			}
			q.pass(time.Second)
			q.front = nil
			if q.look(); len(q.seen) > 0 {
				t.Errorf("a server that fails is asked again at once: %v", q.seen)
			}
			q.pass(15 * time.Minute)
			q.expect("when it is well again", q.look(), "ACCEPTED/0")
		})
	}
}

// What was watched is watched after a restart, and with another password; nothing secret is kept.
func TestWatchIsKept(t *testing.T) {
	q := newQuiet(t)
	q.deliver(invitation(0))
	q.stores(says("ACCEPTED"))
	q.poll()
	var kept []byte
	keep := func(data []byte) error { kept = data; return nil }
	if err := q.watch.Save(func([]byte) error { return os.ErrPermission }); !errors.Is(err, os.ErrPermission) {
		t.Fatal(err)
	}
	if err := q.watch.Save(keep); err != nil || kept == nil {
		t.Fatal(err)
	}
	first := string(kept)
	if kept = nil; q.watch.Save(keep) != nil || kept != nil {
		t.Error("kept again though nothing has changed")
	}
	for _, secret := range []string{"service", "gateway", "127.0.0.1"} {
		if strings.Contains(first, secret) {
			t.Errorf("%q is in %s", secret, first)
		}
	}
	q.stores(says("TENTATIVE"))
	q.server.Put(alice, "other@sender.example", []byte(ics("BEGIN:VEVENT", "UID:other@sender.example", "DTSTAMP:20261101T110000Z", "DTSTART:20270105T090000Z", "END:VEVENT")))
	q.watch = q.newWatch(nil)
	if err := q.watch.Load([]byte(first)); err != nil {
		t.Fatal(err)
	}
	q.front = func(_ http.ResponseWriter, r *http.Request) bool {
		if _, password, _ := r.BasicAuth(); password == "new" {
			r.SetBasicAuth("gateway", "service")
		}
		return false
	}
	q.backend = q.dial("new")
	q.expect("after the restart", q.poll(), "TENTATIVE/0")
	for _, bad := range []string{"", "[]", `{"version":2}`, "{"} {
		if q.watch.Load([]byte(bad)) == nil {
			t.Errorf("loaded %q", bad)
		}
	}
	q.metrics = prometheus.NewRegistry()
	q.watch = q.newWatch(q.metrics)
	if err := q.watch.Load([]byte(`{"version":1,"objects":[{"server":"x","path":"https://elsewhere.example/","owner":"mailto:a@b.example","organizer":"mailto:a@b.example","until":"2026-12-01T00:00:00Z"},{}]}`)); err != nil {
		t.Error(err)
	}
	q.counts(0, 0, 0, 0)
}

// Who forgot what was watched, as a pod does, knows it again when the organizer repeats the message.
func TestWatchIsLost(t *testing.T) {
	q := newQuiet(t)
	q.deliver(invitation(0))
	q.watch = q.newWatch(nil)
	q.backend = q.dial("service")
	q.deliver(invitation(0))
	q.stores(says("ACCEPTED"))
	q.expect("accepted", q.poll(), "ACCEPTED/0")
}

// What ends first makes room.
func TestWatchIsBounded(t *testing.T) {
	const most = 10_000
	var entries []string
	for i := range most + 2 {
		entries = append(entries, fmt.Sprintf(`{"server":"s","path":"/%d.ics","uid":"%d","component":"VEVENT","owner":"mailto:a@example.org","organizer":"mailto:b@sender.example",`+
			`"known":{},"until":%q,"lively":"2026-11-22T12:00:00Z"}`, i, i, start.Add(time.Hour+time.Duration((i+7)%(most+2))*time.Second).Format(time.RFC3339)))
	}
	q := newQuiet(t)
	if err := q.watch.Load([]byte(`{"version":1,"objects":[` + strings.Join(entries, ",") + "]}")); err != nil {
		t.Fatal(err)
	}
	q.counts(0, 0, 0, most)
	q.deliver(invitation(0)) // has it saved
	q.counts(0, 0, 0, most)
	if err := q.watch.Save(func(data []byte) error {
		for i := range 2 {
			if strings.Contains(string(data), fmt.Sprintf("/%d.ics", most+2-7+i)) {
				t.Errorf("%d is watched still", most+2-7+i)
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// Two back ends of one server, as two configurations have them for a moment, tell every answer once.
func TestHandOver(t *testing.T) {
	q := newQuiet(t)
	q.deliver(invitation(0))
	q.stores(says("ACCEPTED"))
	q.pass(12 * time.Second)
	other := q.dial("service")
	entered, leave, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		q.backend.Poll(context.Background(), func(context.Context, cua.Address, cua.Address, []byte) error {
			close(entered)
			<-leave
			return nil
		})
	}()
	<-entered
	other.Poll(t.Context(), func(context.Context, cua.Address, cua.Address, []byte) error {
		t.Error("told twice")
		return nil
	})
	close(leave)
	<-done
	q.backend = other
	q.expect("by the other one", q.poll())
	other.WatchAnswers(q.answer)
	other.WatchAnswers(q.answer) // it does already
	other.StopWatching()
	other.StopWatching()
	other.WatchAnswers(q.answer)
	other.Close() // TestMain looks for what runs on
}

// A message that arrives while an answer is under way is not undone by what comes of the answer.
func TestUpdateWhileAnAnswerIsUnderWay(t *testing.T) {
	q := newQuiet(t)
	q.deliver(invitation(0))
	q.stores(says("ACCEPTED"))
	q.pass(12 * time.Second)
	q.backend.Poll(t.Context(), func(context.Context, cua.Address, cua.Address, []byte) error {
		q.deliver(strings.ReplaceAll(invitation(1), "20270105", "20270106"))
		return nil
	})
	q.stores(says("ACCEPTED"))
	q.expect("the new time is accepted", q.poll(), "ACCEPTED/1")
}

// What is being written is not looked at before it is known what the organizer said.
func TestLookWhileAMessageIsWritten(t *testing.T) {
	q := newQuiet(t)
	q.deliver(invitation(0))
	q.pass(12 * time.Second)
	looked := false
	q.front = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || looked {
			return false
		}
		looked = true
		q.server.ServeHTTP(w, r)
		q.expect("while it is written", q.look())
		return true
	}
	q.deliver(strings.Replace(invitation(1), "PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:alice", "PARTSTAT=ACCEPTED:mailto:alice", 1))
	q.expect("afterwards", q.poll())
	if !looked {
		t.Error("nothing was written")
	}
}

// A server that has lost what it had, or a calendar as a whole, makes nobody decline; when it is there again, all goes on.
func TestLostCalendarsRefuseNothing(t *testing.T) {
	q := newQuiet(t)
	uids := make([]string, 8)
	for i := range uids {
		uids[i] = fmt.Sprint("lost-", i)
		q.deliver(strings.ReplaceAll(invitation(0), "meeting-1@sender.example", uids[i]))
	}
	q.poll()
	kept := map[string][]byte{}
	for _, u := range uids {
		kept[u] = q.server.Object(alice, u)
		q.server.Put(alice, u, nil)
	}
	for range 4 {
		q.expect("all are gone", q.poll())
		q.pass(15 * time.Minute)
	}
	if !strings.Contains(q.log.String(), "gone at once") {
		t.Errorf("logged\n%s", q.log.String())
	}
	for _, u := range uids {
		q.server.Put(alice, u, []byte(says("ACCEPTED")(string(kept[u]))))
	}
	q.pass(15 * time.Minute)
	if got := q.look(); len(got) != len(uids) {
		t.Errorf("when they are back: %v", got)
	}
	for _, u := range uids[1:] {
		q.server.Put(alice, u, nil)
	}
	q.expect("all but one are removed", append(q.poll(), q.poll()...), slices.Repeat([]string{"DECLINED/0"}, len(uids)-1)...)
}

// A server that sends its users' answers itself is left to it, and the organizer in her own calendar owes nobody an answer.
//
// Proves: IS-BACK-1
func TestAnswersThatAreNotOurs(t *testing.T) {
	t.Run("the server sends them", func(t *testing.T) {
		q := newQuiet(t)
		q.backend = q.dialAs(snapshot.ProfileSabreDAV, "service")
		q.deliver(invitation(0))
		q.counts(0, 0, 0, 0)
	})
	t.Run("the organizer's own", func(t *testing.T) {
		q := newQuiet(t)
		own := strings.NewReplacer("ORGANIZER:mailto:carol@sender.example", "ORGANIZER:mailto:alice@example.org", "mailto:bob@example.org", "mailto:carol@sender.example")
		q.server.Put(alice, uid, []byte(own.Replace(asStored(invitation(0)))))
		q.deliver(ics("METHOD:REPLY", "BEGIN:VEVENT", "UID:"+uid, "DTSTAMP:20261122T110000Z", "ORGANIZER:mailto:alice@example.org",
			"ATTENDEE;PARTSTAT=ACCEPTED:mailto:carol@sender.example", "END:VEVENT"))
		q.stores(says("ACCEPTED"))
		q.expect("accepted", q.poll())
		q.counts(0, 0, 0, 0)
	})
}

// An answer that a message overtakes while it is read is not sent for what the organizer has changed.
//
// Proves: IS-BACK-1
func TestAnswerThatIsOvertaken(t *testing.T) {
	q := newQuiet(t)
	q.deliver(invitation(0))
	q.expect("nothing is answered", q.poll())
	q.stores(says("ACCEPTED"))
	changed := false
	q.front = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || changed {
			return false
		}
		changed = true
		q.server.ServeHTTP(w, r)
		q.deliver(strings.Replace(invitation(1), "T100000Z", "T110000Z", 1))
		return true
	}
	q.expect("while the time changes", q.poll())
	q.expect("nobody has accepted the new time", q.poll())
	if !changed {
		t.Error("the object was not read")
	}
}
