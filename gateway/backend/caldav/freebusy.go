package caldav

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
)

// freeBusy answers a question, in the first way that is configured: through the scheduling Outbox of a principal, which sees what
// that principal may; by reading calendars with our credentials. IS-BACK-5.
func (b *Backend) freeBusy(ctx context.Context, d *backend.Delivery) ([]backend.Result, error) {
	switch {
	case d.Message.Method != "REQUEST":
		return b.each(d, func(cua.Address) (backend.Result, error) {
			return backend.Result{Status: ischedule.StatusUnsupported}, nil
		})
	case b.server.FreeBusyPrincipal != "":
		return b.askOutbox(ctx, d)
	case b.server.BypassACL:
		return b.each(d, func(to cua.Address) (backend.Result, error) { return b.readBusy(ctx, d, to) })
	}
	return b.each(d, func(cua.Address) (backend.Result, error) {
		return backend.Result{Status: ischedule.StatusNoScheduling, Description: "free/busy is not answered here"}, nil
	})
}

// reply is the answer for one recipient, rebuilt: what was asked, and the periods.
func (b *Backend) reply(d *backend.Delivery, to cua.Address, periods []itip.Period) backend.Result {
	r := itip.FreeBusyReply{
		UID: d.Message.UID, Organizer: d.Message.Organizer, Attendee: to,
		Start: d.Message.Start, End: d.Message.End, Stamp: b.now(), Periods: periods,
	}
	return backend.Result{Recipient: to, Status: ischedule.StatusDelivered, CalendarData: r.Build()}
}

// readBusy reads the calendars of one user.
func (b *Backend) readBusy(ctx context.Context, d *backend.Delivery, to cua.Address) (backend.Result, error) {
	u, err := b.user(ctx, to)
	if err != nil {
		return backend.Result{}, err
	}
	calendars, err := b.calendars(ctx, u)
	if err != nil {
		if !errors.Is(err, backend.ErrUnavailable) {
			b.users.forget(to)
		}
		return backend.Result{}, err
	}
	var all []itip.Period
	for _, c := range calendars {
		if c.transparent || !c.components.takes("VEVENT") {
			continue
		}
		periods, err := b.busyIn(ctx, c, to, d.Message.Start, d.Message.End)
		if err != nil {
			return backend.Result{}, err
		}
		if all = append(all, periods...); len(all) > maxPeriods {
			return backend.Result{}, fmt.Errorf("a user is busy more than %d times", maxPeriods)
		}
	}
	return b.reply(d, to, all), nil
}

const maxPeriods = 50_000

// busyIn is when a calendar is busy: as the server says, where it knows, else as its objects say.
func (b *Backend) busyIn(ctx context.Context, c calendar, owner cua.Address, start, end time.Time) ([]itip.Period, error) {
	if b.profile.freeBusyQuery {
		answer, err := b.client.do(ctx, request{"REPORT", c.url, freeBusyQuery(start, end), []string{"Content-Type", xmlType, "Depth", "1"}})
		if err != nil {
			return nil, err
		}
		if kind, _, _ := mime.ParseMediaType(answer.header.Get("Content-Type")); answer.status == http.StatusOK && kind == "text/calendar" {
			return itip.ParseFreeBusy(answer.body, cua.Address{})
		}
	}
	// What floats is the server's to place in its own way: a day on either side, and itip.Busy cuts.
	const day = 24 * time.Hour
	answer, list, err := b.client.query(ctx, "REPORT", c.url, "1", inRange(start.Add(-day), end.Add(day)))
	if err != nil {
		return nil, err
	}
	if answer.status == http.StatusForbidden {
		return nil, forbidden("reading a calendar of the user", answer.body)
	}
	if answer.status != http.StatusMultiStatus {
		return nil, fmt.Errorf("calendar server answers calendar-query with HTTP status %d", answer.status)
	}
	zone := zoneOf(c.zone)
	var all []itip.Period
	unread := 0
	var why error
	for i := range list {
		if ctx.Err() != nil { // each object may take its time, and there may be many
			return nil, fmt.Errorf("%w: free/busy takes too long: %w", backend.ErrUnavailable, ctx.Err())
		}
		props := list[i].found()
		if props == nil || props.Data == "" {
			continue
		}
		periods, err := itip.Busy([]byte(props.Data), owner, zone, start, end)
		if err != nil {
			unread, why = unread+1, err
			continue
		}
		if all = append(all, periods...); len(all) > maxPeriods {
			return nil, fmt.Errorf("a calendar is busy more than %d times", maxPeriods)
		}
	}
	if unread > 0 {
		b.log.Warn("events are left out of free/busy: they cannot be read", "events", unread, "last cause", why)
	}
	return all, nil
}

// freeBusyQuery is RFC 4791 §7.10.
func freeBusyQuery(start, end time.Time) []byte {
	return document("C:free-busy-query", timeRange(start, end))
}

// zoneOf is the time zone that a calendar-timezone names, nil when it names none we know.
func zoneOf(definition string) *time.Location {
	for line := range strings.Lines(definition) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if !strings.EqualFold(name, "TZID") || value == "" || value == "Local" {
			continue
		}
		if zone, err := time.LoadLocation(value); err == nil {
			return zone
		}
	}
	return nil
}
