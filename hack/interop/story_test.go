//go:build interop

package interop

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/hack/calendartest"
)

// story is what alice of the west and bob of the east do with ordinary CalDAV requests, each on a calendar system of their own.
type story struct {
	*federation
	pair
	alice, bob *calendartest.System
}

// TestFederation tells every story of the matrix, and holds the matrix in gateway/README.md to what it saw.
func TestFederation(t *testing.T) {
	f := newFederation(t)
	seen := matrix{}
	f.makeBusy(t)
	for _, p := range pairs {
		s := &story{f, p, f.west.systems[p.from], f.east.systems[p.to]}
		t.Run(p.from+" to "+p.to, func(t *testing.T) {
			for _, chapter := range []struct {
				column string
				tell   func(*testing.T)
			}{
				{"decline", s.decline}, {"one instance", s.oneInstance}, {"free/busy", s.freeBusy},
				// one meeting from its beginning to its end
				{"invite", s.invite}, {"accept", s.accept}, {"reschedule", s.reschedule}, {"cancel", s.cancel},
			} {
				seen.saw(p, chapter.column, t.Run(chapter.column, chapter.tell))
			}
		})
	}
	t.Run("mail", func(t *testing.T) { f.testMail(t) })
	t.Run("free/busy is refused to the other side", func(t *testing.T) { f.testDeny(t) })
	if filtered() {
		t.Log("not everything was told: neither the matrix nor echoes are looked at")
		return
	}
	if f.counted(t, f.west, "calfed_sender_echoes_total")+f.counted(t, f.east, "calfed_sender_echoes_total") == 0 {
		t.Error("no calendar server has sent anything because a gateway wrote to it: that nothing left then proves nothing")
	}
	seen.check(t)
}

func (s *story) uid(name string) string {
	return strings.ToLower(fmt.Sprintf("%s-%s-to-%s", name, s.from, s.to))
}

// one message that leaves, where the pair can do what the column says.
func (s *story) one(column string) traffic {
	if s.reason(column) != "" {
		return traffic{}
	}
	return traffic{messages: 1}
}

// propose has alice store a meeting with bob, and returns what bob has then.
func (s *story) propose(t *testing.T, uid, summary string, more ...string) *calendartest.Object {
	t.Helper()
	o := &calendartest.Object{
		URL:  s.alice.Calendar("alice") + uid + ".ics",
		Data: calendartest.Meeting(uid, summary, calendartest.Day.Add(10*time.Hour), s.alice.Address("alice"), s.bob.Address("bob"), more...),
	}
	s.leaves(t, s.west, s.one("invite"), func() { s.alice.Put(t, "alice", o) })
	t.Logf("alice at %s stores\n%s", s.from, calendartest.Told(o.Data))
	return s.bobs(t, uid)
}

// bobs is the object in bob's calendar; it must be there unless invitations of alice's system go nowhere.
func (s *story) bobs(t *testing.T, uid string) *calendartest.Object {
	t.Helper()
	o := s.bob.Find(t, "bob", uid)
	switch can := s.reason("invite") == ""; {
	case o != nil:
		t.Logf("in bob's calendar at %s\n%s", s.to, calendartest.Told(o.Data))
		if !can {
			t.Errorf("it arrived all the same")
		}
	case can:
		t.Fatalf("nothing is in bob's calendar at %s; alice's copy:\n%s", s.to, s.alice.Find(t, "alice", uid).Data)
	}
	return o
}

func (s *story) invite(t *testing.T) {
	o := s.propose(t, s.uid("meeting"), "Budget")
	if o == nil {
		return
	}
	mustContain(t, o.Data, "SUMMARY:Budget", "DTSTART:"+calendartest.Day.Add(10*time.Hour).Format(calendartest.UTC), "mailto:"+s.alice.Address("alice"))
	if got := calendartest.Parameters(o.Data, s.bob.Address("bob"), "PARTSTAT"); len(got) != 1 || got[0] != "NEEDS-ACTION" && got[0] != "" {
		t.Errorf("bob's PARTSTAT is %v", got)
	}
	s.delivered(t, s.uid("meeting"))
}

// delivered holds alice's copy to say that bob has been told, in every component.
func (s *story) delivered(t *testing.T, uid string) {
	t.Helper()
	if s.reason("invite") != "" {
		return
	}
	data := s.alice.Find(t, "alice", uid).Data
	for _, status := range calendartest.Parameters(data, s.bob.Address("bob"), "SCHEDULE-STATUS") {
		if !strings.HasPrefix(status, "1.") && !strings.HasPrefix(status, "2.") {
			t.Errorf("alice's copy says %q of the delivery to bob:\n%s", status, data)
		}
	}
}

func (s *story) accept(t *testing.T) { s.reply(t, "accept", s.uid("meeting"), "ACCEPTED") }

func (s *story) decline(t *testing.T) {
	s.propose(t, s.uid("party"), "Party")
	s.reply(t, "decline", s.uid("party"), "DECLINED")
}

// reply has bob answer, and looks at what alice sees. Where his calendar system sends no answers, the gateway takes a while to see it.
func (s *story) reply(t *testing.T, column, uid, partstat string) {
	t.Helper()
	o := s.bob.Find(t, "bob", uid)
	if o == nil {
		if s.reason("invite") == "" {
			t.Fatal("there is nothing to answer")
		}
		return
	}
	o.Data = calendartest.Answer(t, o.Data, s.bob.Address("bob"), partstat)
	s.leaves(t, s.east, s.one(column), func() {
		before := s.traffic(t, s.east)
		s.bob.Put(t, "bob", o)
		t.Logf("bob at %s stores %s", s.to, partstat)
		if s.silent() {
			s.alices(t, uid, "NEEDS-ACTION")
			s.eventually(t, "the answer has left", func() bool { return s.traffic(t, s.east) != before })
		}
	})
	s.alices(t, uid, partstat)
	s.delivered(t, uid)
}

