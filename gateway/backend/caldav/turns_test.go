package caldav_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/backend/caldav"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/snapshot"
)

// The answers to a large invitation come at once, and none is lost.
//
// Proves: IS-BACK-2
func TestManyAnswersAtOnce(t *testing.T) {
	f := newFake(t)
	path := calendarOfAlice + "mine.ics"
	const guests = 20
	answers := []string{"TENTATIVE", "DECLINED", "ACCEPTED"}
	guest := func(i int) string { return fmt.Sprintf("mailto:guest%d@sender.example", i) }
	lines := []string{"BEGIN:VEVENT", "UID:own-1@example.org", "DTSTAMP:20261101T110000Z", "SEQUENCE:0", "DTSTART:20270105T090000Z", "ORGANIZER:mailto:alice@example.org"}
	for i := range guests {
		lines = append(lines, "ATTENDEE;PARTSTAT=NEEDS-ACTION:"+guest(i))
	}
	f.objects[path] = ics(append(lines, "END:VEVENT")...)
	b := f.backend(t, nil)
	var all sync.WaitGroup
	for i := range guests {
		all.Go(func() {
			for j, answer := range answers {
				reply := ics("METHOD:REPLY", "BEGIN:VEVENT", "UID:own-1@example.org", fmt.Sprintf("DTSTAMP:20261123T12000%dZ", j), "SEQUENCE:0", "DTSTART:20270105T090000Z",
					"ORGANIZER:mailto:alice@example.org", "ATTENDEE;PARTSTAT="+answer+":"+guest(i), "END:VEVENT")
				if got := statuses(t, b, reply, cua.MustParse(guest(i)), alice); got != "2.0" {
					t.Errorf("guest %d: %s", i, got)
				}
			}
		})
	}
	all.Wait()
	if n := strings.Count(f.objects[path], "PARTSTAT=ACCEPTED"); n != guests {
		t.Errorf("%d of %d answers are there", n, guests)
	}
	if n := len(f.requests(http.MethodPut)); n != guests*len(answers) {
		t.Errorf("%d writes", n)
	}
}

// A panic over what a calendar holds costs one delivery, not the gateway.
//
// Proves: IS-BACK-2
func TestPanic(t *testing.T) {
	f := newFake(t)
	f.panics = true
	if got := statuses(t, f.backend(t, nil), invitation(0), carol, bob); got != "5.1" {
		t.Error(got)
	}
	if log := f.logged.String(); !strings.Contains(log, "panicked") || strings.Contains(log, "secret") {
		t.Errorf("log: %s", log)
	}
}

// Who waits for others to change the object waits no longer than the message may take.
//
// Proves: IS-BACK-2
func TestTurnsEnd(t *testing.T) {
	f := newFake(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			close(entered)
			<-leave
		}
		f.ServeHTTP(w, r)
	}))
	defer slow.Close()
	b := f.backend(t, func(s *snapshot.CalDAV) { s.URL = slow.URL + "/dav/" })
	var first sync.WaitGroup
	first.Go(func() {
		if got := statuses(t, b, invitation(0), carol, alice); got != "2.0" {
			t.Errorf("the first: %s", got)
		}
	})
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := b.Deliver(ctx, delivery(t, invitation(1), carol, alice)); !errors.Is(err, backend.ErrUnavailable) {
		t.Errorf("the second: %v", err)
	}
	close(leave)
	first.Wait()
}

// A server that sends while it stores may have a delivery wait for one that waits for it: that ends.
//
// Proves: IS-BACK-2
func TestTurnsWithinTurns(t *testing.T) {
	f := newFake(t)
	f.objects[calendarOfAlice+"mine.ics"] = asStored(invitation(0))
	var b *caldav.Backend
	var begun atomic.Bool
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && begun.CompareAndSwap(false, true) {
			if got := statuses(t, b, invitation(2), carol, alice); got != "2.0" {
				t.Errorf("within the first: %s", got)
			}
		}
		f.ServeHTTP(w, r)
	}))
	defer slow.Close()
	b = f.backend(t, func(s *snapshot.CalDAV) { s.URL = slow.URL + "/dav/" })
	b.SetPatience(time.Millisecond)
	if got := statuses(t, b, invitation(1), carol, alice); got != "2.0" {
		t.Errorf("the first: %s", got)
	}
	if object := f.objects[calendarOfAlice+"mine.ics"]; !strings.Contains(object, "Plan 2") {
		t.Errorf("stored:\n%s", object)
	}
}
