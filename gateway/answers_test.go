package gateway_test

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway"
	"github.com/calfed/calfed/gateway/backend/caldav/caldavtest"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/snapshot"
)

// fast is a clock that can be put forward.
type fast struct{ ahead atomic.Int64 }

func (f *fast) now() time.Time { return time.Now().Add(time.Duration(f.ahead.Load())) }

// silentOffice is an organisation whose calendar server sends nothing.
func silentOffice(t *testing.T, domain, user string) (*office, *fast) {
	t.Helper()
	clock := &fast{}
	return newOfficeWith(t, domain, user, func(opt *gateway.Options, c *caldavtest.Config, b *snapshot.CalDAV) {
		opt.Now = clock.now
		c.Schedule = nil
		b.Profile = snapshot.ProfileDAViCal
	}), clock
}

// standup is an invitation of anna's for bert.
func standup() string {
	return strings.ReplaceAll(fmt.Sprintf(`BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//EN
BEGIN:VEVENT
UID:series@example
DTSTAMP:%s
DTSTART:20271201T100000Z
DTEND:20271201T103000Z
RRULE:FREQ=DAILY;COUNT=5
SUMMARY:Standup
ORGANIZER:mailto:anna@a.example
ATTENDEE;PARTSTAT=ACCEPTED:mailto:anna@a.example
ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bert@b.example
END:VEVENT
END:VCALENDAR
`, time.Now().UTC().Format("20060102T150405Z")), "\n", "\r\n")
}

// A user of a calendar server that sends nothing answers by storing: the organizer has it, over a change of the configuration, too.
//
// Proves: IS-BACK-1, IS-SUB-3
func TestAnswersAreReadFromTheCalendar(t *testing.T) {
	a := newOffice(t, "a.example", "anna")
	b, clock := silentOffice(t, "b.example", "bert")
	a.run()
	b.run()
	meet(t, a, b)
	a.put(t, standup())
	says := func(was, is string) {
		t.Helper()
		b.put(t, strings.Replace(b.object(), "PARTSTAT="+was, "PARTSTAT="+is, 1))
		clock.ahead.Add(int64(12 * time.Second))
	}
	metric := func(line string, want int) func() bool {
		return func() bool {
			return b.metric(line) == fmt.Sprint(want)
		}
	}

	says("NEEDS-ACTION;RSVP=TRUE", "ACCEPTED")
	eventually(t, "the acceptance is in the organizer's copy", func() bool { return accepted.MatchString(a.object()) })
	eventually(t, "the answer is counted", metric(`calfed_caldav_answers_total{outcome="sent"}`, 1))
	if diff := cmp.Diff([]string{"REQUEST 2.0", "REQUEST 2.0 echo"}, a.seen()); diff != "" {
		t.Errorf("from a: %s", diff)
	}

	check(t, b.Apply(b.snap))
	says("ACCEPTED:mailto:bert", "DECLINED:mailto:bert")
	eventually(t, "the refusal is in the organizer's copy", func() bool { return strings.Contains(a.object(), "DECLINED") })
	eventually(t, "the answer is counted", metric(`calfed_caldav_answers_total{outcome="sent"}`, 2))

	a.calendars.Put(a.user, "series@example", nil)
	says("DECLINED:mailto:bert", "TENTATIVE:mailto:bert")
	eventually(t, "what the organizer has no more is refused", metric(`calfed_caldav_answers_total{outcome="refused"}`, 1))

	a.stop()
	err := <-a.ended
	a.ended <- err
	check(t, err)
	says("TENTATIVE:mailto:bert", "ACCEPTED:mailto:bert")
	eventually(t, "what cannot be sent is kept", metric(`calfed_caldav_answers_total{outcome="failed"}`, 1))

	var kept []byte
	check(t, b.SaveAnswers(func(data []byte) error { kept = data; return nil }))
	other, _ := silentOffice(t, "b.example", "bert")
	check(t, other.LoadAnswers(kept))
	other.run()
	if n := other.metric("calfed_caldav_watched_objects"); n != "1" {
		t.Errorf("%q objects are watched after the restart", n)
	}
}

// An attendee who has lost a meeting gets it back by asking, though we have just written the same into the organizer's calendar.
//
// Proves: IS-SUB-3
func TestRefreshIsAnswered(t *testing.T) {
	a, b := newOffice(t, "a.example", "anna"), newOffice(t, "b.example", "bert")
	a.run()
	b.run()
	meet(t, a, b)
	a.put(t, standup())
	b.put(t, strings.Replace(b.object(), "PARTSTAT=NEEDS-ACTION;RSVP=TRUE", "PARTSTAT=ACCEPTED", 1))
	eventually(t, "the acceptance is in the organizer's copy", func() bool { return accepted.MatchString(a.object()) })
	b.calendars.Put(b.user, "series@example", nil)
	refresh := func() {
		t.Helper()
		check(t, b.schedule(t.Context(), caldavtest.Message{Originator: b.user, Recipients: []cua.Address{a.user}, Body: []byte(strings.Join([]string{
			"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", "METHOD:REFRESH", "BEGIN:VEVENT", "UID:series@example", "DTSTAMP:20261122T110000Z",
			"ORGANIZER:mailto:anna@a.example", "ATTENDEE:mailto:bert@b.example", "END:VEVENT", "END:VCALENDAR", "",
		}, "\r\n"))}))
	}
	refresh()
	eventually(t, "the attendee has the meeting again", func() bool { return accepted.Match(b.calendars.Object(b.user, "series@example")) })

	// from now on the attendee's gateway cannot be reached
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	a.snap.Policies[0].Outbound.Endpoint = "https://" + ln.Addr().String() + "/"
	check(t, ln.Close())
	check(t, a.Apply(a.snap))
	b.seen()
	refresh()
	if diff := cmp.Diff([]string{"REFRESH 5.1"}, b.seen()); diff != "" {
		t.Errorf("an answer that cannot be sent is not told: %s", diff)
	}
}