// alices holds alice's copy to the answer of bob.
func (s *story) alices(t *testing.T, uid, partstat string) {
	t.Helper()
	o := s.alice.Find(t, "alice", uid)
	t.Logf("in alice's calendar at %s\n%s", s.from, calendartest.Told(o.Data))
	if got := calendartest.Parameters(o.Data, s.bob.Address("bob"), "PARTSTAT"); len(got) != 1 || got[0] != partstat {
		t.Errorf("bob's PARTSTAT in alice's calendar is %v, want %s", got, partstat)
	}
}

func (s *story) reschedule(t *testing.T) {
	o := s.alice.Find(t, "alice", s.uid("meeting"))
	o.Data = calendartest.Moved(o.Data, calendartest.Day.Add(15*time.Hour))
	s.leaves(t, s.west, s.one("reschedule"), func() { s.alice.Put(t, "alice", o) })
	t.Logf("alice at %s stores\n%s", s.from, calendartest.Told(o.Data))
	s.delivered(t, s.uid("meeting"))
	if bobs := s.bobs(t, s.uid("meeting")); bobs != nil {
		mustContain(t, bobs.Data, "DTSTART:"+calendartest.Day.Add(15*time.Hour).Format(calendartest.UTC), "DTEND:"+calendartest.Day.Add(16*time.Hour).Format(calendartest.UTC))
	}
}

// cancel ends the meeting that was rescheduled, and the party that was not: Cyrus cancels that with a lower SEQUENCE than it
// invited with, but a later DTSTAMP.
func (s *story) cancel(t *testing.T) {
	last := time.Now().Unix()
	s.eventually(t, "the next second, in which a DTSTAMP is later", func() bool { return time.Now().Unix() > last })
	for _, uid := range []string{s.uid("meeting"), s.uid("party")} {
		if s.from == "DAViCal" {
			o := s.alice.Find(t, "alice", uid)
			o.Data = calendartest.Cancelled(o.Data)
			s.leaves(t, s.west, s.one("cancel"), func() { s.alice.Put(t, "alice", o) })
			t.Logf("alice at %s stores\n%s", s.from, calendartest.Told(o.Data))
			s.leaves(t, s.west, traffic{}, func() { s.alice.Remove(t, "alice", s.alice.Find(t, "alice", uid)) })
		} else {
			s.leaves(t, s.west, s.one("cancel"), func() { s.alice.Remove(t, "alice", s.alice.Find(t, "alice", uid)) })
		}
		t.Logf("alice at %s deletes it", s.from)
		bobs := s.bob.Find(t, "bob", uid)
		switch {
		case bobs == nil:
			t.Logf("bob at %s has it no more", s.to)
		case !strings.Contains(bobs.Data, "STATUS:CANCELLED"):
			t.Errorf("the cancelled event still stands in bob's calendar:\n%s", bobs.Data)
		default:
			t.Logf("in bob's calendar at %s\n%s", s.to, calendartest.Told(bobs.Data))
		}
	}
}

// oneInstance moves the second instance of a series, and then takes the third out.
func (s *story) oneInstance(t *testing.T) {
	uid := s.uid("weekly")
	s.propose(t, uid, "Weekly", "RRULE:FREQ=WEEKLY;COUNT=4")
	at := func(week, hour int) string {
		return calendartest.Day.AddDate(0, 0, 7*week).Add(time.Duration(hour) * time.Hour).Format(calendartest.UTC)
	}

	s.changeInstance(t, uid, func(data string) string {
		return calendartest.WithInstance(data, at(1, 10), at(1, 17), at(1, 18), "Weekly (late)")
	})
	bobs := s.bobs(t, uid)
	if bobs == nil {
		return
	}
	mustContain(t, bobs.Data, "RRULE:FREQ=WEEKLY;COUNT=4", "RECURRENCE-ID:"+at(1, 10), "DTSTART:"+at(1, 17), "SUMMARY:Weekly (late)")
	if n := strings.Count(bobs.Data, "BEGIN:VEVENT"); n != 2 {
		t.Errorf("%d VEVENTs in bob's calendar, want the series and one instance:\n%s", n, bobs.Data)
	}

	s.changeInstance(t, uid, func(data string) string { return calendartest.WithoutInstance(data, at(2, 10)) })
	mustContain(t, s.bobs(t, uid).Data, "EXDATE:"+at(2, 10), "RECURRENCE-ID:"+at(1, 10), "SUMMARY:Weekly (late)")
}

// changeInstance has alice store the series as change leaves it.
func (s *story) changeInstance(t *testing.T, uid string, change func(string) string) {
	t.Helper()
	o := s.alice.Find(t, "alice", uid)
	o.Data = change(o.Data)
	got := s.left(t, s.west, func() { s.alice.Put(t, "alice", o) })
	if s.from == "DAViCal" && got.messages == 2 {
		got.messages-- // it posts the series for every component that names bob; within one second the gateway knows that for a repeat
	}
	if want := s.one("one instance"); got != want {
		t.Errorf("%d messages and %d mails left, want %d and %d", got.messages, got.mails, want.messages, want.mails)
	}
	t.Logf("alice at %s stores\n%s", s.from, calendartest.Told(o.Data))
	s.delivered(t, uid)
}
