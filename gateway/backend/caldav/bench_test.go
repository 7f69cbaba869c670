package caldav_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/emersion/go-ical"
	"github.com/emersion/go-webdav"
	client "github.com/emersion/go-webdav/caldav"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/itip"
)

// The delivery benchmark measures an invitation on its way into a calendar of 100 events, on a server in this process, and the new
// revision of one. Two clients take the same messages in one run:
//
//	baseline  go-webdav: list the calendars, ask for the UID, PUT; no condition, no rule of iTIP
//	calfed    Deliver, the user known
func BenchmarkDeliver(b *testing.B) {
	for _, kind := range []string{"new", "update"} {
		for _, who := range []string{"baseline", "calfed"} {
			b.Run(kind+"/"+who, func(b *testing.B) {
				s := newSabre(b, nil)
				for i := range 100 {
					s.server.Put(alice, fmt.Sprint(i), []byte(asStored(message(fmt.Sprint(i), 0))))
				}
				deliver := s.deliver
				if who == "baseline" {
					deliver = s.webdav(b)
				}
				b.ReportAllocs()
				for n := 0; b.Loop(); n++ {
					uid, sequence := "measured", n+1
					if kind == "new" {
						b.StopTimer()
						s.server.Put(alice, uid, nil)
						b.StartTimer()
						sequence = 0
					}
					deliver(b, message(uid, sequence))
				}
			})
		}
	}
}

func message(uid string, sequence int) string {
	m := meeting("REQUEST", 0, "DTSTART:20270105T090000Z", "DTEND:20270105T100000Z", "SUMMARY:Plan")
	return strings.NewReplacer("UID:meeting-1@sender.example", "UID:"+uid, "SEQUENCE:0", fmt.Sprintf("SEQUENCE:%d", sequence)).Replace(m)
}

func (s *sabre) deliver(b *testing.B, body string) {
	m, err := itip.Inspect([]byte(body), itip.Limits{}, 0)
	if err != nil {
		b.Fatal(err)
	}
	results, err := s.backend.Deliver(b.Context(), &backend.Delivery{Originator: carol, Recipients: append(m.Attendees[:0:0], alice), Body: []byte(body), Message: m})
	if err != nil || !results[0].Status.Success() {
		b.Fatal(results, err)
	}
}

// webdav delivers by go-webdav.
func (s *sabre) webdav(b *testing.B) func(*testing.B, string) {
	c, err := client.NewClient(webdav.HTTPClientWithBasicAuth(http.DefaultClient, "gateway", "secret"), s.url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(http.DefaultClient.CloseIdleConnections)
	return func(b *testing.B, body string) {
		if err := put(b.Context(), c, body); err != nil {
			b.Fatal(err)
		}
	}
}

func put(ctx context.Context, c *client.Client, body string) error {
	calendars, err := c.FindCalendars(ctx, "/dav/alice/calendars/")
	if err != nil {
		return err
	}
	message, err := ical.NewDecoder(strings.NewReader(body)).Decode()
	if err != nil {
		return err
	}
	uid, err := message.Events()[0].Props.Text(ical.PropUID)
	if err != nil {
		return err
	}
	found, err := c.QueryCalendar(ctx, calendars[0].Path, &client.CalendarQuery{
		CompRequest: client.CalendarCompRequest{Name: "VCALENDAR", AllProps: true, AllComps: true},
		CompFilter: client.CompFilter{Name: "VCALENDAR", Comps: []client.CompFilter{
			{Name: "VEVENT", Props: []client.PropFilter{{Name: "UID", TextMatch: &client.TextMatch{Text: uid}}}},
		}},
	})
	if err != nil {
		return err
	}
	path := calendars[0].Path + uid + ".ics"
	if len(found) > 0 {
		path = found[0].Path
	}
	message.Props.Del(ical.PropMethod)
	_, err = c.PutCalendarObject(ctx, path, message)
	return err
}
