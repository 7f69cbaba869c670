package echo_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/echo"
	"github.com/calfed/calfed/gateway/itip"
)

var (
	ada = cua.MustParse("mailto:ada@sender.example")
	bob = cua.MustParse("mailto:bob@receiver.example")
)

// object is a calendar object of these main components.
func object(method string, components ...string) []byte {
	b := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//test//EN\r\n"
	if method != "" {
		b += "METHOD:" + method + "\r\n"
	}
	return []byte(b + strings.Join(components, "") + "END:VCALENDAR\r\n")
}

// event is a VEVENT of ada's, with bob's answer.
func event(answer string, more ...string) string {
	return strings.Join(append([]string{"BEGIN:VEVENT", "UID:u", "DTSTAMP:20261101T100000Z", "SEQUENCE:1", "DTSTART:20261125T140000Z",
		"DTEND:20261125T150000Z", "SUMMARY:Plan", "ORGANIZER:mailto:ada@sender.example",
		"ATTENDEE;PARTSTAT=" + answer + ":mailto:bob@receiver.example"}, more...), "\r\n") + "\r\nEND:VEVENT\r\n"
}

// of puts an event at an instance of its series.
func of(id, event string) string {
	return strings.Replace(event, "UID:u\r\n", "UID:u\r\nRECURRENCE-ID:"+id+"\r\n", 1)
}

// task is a VTODO of ada's that bob works on.
func task(more ...string) string {
	return strings.NewReplacer("VEVENT", "VTODO", "DTEND", "DUE").Replace(event("IN-PROCESS", more...))
}

