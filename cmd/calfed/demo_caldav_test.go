package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-ical"
	"github.com/emersion/go-webdav"
	"github.com/emersion/go-webdav/caldav"
)

// A calendar program finds its way from the addresses that are printed; what it stores reaches the other organisation's calendars.
func TestDemoStaysForCalendarPrograms(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // it stays until then
	defer cancel()
	read, write := io.Pipe()
	defer func() { _ = read.Close() }()
	ended := make(chan error, 1)
	go func() {
		ended <- runDemo(ctx, newTeller(write), true)
		_ = write.Close()
	}()
	lines := bufio.NewScanner(read)
	next := func(pattern string) []string {
		t.Helper()
		for lines.Scan() {
			if found := regexp.MustCompile(pattern).FindStringSubmatch(lines.Text()); found != nil {
				return found
			}
		}
		t.Fatalf("the demo ended without a line like %q: %v", pattern, <-ended)
		return nil
	}
	connect := func(who string) (*caldav.Client, string) {
		t.Helper()
		at := next(who + `@\S+ +(\S+) +user (\S+), password (\S+)`)
		c, err := caldav.NewClient(webdav.HTTPClientWithBasicAuth(http.DefaultClient, at[2], at[3]), at[1])
		if err != nil {
			t.Fatal(err)
		}
		principal, err := c.FindCurrentUserPrincipal(ctx)
		if err != nil {
			t.Fatal(err)
		}
		home, err := c.FindCalendarHomeSet(ctx, principal)
		if err != nil {
			t.Fatal(err)
		}
		calendars, err := c.FindCalendars(ctx, home)
		if err != nil || len(calendars) != 1 {
			t.Fatalf("calendars %v: %v", calendars, err)
		}
		return c, calendars[0].Path
	}
	lunch := func(c *caldav.Client, calendar string) *caldav.CalendarObject {
		t.Helper()
		found, err := c.QueryCalendar(ctx, calendar, &caldav.CalendarQuery{
			CompRequest: caldav.CalendarCompRequest{Name: "VCALENDAR", AllProps: true, AllComps: true},
			CompFilter: caldav.CompFilter{Name: "VCALENDAR", Comps: []caldav.CompFilter{{
				Name: "VEVENT", Props: []caldav.PropFilter{{Name: "UID", TextMatch: &caldav.TextMatch{Text: "lunch@alpha.example"}}},
			}}},
		})
		if err != nil || len(found) != 1 {
			t.Fatalf("%d objects, %v", len(found), err)
		}
		return &found[0]
	}
	anna, hers := connect("anna")
	bert, his := connect("bert")

	invitation, err := ical.NewDecoder(strings.NewReader(strings.ReplaceAll(`BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Calendar program//EN
BEGIN:VEVENT
UID:lunch@alpha.example
DTSTAMP:20261122T180000Z
DTSTART:20361205T100000Z
DTEND:20361205T110000Z
SUMMARY:Lunch
ORGANIZER:mailto:anna@alpha.example
ATTENDEE;PARTSTAT=ACCEPTED:mailto:anna@alpha.example
ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bert@beta.example
ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:nobody@beta.example
END:VEVENT
END:VCALENDAR
`, "\n", "\r\n"))).Decode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := anna.PutCalendarObject(ctx, hers+"lunch.ics", invitation); err != nil {
		t.Fatal(err)
	}
	next(`REQUEST from mailto:anna@alpha\.example to mailto:bert@beta\.example: 2\.0`)
	next(`REQUEST from mailto:anna@alpha\.example to mailto:nobody@beta\.example: 3\.7`)

	answered := lunch(bert, his)
	for _, attendee := range answered.Data.Events()[0].Props.Values(ical.PropAttendee) {
		if strings.HasPrefix(attendee.Value, "mailto:bert@") {
			attendee.Params.Set(ical.ParamParticipationStatus, "ACCEPTED")
		}
	}
	if _, err := bert.PutCalendarObject(ctx, answered.Path, answered.Data); err != nil {
		t.Fatal(err)
	}
	next(`REPLY from mailto:bert@beta\.example to mailto:anna@alpha\.example: 2\.0`)
	for _, attendee := range lunch(anna, hers).Data.Events()[0].Props.Values(ical.PropAttendee) {
		if strings.HasPrefix(attendee.Value, "mailto:bert@") && attendee.Params.Get(ical.ParamParticipationStatus) != "ACCEPTED" {
			t.Errorf("anna's calendar has %v", attendee)
		}
	}

	cancel()
	for lines.Scan() { // to its end
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
