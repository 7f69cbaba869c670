package caldav

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
	"github.com/calfed/calfed/gateway/netguard"
)

// cleanUp bounds the removal of the test event when the test itself ran out of time.
const cleanUp = 20 * time.Second

// trial is one run of Test.
type trial struct {
	b      *Backend
	owner  cua.Address
	uid    string
	checks []backend.Check

	user      *user
	calendars []calendar
	event     *object // as last written, nil = not there
	stale     string  // an entity tag that was true once
}

// Test implements backend.Tester: each step needs the one before.
func (b *Backend) Test(ctx context.Context, owner cua.Address) []backend.Check {
	t := &trial{b: b, owner: owner, uid: "calfed-test-" + rand.Text()}
	defer t.clean(ctx)
	b.users.forget(owner)
	steps := []struct {
		name, expected string
		run            func(context.Context) (seen, cause string, ok bool)
	}{
		{connecting, anAnswer, t.b.connect},
		{"find the user", "one principal with this calendar user address", t.find},
		{"find the default calendar", "a calendar that takes events", t.calendar},
		{"write an event", "it is stored", t.write},
		{"read it back", "the same event, with a strong entity tag", t.read},
		{"update it conditionally", "it is stored again", t.update},
		{"update it with an old entity tag", "refused with 412", t.conflict},
		{"remove it", "it is gone", t.remove},
		{"ask free/busy", "an answer", t.freeBusy},
	}
	failed := false
	for _, s := range steps {
		check := backend.Check{Name: s.name, Expected: s.expected, Skipped: failed}
		if !failed {
			check.Seen, check.Cause, check.OK = s.run(ctx)
			failed = !check.OK
		}
		t.checks = append(t.checks, check)
	}
	last := &t.checks[len(t.checks)-1]
	if !b.server.BypassACL && b.server.FreeBusyPrincipal == "" {
		*last = backend.Check{Name: last.Name, Expected: last.Expected, Skipped: true, Seen: "neither freeBusyPrincipal nor bypassACL is configured"}
	}
	return t.checks
}

// event is a test event: far ahead, taking no time, inviting nobody.
func (t *trial) object(summary string) []byte {
	var body []byte
	day := t.b.now().UTC().AddDate(5, 0, 0)
	for _, l := range []string{
		"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//calfed//calfed//EN", "BEGIN:VEVENT",
		"UID:" + t.uid, "DTSTAMP:" + t.b.now().UTC().Format(utcForm),
		"DTSTART:" + day.Format(utcForm), "DTEND:" + day.Add(time.Hour).Format(utcForm),
		"SUMMARY:" + summary, "TRANSP:TRANSPARENT", "END:VEVENT", "END:VCALENDAR",
	} {
		body = itip.Fold(body, l)
	}
	return body
}

func failedBy(err error) (string, string, bool) {
	return err.Error(), "see what the calendar server's own log says of this request", false
}

const (
	connecting = "connect and authenticate"
	anAnswer   = "an answer to PROPFIND"
)

// Reach implements backend.Reacher: what is asked first of a server, with the credentials.
func (b *Backend) Reach(ctx context.Context) backend.Check {
	c := backend.Check{Name: connecting, Expected: anAnswer}
	c.Seen, c.Cause, c.OK = b.connect(ctx)
	return c
}

func (b *Backend) connect(ctx context.Context) (string, string, bool) {
	answer, list, err := b.client.propfind(ctx, b.client.base, "0", baseProps)
	switch {
	case err != nil:
		return err.Error(), noConnection(err), false
	case list == nil && b.server.PrincipalTemplate == "": // with a template nothing is asked there
		return fmt.Sprintf("HTTP status %d", answer.status), "the URL is no WebDAV folder", false
	}
	return fmt.Sprintf("HTTP status %d", answer.status), "", true
}

// noConnection is the likely cause of a server that could not be asked anything.
func noConnection(err error) string {
	var refused *netguard.RefusedError
	switch {
	case errors.As(err, &refused) && refused.Rule == "port":
		return "only port 443 and ports from 1024 on are connected to"
	case errors.As(err, &refused):
		return "the server's address is outside egress.backendCIDRs"
	case errors.Is(err, errCredentials):
		return "the user name, password or token behind credentialsRef is wrong, or was changed on the server"
	case errors.Is(err, backend.ErrUnavailable):
		return "the server does not run, the URL's host or port is wrong, or a firewall is between: see what was seen"
	}
	return "the URL is not that of the CalDAV server"
}