func isEcho(t testing.TB, m *echo.Memory, who cua.Address, body []byte) bool {
	t.Helper()
	msg, err := itip.Inspect(body, itip.Limits{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return m.IsEcho(who, body, msg)
}

// clock is a time that tests move.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newMemory() (*echo.Memory, *clock) {
	c := &clock{time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	return echo.New(c.now), c
}

const (
	daily   = "RRULE:FREQ=DAILY"
	day2    = "20261126T140000Z"
	day3    = "20261127T140000Z"
	without = "EXDATE:" + day2
)

// Proves: IS-SUB-3
func TestIsEcho(t *testing.T) {
	rewritten := strings.NewReplacer("SUMMARY:Plan\r\n", "", "SEQUENCE:1\r\n", "", "ORGANIZER:", "X-SERVER:9\r\nSUM\r\n MARY:Plan\r\nCREATED:20260101T000000Z\r\nSEQUENCE:1\r\nORGANIZER;SCHEDULE-STATUS=1.2:",
		"DTSTAMP:20261101T100000Z", "DTSTAMP:20261122T120000Z", "ATTENDEE;", "ATTENDEE;SCHEDULE-STATUS=\"2.0\";").Replace
	for _, c := range []struct {
		name   string
		wrote  [][]byte
		owner  cua.Address // whose calendar, zero = the sender's
		sender cua.Address
		body   []byte
		want   bool
	}{
		{"the answer that the invitation says", [][]byte{object("REQUEST", event("NEEDS-ACTION")), object("", event("NEEDS-ACTION"))}, cua.Address{}, bob, object("REPLY", event("NEEDS-ACTION")), true},
		{"an answer that the organizer says is known", [][]byte{object("REQUEST", event("ACCEPTED"))}, cua.Address{}, bob, object("REPLY", event("ACCEPTED")), true},
		{"a known answer, and a word with it", [][]byte{object("REQUEST", event("ACCEPTED")), object("", event("ACCEPTED"))}, cua.Address{}, bob, object("REPLY", event("ACCEPTED", "COMMENT:I come late")), false},
		{"a known answer to a task, and more of it done", [][]byte{object("REQUEST", task("PERCENT-COMPLETE:50"))}, cua.Address{}, bob, object("REPLY", task("PERCENT-COMPLETE:75")), false},
		{"a known answer to a task, as much of it done", [][]byte{object("REQUEST", task("PERCENT-COMPLETE:50"))}, cua.Address{}, bob, object("REPLY", task("PERCENT-COMPLETE:50")), true},
		{"a known answer, and the organizer's own word", [][]byte{object("REQUEST", event("ACCEPTED", "COMMENT:Bring\r\n  cake"))}, cua.Address{}, bob, object("REPLY", event("ACCEPTED", "COMMENT;LANGUAGE=en:Bring cake")), true},
		{"a cancelled meeting declined with a word", [][]byte{object("CANCEL", event("ACCEPTED"))}, cua.Address{}, bob, object("REPLY", event("DECLINED", "COMMENT:what a pity")), false},
		{"an instance that we took out, declined with a word", [][]byte{object("", event("ACCEPTED", daily, without))}, cua.Address{}, bob, object("REPLY", of(day2, event("DECLINED", "COMMENT:what a pity"))), false},
		{"the user's own answer", [][]byte{object("REQUEST", event("NEEDS-ACTION")), object("", event("NEEDS-ACTION"))}, cua.Address{}, bob, object("REPLY", event("ACCEPTED")), false},
		{"an answer that we kept and the organizer may not have had", [][]byte{object("REQUEST", event("NEEDS-ACTION")), object("", event("ACCEPTED"))}, cua.Address{}, bob, object("REPLY", event("ACCEPTED")), false},
		{"nothing was written", nil, cua.Address{}, bob, object("REPLY", event("NEEDS-ACTION")), false},
		{"another object was written", [][]byte{[]byte(strings.Replace(string(object("", event("NEEDS-ACTION"))), "UID:u", "UID:v", 1))}, cua.Address{}, bob, object("REPLY", event("NEEDS-ACTION")), false},
		{"the same UID in another calendar", [][]byte{object("", event("NEEDS-ACTION"))}, ada, bob, object("REPLY", event("NEEDS-ACTION")), false},
		{"an answer to an earlier invitation", [][]byte{object("REQUEST", event("ACCEPTED")), object("", event("ACCEPTED")), object("REQUEST", event("NEEDS-ACTION")), object("", event("NEEDS-ACTION"))}, cua.Address{}, bob, object("REPLY", event("ACCEPTED")), false},
		{"an answer to an instance, before another one was written", [][]byte{object("REQUEST", of(day2, event("ACCEPTED"))), object("REQUEST", of(day3, event("NEEDS-ACTION")))}, cua.Address{}, bob, object("REPLY", of(day2, event("ACCEPTED"))), true},
		{"the same object in another calendar", [][]byte{object("", event("ACCEPTED"))}, bob, ada, object("REQUEST", event("ACCEPTED")), false},
		{"what cannot be read is not noted", [][]byte{[]byte("nonsense")}, cua.Address{}, bob, object("REPLY", event("NEEDS-ACTION")), false},
		{"an answer rewritten by the server", [][]byte{object("", event("NEEDS-ACTION"))}, cua.Address{}, bob, []byte(rewritten(string(object("REPLY", event("NEEDS-ACTION"))))), true},
		{"an answer in the name of somebody else", [][]byte{object("", event("NEEDS-ACTION"))}, cua.Address{}, bob, []byte(strings.ReplaceAll(string(object("REPLY", event("NEEDS-ACTION"))), "mailto:bob", "mailto:carol")), false},

		{"declined because we cancelled it", [][]byte{object("", event("ACCEPTED", "STATUS:CANCELLED"))}, cua.Address{}, bob, object("REPLY", event("DECLINED")), true},
		{"declined because the organizer cancelled it", [][]byte{object("CANCEL", event("ACCEPTED"))}, cua.Address{}, bob, object("REPLY", event("DECLINED")), true},
		{"accepted though we cancelled it", [][]byte{object("", event("NEEDS-ACTION", "STATUS:CANCELLED"))}, cua.Address{}, bob, object("REPLY", event("ACCEPTED")), false},
		{"an instance of a cancelled series", [][]byte{object("", event("ACCEPTED", daily, "STATUS:CANCELLED"))}, cua.Address{}, bob, object("REPLY", of(day2, event("DECLINED"))), true},
		{"an instance that we took out", [][]byte{object("", event("ACCEPTED", daily, without))}, cua.Address{}, bob, object("REPLY", of(day2, event("DECLINED"))), true},
		{"another instance than the one we took out", [][]byte{object("", event("ACCEPTED", daily, without))}, cua.Address{}, bob, object("REPLY", of(day3, event("DECLINED"))), false},
		{"an instance that we took out, accepted", [][]byte{object("", event("ACCEPTED", daily, without))}, cua.Address{}, bob, object("REPLY", of(day2, event("ACCEPTED"))), false},
		{"an instance that the organizer cancelled", [][]byte{object("CANCEL", of(day2, event("ACCEPTED")))}, cua.Address{}, bob, object("REPLY", of(day2, event("DECLINED"))), true},
		{"one instance and the series, both known", [][]byte{object("REQUEST", event("NEEDS-ACTION", daily), of(day2, event("ACCEPTED")))}, cua.Address{}, bob, object("REPLY", of(day2, event("ACCEPTED")), event("NEEDS-ACTION")), true},
		{"one instance known, the series not", [][]byte{object("REQUEST", event("NEEDS-ACTION", daily), of(day2, event("ACCEPTED")))}, cua.Address{}, bob, object("REPLY", of(day2, event("ACCEPTED")), event("ACCEPTED")), false},
		{"an instance without an override, not answered like its series", [][]byte{object("REQUEST", event("NEEDS-ACTION", daily))}, cua.Address{}, bob, object("REPLY", of(day2, event("NEEDS-ACTION"))), true},
		{"an instance without an override, accepted like its series", [][]byte{object("REQUEST", event("ACCEPTED", daily))}, cua.Address{}, bob, object("REPLY", of(day2, event("ACCEPTED"))), false},
		{"the series, of which we wrote instances that all say so", [][]byte{object("REQUEST", of(day2, event("NEEDS-ACTION")), of(day3, event("NEEDS-ACTION")))}, cua.Address{}, bob, object("REPLY", event("NEEDS-ACTION")), true},
		{"the series, of which we wrote instances that do not", [][]byte{object("REQUEST", of(day2, event("NEEDS-ACTION")), of(day3, event("ACCEPTED")))}, cua.Address{}, bob, object("REPLY", event("NEEDS-ACTION")), false},

		{"what we wrote, sent on to the attendees", [][]byte{object("", event("ACCEPTED"))}, cua.Address{}, ada, object("REQUEST", event("ACCEPTED")), true},
		{"the same, rewritten by the server", [][]byte{object("", event("ACCEPTED"))}, cua.Address{}, ada, []byte(rewritten(string(object("REQUEST", event("ACCEPTED"))))), true},
		{"one instance of what we wrote", [][]byte{object("", event("ACCEPTED", daily), of(day2, event("DECLINED")))}, cua.Address{}, ada, object("REQUEST", of(day2, event("DECLINED"))), true},
		{"an earlier one of our writes", [][]byte{object("", event("TENTATIVE")), object("", event("ACCEPTED"))}, cua.Address{}, ada, object("REQUEST", event("TENTATIVE")), true},
		{"another title", [][]byte{object("", event("ACCEPTED"))}, cua.Address{}, ada, []byte(strings.Replace(string(object("REQUEST", event("ACCEPTED"))), "Plan", "Play", 1)), false},
		{"another answer than we wrote", [][]byte{object("", event("ACCEPTED"))}, cua.Address{}, ada, object("REQUEST", event("NEEDS-ACTION")), false},
		{"another role", [][]byte{object("", event("ACCEPTED"))}, cua.Address{}, ada, []byte(strings.Replace(string(object("REQUEST", event("ACCEPTED"))), "ATTENDEE;", "ATTENDEE;ROLE=CHAIR;", 1)), false},
		{"an override less", [][]byte{object("", event("ACCEPTED", daily), of(day2, event("ACCEPTED", "LOCATION:elsewhere")))}, cua.Address{}, ada, object("REQUEST", event("ACCEPTED", daily)), false},
		{"an override less, as it once was", [][]byte{object("", event("ACCEPTED", daily)), object("", event("ACCEPTED", daily), of(day2, event("DECLINED")))}, cua.Address{}, ada, object("REQUEST", event("ACCEPTED", daily)), false},
		{"an override less than before, as we wrote it", [][]byte{object("", event("ACCEPTED", daily), of(day2, event("DECLINED"))), object("", event("ACCEPTED", daily))}, cua.Address{}, ada, object("REQUEST", event("ACCEPTED", daily)), true},
		{"an attendee more", [][]byte{object("", event("ACCEPTED"))}, cua.Address{}, ada, object("REQUEST", event("ACCEPTED", "ATTENDEE:mailto:carol@receiver.example")), false},
		{"a newer SEQUENCE", [][]byte{object("", event("ACCEPTED"))}, cua.Address{}, ada, []byte(strings.Replace(string(object("REQUEST", event("ACCEPTED"))), "SEQUENCE:1", "SEQUENCE:2", 1)), false},
		{"an instance that we did not write", [][]byte{object("", event("ACCEPTED", daily))}, cua.Address{}, ada, object("REQUEST", of(day2, event("ACCEPTED"))), false},
		{"an instance less", [][]byte{object("", event("ACCEPTED", daily))}, cua.Address{}, ada, object("REQUEST", event("ACCEPTED", daily, without)), false},
		{"a cancellation of what we wrote", [][]byte{object("", event("ACCEPTED"))}, cua.Address{}, ada, object("CANCEL", event("ACCEPTED")), false},
		{"a cancellation that we wrote", [][]byte{object("", event("ACCEPTED", "STATUS:CANCELLED"))}, cua.Address{}, ada, object("CANCEL", event("ACCEPTED", "STATUS:CANCELLED")), true},
		{"a request in the name of somebody else", [][]byte{object("", event("ACCEPTED"))}, cua.Address{}, bob, object("REQUEST", event("ACCEPTED")), false},
		{"a question is a person's", [][]byte{object("", event("NEEDS-ACTION"))}, cua.Address{}, bob, object("REFRESH", event("NEEDS-ACTION")), false},
		{"the refusal of a proposal is a person's", [][]byte{object("", event("ACCEPTED"))}, cua.Address{}, ada, object("DECLINECOUNTER", event("ACCEPTED")), false},
		{"a proposal is a person's", [][]byte{object("", event("NEEDS-ACTION"))}, cua.Address{}, bob, object("COUNTER", event("NEEDS-ACTION")), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, _ := newMemory()
			owner := c.owner
			if owner.IsZero() {
				owner = c.sender
			}
			for _, body := range c.wrote {
				m.Wrote(owner, body)
			}
			for i := range 2 {
				if got := isEcho(t, m, c.sender, c.body); got != c.want {
					t.Errorf("asked for the %d. time: %v", i+1, got)
				}
			}
		})
	}
	m, _ := newMemory()
	m.Wrote(bob, object("", event("NEEDS-ACTION")))
	if m.IsEcho(bob, []byte("nonsense"), &itip.Message{Method: "REPLY", Component: "VEVENT", Attendees: []cua.Address{bob}, UID: "u"}) || echo.New(nil).IsEcho(bob, nil, &itip.Message{}) {
		t.Error("nonsense is an echo")
	}
}

// Once the user has said something, what we wrote before is not held against what the user says next.
//
// Proves: IS-SUB-3
func TestTheUserMayGoBack(t *testing.T) {
	m, _ := newMemory()
	m.Wrote(bob, object("REQUEST", event("ACCEPTED")))
	for i, answer := range []string{"DECLINED", "ACCEPTED", "ACCEPTED"} {
		if isEcho(t, m, bob, object("REPLY", event(answer))) {
			t.Errorf("%d: %s was swallowed", i, answer)
		}
	}
	m.Wrote(ada, object("", event("ACCEPTED")))
	for _, title := range []string{"Play", "Plan"} {
		if isEcho(t, m, ada, []byte(strings.Replace(string(object("REQUEST", event("ACCEPTED"))), "Plan", title, 1))) {
			t.Errorf("%s was swallowed", title)
		}
	}
}

// An answer that the calendar keeps is sent until it has been seen, and swallowed from then on, whatever the organizer's messages say.
//
// Proves: IS-SUB-3
func TestAKeptAnswerIsSentOnce(t *testing.T) {
	m, _ := newMemory()
	for i, want := range []bool{false, true, true} {
		m.Wrote(bob, object("REQUEST", event("NEEDS-ACTION")))
		m.Wrote(bob, object("", event("ACCEPTED")))
		if got := isEcho(t, m, bob, object("REPLY", event("ACCEPTED"))); got != want {
			t.Errorf("update %d: %v", i, got)
		}
	}
	revised := func(body []byte) []byte { return []byte(strings.Replace(string(body), "SEQUENCE:1", "SEQUENCE:2", 1)) }
	m.Wrote(bob, revised(object("REQUEST", event("NEEDS-ACTION"))))
	m.Wrote(bob, revised(object("", event("ACCEPTED"))))
	if isEcho(t, m, bob, revised(object("REPLY", event("ACCEPTED")))) {
		t.Error("the answer to a newer revision was swallowed")
	}
	m.Wrote(bob, object("REQUEST", event("NEEDS-ACTION")))
	m.Wrote(bob, object("", event("NEEDS-ACTION"))) // another time: the user is asked again
	if isEcho(t, m, bob, object("REPLY", event("ACCEPTED"))) {
		t.Error("the new answer was swallowed")
	}
}

// Proves: IS-SUB-3
func TestTheMemoryHoldsTenMinutes(t *testing.T) {
	m, clock := newMemory()
	sent := object("REQUEST", event("ACCEPTED"))
	m.Wrote(ada, object("", event("ACCEPTED")))
	clock.at = clock.at.Add(10*time.Minute - time.Second)
	if !isEcho(t, m, ada, sent) {
		t.Error("forgotten too early")
	}
	m.Wrote(ada, object("", event("ACCEPTED"))) // holds from now on
	clock.at = clock.at.Add(5 * time.Minute)
	m.Wrote(ada, object("", event("TENTATIVE")))
	clock.at = clock.at.Add(5*time.Minute - time.Second)
	if !isEcho(t, m, ada, sent) {
		t.Error("forgotten though it was written again")
	}
	clock.at = clock.at.Add(time.Second)
	if isEcho(t, m, ada, sent) {
		t.Error("not forgotten")
	}
}

// Proves: IS-SUB-3
func TestTheMemoryIsBounded(t *testing.T) {
	m, _ := newMemory()
	about := func(i int, body []byte) []byte {
		return []byte(strings.ReplaceAll(string(body), "UID:u\r\n", fmt.Sprintf("UID:%d\r\n", i)))
	}
	var excluded []string
	for i := range 2000 {
		excluded = append(excluded, fmt.Sprintf("EXDATE:20%02d%02d%02dT140000Z", i/300, 1+i%300/28, 1+i%28))
	}
	large := object("", event("NEEDS-ACTION", append(excluded, daily)...))
	const objects = 102 // of a thousand instances each
	for i := range objects {
		m.Wrote(bob, about(i, large))
	}
	echoes := 0
	for i := range objects { // the latest first: to ask about what is forgotten makes something else forgotten
		if isEcho(t, m, bob, about(objects-1-i, object("REPLY", event("NEEDS-ACTION")))) {
			echoes++
		}
	}
	if echoes != 100 {
		t.Errorf("%d of %d objects held", echoes, objects)
	}
	// Of one object the last sixteen writes are held.
	m, _ = newMemory()
	for i := range 17 {
		m.Wrote(ada, object("", event(fmt.Sprintf("X-%d", i))))
	}
	for i := range 16 {
		if !isEcho(t, m, ada, object("REQUEST", event(fmt.Sprintf("X-%d", 16-i)))) {
			t.Errorf("write %d is forgotten", 16-i)
		}
	}
	if isEcho(t, m, ada, object("REQUEST", event("X-0"))) {
		t.Error("write 0 is held")
	}
}

// A user who says very much about one object is believed.
//
// Proves: IS-SUB-3
func TestWhatTheUserSaysIsBounded(t *testing.T) {
	m, _ := newMemory()
	m.Wrote(bob, object("", event("NEEDS-ACTION", daily)))
	for i := range 2 {
		var answers []string
		for j := range 600 {
			answers = append(answers, of(fmt.Sprintf("20%02d%02d%02dT140000Z", 30+2*i+j/300, 1+j%300/28, 1+j%28), event("ACCEPTED")))
		}
		if isEcho(t, m, bob, object("REPLY", answers...)) {
			t.Errorf("the %d. message was swallowed", i+1)
		}
		if got, want := isEcho(t, m, bob, object("REPLY", event("NEEDS-ACTION"))), i == 0; got != want {
			t.Errorf("after message %d: %v", i+1, got)
		}
	}
}

// Proves: IS-SUB-3
func TestTheMemoryIsSafeForConcurrentUse(t *testing.T) {
	m := echo.New(nil)
	reply := object("REPLY", event("ACCEPTED"))
	msg, err := itip.Inspect(reply, itip.Limits{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				m.Wrote(bob, object("", event([]string{"ACCEPTED", "DECLINED"}[(i+j)%2])))
				m.IsEcho(bob, reply, msg)
			}
		})
	}
	wg.Wait()
}
