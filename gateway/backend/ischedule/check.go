package ischedule

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
)

// Test implements backend.Tester: the endpoint's capabilities, and a free/busy question of the user about the user. Events
// cannot be written and removed over iSchedule, so none is.
func (b *Backend) Test(ctx context.Context, user cua.Address) []backend.Check {
	reached := b.Reach(ctx)
	answers := backend.Check{Name: "ask free/busy", Expected: "status 2.0 for the user", Skipped: true, Seen: "not tried"}
	if reached.OK {
		answers = b.testFreeBusy(ctx, user)
	}
	return []backend.Check{reached, answers, {
		Name: "write an event", Expected: "", Skipped: true, Seen: "an iSchedule server takes messages only: send the user one with calfed send",
	}}
}

// Reach implements backend.Reacher: the endpoint's capabilities.
func (b *Backend) Reach(ctx context.Context) backend.Check {
	c := backend.Check{Name: "connect", Expected: "a capabilities document"}
	c.Cause = "no iSchedule at spec.backend.iSchedule.url, or it does not talk to this host: switch iSchedule on in the calendar server (Cyrus: httpmodules), and correct the path"
	target := *b.endpoint
	target.RawQuery = "action=capabilities"
	there := &Backend{endpoint: &target, userAgent: b.userAgent, transport: b.transport}
	resp, err := there.do(ctx, http.MethodGet, http.Header{"User-Agent": {b.userAgent}}, nil)
	if err != nil { // Cyrus breaks off every second one
		resp, err = there.do(ctx, http.MethodGet, http.Header{"User-Agent": {b.userAgent}}, nil)
	}
	if err != nil {
		c.Seen, c.Cause = err.Error(), "the calendar server cannot be reached: is it running, is egress.backendCIDRs right?"
		return c
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, ischedule.MaxResponseBytes))
	if err != nil {
		c.Seen = err.Error()
		return c
	}
	c.Seen = "HTTP status " + strconv.Itoa(resp.StatusCode)
	document, err := ischedule.ReadCapabilities(body)
	if resp.StatusCode != http.StatusOK || err != nil {
		return c
	}
	c.OK, c.Cause = true, ""
	c.Seen = fmt.Sprintf("serial %d, versions %v", document.Serial, document.Versions)
	return c
}

func (b *Backend) testFreeBusy(ctx context.Context, user cua.Address) backend.Check {
	c := backend.Check{Name: "ask free/busy", Expected: "status 2.0 for the user"}
	now := time.Now()
	uid := "calfed-test-" + strconv.FormatInt(now.UnixNano(), 36)
	question := itip.FreeBusyRequest{UID: uid, Organizer: user, Attendees: []cua.Address{user}, Start: now, End: now.Add(24 * time.Hour), Stamp: now}
	body := question.Build()
	m, err := itip.Inspect(body, itip.Limits{}, 0)
	if err != nil {
		c.Seen = err.Error()
		return c
	}
	results, err := b.Deliver(ctx, &backend.Delivery{
		MessageID: uid, Originator: user, Recipients: []cua.Address{user}, Body: body, Message: m,
		ContentType: "text/calendar; charset=utf-8; component=VFREEBUSY; method=REQUEST",
	})
	switch {
	case err != nil:
		c.Seen, c.Cause = err.Error(), "the calendar server refuses messages without a signature from this host, or failed: see its log"
	case results[0].Status.Success():
		c.OK, c.Seen = true, results[0].Status.String()
	case results[0].Status.Code == ischedule.StatusUnknownUser.Code:
		c.Seen, c.Cause = results[0].Status.String(), "the calendar server does not know the user: is the address spelled as there, the domain one of its own?"
	default:
		c.Seen, c.Cause = results[0].Status.String()+" "+results[0].Description, "see the calendar server's log"
	}
	return c
}
