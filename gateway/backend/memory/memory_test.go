package memory_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/backend/memory"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

var (
	boss  = cua.MustParse("mailto:boss@sender.example")
	guest = cua.MustParse("mailto:guest@gw.example")
	now   = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

func newStore(users ...cua.Address) *memory.Store {
	return memory.New(func() time.Time { return now }, users...)
}

// object is an iCalendar object of these lines.
func object(lines ...string) []byte {
	return []byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//test//EN\r\n" + strings.Join(lines, "\r\n") + "\r\nEND:VCALENDAR\r\n")
}

// event is an iTIP message about one event of boss, with guest invited.
func event(method, uid string, sequence int, more ...string) []byte {
	lines := append([]string{
		"METHOD:" + method, "BEGIN:VEVENT", "UID:" + uid, "DTSTAMP:20261122T110000Z", fmt.Sprintf("SEQUENCE:%d", sequence),
		"DTSTART:20261125T140000Z", "DTEND:20261125T150000Z", "ORGANIZER:" + boss.String(), "ATTENDEE;PARTSTAT=NEEDS-ACTION:" + guest.String(),
	}, more...)
	return object(append(lines, "END:VEVENT")...)
}

// deliver delivers a message and returns the statuses.
func deliver(t *testing.T, s *memory.Store, body []byte, originator cua.Address, recipients ...cua.Address) []string {
	t.Helper()
	m, err := itip.Inspect(body, itip.Limits{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	results, err := s.Deliver(context.Background(), &backend.Delivery{Originator: originator, Recipients: recipients, Body: body, Message: m})
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for i, r := range results {
		if !r.Recipient.Equal(recipients[i]) {
			t.Errorf("result %d is for %v", i, r.Recipient)
		}
		codes = append(codes, r.Status.Code)
	}
	return codes
}

// Messages change the objects of the users they are for, by the rules of iTIP.
//
// Proves: IS-STAT-1, IS-ITIP-5
func TestDeliver(t *testing.T) {
	s := newStore(boss, guest)
	nobody := cua.MustParse("mailto:nobody@gw.example")
	expect := func(what string, got []string, deliveries int, want ...string) {
		t.Helper()
		if d := cmp.Diff(want, got); d != "" || s.Deliveries() != deliveries {
			t.Errorf("%s: %v after %d deliveries, want %v after %d", what, got, s.Deliveries(), want, deliveries)
		}
	}
	expect("invitation", deliver(t, s, event("REQUEST", "u", 1), boss, guest, nobody), 1, "2.0", "3.7")
	if got := string(s.Object(guest, "u")); !strings.Contains(got, "UID:u\r\n") || strings.Contains(got, "METHOD") {
		t.Errorf("stored:\n%s", got)
	}
	expect("the same again", deliver(t, s, event("REQUEST", "u", 1), boss, guest), 1, "2.0")
	expect("an older one", deliver(t, s, event("REQUEST", "u", 0), boss, guest), 1, "2.0")
	eve := cua.MustParse("mailto:eve@sender.example")
	takeover := []byte(strings.Replace(string(event("REQUEST", "u", 9)), "ORGANIZER:"+boss.String(), "ORGANIZER:"+eve.String(), 1))
	expect("another organizer", deliver(t, s, takeover, eve, guest), 1, "3.8")
	expect("all that follow", deliver(t, s, event("REQUEST", "u", 2, "RECURRENCE-ID;RANGE=THISANDFUTURE:20261125T140000Z"), boss, guest), 1, "3.14")
	s.Put(boss, "u", object(strings.Split(strings.Replace(strings.TrimSpace(string(s.Object(guest, "u"))), "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//test//EN\r\n", "", 1), "\r\nEND:VCALENDAR")[0]))
	reply := []byte(strings.Replace(string(event("REPLY", "u", 1)), "NEEDS-ACTION", "ACCEPTED", 1))
	expect("reply", deliver(t, s, reply, guest, boss), 2, "2.0")
	if got := string(s.Object(boss, "u")); !strings.Contains(got, "PARTSTAT=ACCEPTED") {
		t.Errorf("the reply is not in the organizer's copy:\n%s", got)
	}
	if deliver(t, s, event("CANCEL", "u", 3), boss, guest)[0] != "2.0" || s.Deliveries() != 3 {
		t.Errorf("cancel: %d deliveries", s.Deliveries())
	}
	if got := string(s.Object(guest, "u")); got != "" && !strings.Contains(got, "STATUS:CANCELLED") {
		t.Errorf("after the cancellation:\n%s", got)
	}
	if s.Object(guest, "other") != nil || s.Object(nobody, "u") != nil {
		t.Error("objects out of nothing")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Deliver(ctx, &backend.Delivery{}); err == nil {
		t.Error("delivered after the deadline")
	}
	s.Close()
}

// A REFRESH is answered with the organizer's object, and a proposal is told to the organizer.
//
// Proves: IS-BACK-4
func TestDeliverWhatWantsAnAnswer(t *testing.T) {
	s := newStore()
	own := strings.Replace(string(event("REQUEST", "u", 1)), "METHOD:REQUEST\r\n", "", 1)
	s.Put(boss, "u", []byte(own))
	ask := func(originator cua.Address, method string) backend.Result {
		body := []byte(strings.ReplaceAll(string(event(method, "u", 1)), "mailto:guest", originator.Scheme()+":"+originator.Local()))
		m, err := itip.Inspect(body, itip.Limits{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		results, err := s.Deliver(context.Background(), &backend.Delivery{Originator: originator, Recipients: []cua.Address{boss}, Body: body, Message: m})
		if err != nil {
			t.Fatal(err)
		}
		return results[0]
	}
	r := ask(guest, "REFRESH")
	if d := cmp.Diff(string(event("REQUEST", "u", 1)), string(r.Respond)); r.Status.Code != "2.0" || d != "" || s.Deliveries() != 0 {
		t.Errorf("%s: %s", r.Status.Code, d)
	}
	if r := ask(cua.MustParse("mailto:eve@gw.example"), "REFRESH"); r.Status.Code != "3.8" || r.Respond != nil {
		t.Errorf("a stranger: %+v", r)
	}
	if r := ask(guest, "COUNTER"); r.Status.Code != "2.0" || r.Respond != nil || !strings.Contains(string(s.Object(boss, "u")), "proposes") {
		t.Errorf("a proposal: %+v", r)
	}
}

// Free/busy shows what takes time, and when.
//
// Proves: IS-BACK-5
func TestFreeBusy(t *testing.T) {
	at := func(lines ...string) []byte {
		return object(append(append([]string{"BEGIN:VEVENT", "UID:u", "DTSTAMP:20261122T110000Z"}, lines...), "END:VEVENT")...)
	}
	const own = "DTSTART:20261125T140000Z"
	for _, tt := range []struct {
		name   string
		object []byte
		want   []string
	}{
		{"an appointment", at(own, "DTEND:20261125T150000Z"), []string{"BUSY 1125T1400 1125T1500"}},
		{"with a duration", at(own, "DURATION:PT30M"), []string{"BUSY 1125T1400 1125T1430"}},
		{"in a time zone", at("DTSTART;TZID=Europe/Berlin:20261125T140000", "DURATION:PT1H"), []string{"BUSY 1125T1300 1125T1400"}},
		{"before the range", at("DTSTART:20261124T220000Z", "DURATION:PT2H"), nil},
		{"into the range", at("DTSTART:20261124T220000Z", "DURATION:PT3H"), []string{"BUSY 1125T0000 1125T0100"}},
		{"after the range", at("DTSTART:20261128T000000Z", "DURATION:PT3H"), nil},
		{"transparent", at(own, "DURATION:PT1H", "TRANSP:TRANSPARENT"), nil},
		{"cancelled", at(own, "DURATION:PT1H", "STATUS:CANCELLED"), nil},
		{"tentative", at(own, "DURATION:PT1H", "STATUS:TENTATIVE"), []string{"BUSY-TENTATIVE 1125T1400 1125T1500"}},
		{"declined", at(own, "DURATION:PT1H", "ORGANIZER:"+boss.String(), "ATTENDEE;PARTSTAT=DECLINED:"+guest.String()), nil},
		{"accepted tentatively", at(own, "DURATION:PT1H", "ORGANIZER:"+boss.String(), "ATTENDEE;PARTSTAT=TENTATIVE:"+guest.String()), []string{"BUSY-TENTATIVE 1125T1400 1125T1500"}},
		{"declined by somebody else", at(own, "DURATION:PT1H", "ORGANIZER:"+boss.String(), "ATTENDEE;PARTSTAT=DECLINED:"+boss.String(), "ATTENDEE:"+guest.String()),
			[]string{"BUSY-TENTATIVE 1125T1400 1125T1500"}},
		{"in another time zone, across the clock change", at("DTSTART;TZID=Europe/Berlin:20261001T140000", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;BYDAY=WE", "EXDATE;TZID=Europe/Berlin:20261007T140000"),
			[]string{"BUSY 1125T1300 1125T1400"}},
		{"daily, one day out, one day moved", object("BEGIN:VEVENT", "UID:u", "DTSTAMP:20261122T110000Z", "DTSTART:20261120T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY",
			"EXDATE:20261126T090000Z", "END:VEVENT", "BEGIN:VEVENT", "UID:u", "DTSTAMP:20261122T110000Z", "RECURRENCE-ID:20261127T090000Z", "DTSTART:20261127T160000Z",
			"DURATION:PT1H", "END:VEVENT"), []string{"BUSY 1125T0900 1125T1000", "BUSY 1127T1600 1127T1700"}},
		{"a date more", at("DTSTART:20261110T090000Z", "DURATION:PT1H", "RDATE:20261126T120000Z,20261126T180000Z"), []string{"BUSY 1126T1200 1126T1300", "BUSY 1126T1800 1126T1900"}},
		{"every second for ever", at("DTSTART:20001125T140000Z", "DURATION:PT1S", "RRULE:FREQ=SECONDLY"), nil},
		{"every nought days", at(own, "DURATION:PT1H", "RRULE:FREQ=DAILY;INTERVAL=0"), nil},
		{"a task", object("BEGIN:VTODO", "UID:u", "DTSTAMP:20261122T110000Z", "DTSTART:20261125T140000Z", "END:VTODO"), nil},
		{"nonsense", []byte("nonsense"), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore()
			s.Put(guest, "u", tt.object)
			question := object("METHOD:REQUEST", "BEGIN:VFREEBUSY", "UID:fb", "DTSTAMP:20261122T110000Z", "DTSTART:20261125T000000Z", "DTEND:20261128T000000Z",
				"ORGANIZER:"+boss.String(), "ATTENDEE:"+guest.String(), "END:VFREEBUSY")
			m, err := itip.Inspect(question, itip.Limits{}, 0)
			if err != nil {
				t.Fatal(err)
			}
			results, err := s.Deliver(context.Background(), &backend.Delivery{Originator: boss, Recipients: []cua.Address{guest}, Body: question, Message: m})
			if err != nil || results[0].Status.Code != "2.0" {
				t.Fatal(results, err)
			}
			periods, err := itip.ParseFreeBusy(results[0].CalendarData, guest)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range periods {
				got = append(got, fmt.Sprintf("%s %s %s", p.Type, p.Start.Format("0102T1504"), p.End.Format("0102T1504")))
			}
			slices.Sort(got)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