func (t *trial) find(ctx context.Context) (string, string, bool) {
	var err error
	if t.user, err = t.b.user(ctx, t.owner); err != nil {
		return err.Error(), "no such user, another mail address there, or a principal that the credentials may not read", false
	}
	return t.user.principal.Path, "", true
}

func (t *trial) calendar(ctx context.Context) (string, string, bool) {
	var err error
	if t.calendars, err = t.b.calendars(ctx, t.user); err != nil {
		return failedBy(err)
	}
	for _, c := range t.calendars {
		if c.components.takes("VEVENT") {
			return c.url.Path, "", true
		}
	}
	return "none", "the user has no calendar yet, or the credentials may not see it", false
}

func (t *trial) write(ctx context.Context) (string, string, bool) {
	o, err := t.b.find(ctx, t.calendars, "VEVENT", t.uid)
	if err != nil {
		return failedBy(err)
	}
	t.event = &object{url: o.url} // from here on there may be something to remove
	return t.put(ctx, o, "calfed test")
}

// put writes and says how that went.
func (t *trial) put(ctx context.Context, o *object, summary string) (string, string, bool) {
	wrote, err := t.b.store(ctx, o, t.object(summary))
	switch {
	case err != nil:
		return failedBy(err)
	case !wrote.done:
		return "a conflict", "another object is in the way", false
	}
	return "stored", "", true
}

func (t *trial) read(ctx context.Context) (string, string, bool) {
	found, err := t.b.find(ctx, t.calendars, "VEVENT", t.uid)
	switch {
	case err != nil:
		return failedBy(err)
	case found.body == nil || uidOf(string(found.body)) != t.uid:
		return "another object, or none", "the server does not give back what it stored", false
	case found.etag == "":
		return "no strong entity tag", "a proxy that compresses makes them weak", false
	}
	t.event = found
	return "the event", "", true
}

func (t *trial) update(ctx context.Context) (string, string, bool) {
	t.stale = t.event.etag
	seen, cause, ok := t.put(ctx, t.event, "calfed test changed")
	if !ok {
		return seen, cause, ok
	}
	if _, cause, ok = t.read(ctx); !ok {
		return "cannot be read back", cause, false
	}
	return seen, "", true
}

func (t *trial) conflict(ctx context.Context) (string, string, bool) {
	old := *t.event
	old.etag = t.stale
	wrote, err := t.b.store(ctx, &old, t.object("calfed test overwritten"))
	switch {
	case err != nil:
		return failedBy(err)
	case wrote.done:
		return "stored", "the server ignores If-Match: answers of users could be lost", false
	}
	return "refused", "", true
}

func (t *trial) remove(ctx context.Context) (string, string, bool) {
	wrote, err := t.b.store(ctx, t.event, nil)
	if err == nil && !wrote.done {
		err = errMoving
	}
	if err != nil {
		return failedBy(err)
	}
	left, err := t.b.read(ctx, t.event.url)
	if err != nil {
		return failedBy(err)
	}
	if left != nil {
		return "it is still there", "", false
	}
	t.event = nil
	return "gone", "", true
}

func (t *trial) freeBusy(ctx context.Context) (string, string, bool) {
	now := t.b.now().UTC().Truncate(time.Second)
	results, err := t.b.freeBusy(ctx, &backend.Delivery{
		Originator: t.owner, Recipients: []cua.Address{t.owner},
		Message: &itip.Message{
			Method: "REQUEST", Component: "VFREEBUSY", UID: t.uid, Organizer: t.owner, Attendees: []cua.Address{t.owner},
			Start: now, End: now.Add(24 * time.Hour),
		},
	})
	if err != nil {
		return failedBy(err)
	}
	if r := results[0]; !r.Status.Success() {
		return r.Status.String(), "the credentials may not read free/busy, or the freeBusyPrincipal cannot be used", false
	}
	periods, err := itip.ParseFreeBusy(results[0].CalendarData, t.owner)
	if err != nil {
		return failedBy(err)
	}
	return fmt.Sprintf("%d busy periods within a day", len(periods)), "", true
}

// clean removes the test event whatever happened.
func (t *trial) clean(ctx context.Context) {
	if t.event == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
	defer cancel()
	for range maxAttempts {
		o, err := t.b.read(ctx, t.event.url)
		if err != nil || o == nil {
			return
		}
		if wrote, err := t.b.store(ctx, o, nil); err != nil || wrote.done {
			return
		}
	}
}
