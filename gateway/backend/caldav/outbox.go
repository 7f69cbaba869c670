package caldav

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
)

// asker is the principal in whose name free/busy is asked.
type asker struct {
	address cua.Address
	outbox  *url.URL
}

// askOutbox asks the server by RFC 6638 §5, in the name of the configured principal: servers refuse an ORGANIZER who is not the
// Outbox's owner.
func (b *Backend) askOutbox(ctx context.Context, d *backend.Delivery) ([]backend.Result, error) {
	by, err := b.asker(ctx)
	var response *scheduleResponse
	if err == nil {
		response, err = b.postOutbox(ctx, d, by)
	}
	return b.each(d, func(to cua.Address) (backend.Result, error) {
		if err != nil {
			return backend.Result{}, err
		}
		result, err := b.fromOutbox(d, to, response)
		if err == nil && result.Status == ischedule.StatusUnavailable {
			// Cyrus says so of users it does not have
			if _, unknown := b.user(ctx, to); errors.Is(unknown, errUnknownUser) {
				return backend.Result{}, errUnknownUser
			}
		}
		return result, err
	})
}

func (b *Backend) asker(ctx context.Context) (*asker, error) {
	principal, err := b.client.resolve(b.client.base, b.server.FreeBusyPrincipal)
	if err != nil {
		return nil, err
	}
	answer, list, err := b.client.propfind(ctx, principal, "0", principalProps)
	switch {
	case err != nil:
		return nil, err
	case answer.status == http.StatusForbidden:
		return nil, forbidden("the freeBusyPrincipal", answer.body)
	case len(list) == 0 || list[0].found() == nil:
		return nil, noAsker(fmt.Sprintf("HTTP status %d", answer.status))
	}
	props := list[0].found()
	var by asker
	if props.Addresses != nil {
		for _, h := range props.Addresses.List {
			if a, err := cua.Parse(strings.TrimSpace(h)); err == nil && a.Scheme() == "mailto" {
				by.address = a
				break
			}
		}
	}
	if by.address.IsZero() {
		return nil, noAsker("no mail address in its calendar-user-address-set")
	}
	if props.Outbox.first() == "" {
		return nil, noAsker("no schedule-outbox-URL")
	}
	by.outbox, err = b.client.resolve(answer.at, props.Outbox.first())
	return &by, err
}

func noAsker(why string) *refusal {
	return &refusal{
		status: ischedule.StatusNoScheduling, description: "free/busy cannot be asked here", log: true,
		cause: "freeBusyPrincipal cannot be used: " + why,
	}
}

// postOutbox asks for all recipients at once.
func (b *Backend) postOutbox(ctx context.Context, d *backend.Delivery, by *asker) (*scheduleResponse, error) {
	recipients := make([]string, len(d.Recipients))
	for i, to := range d.Recipients {
		recipients[i] = to.URI()
	}
	answer, err := b.client.do(ctx, request{http.MethodPost, by.outbox, b.question(d, by), []string{
		"Content-Type", "text/calendar; charset=utf-8; component=VFREEBUSY; method=REQUEST",
		"Originator", by.address.URI(), "Recipient", strings.Join(recipients, ", "), // CalDAV drafts before RFC 6638 want them
	}})
	switch {
	case err != nil:
		return nil, err
	case answer.status == http.StatusForbidden:
		return nil, forbidden("free/busy through the Outbox", answer.body)
	case answer.status != http.StatusOK:
		return nil, fmt.Errorf("calendar server answers the Outbox with HTTP status %d", answer.status)
	}
	var response scheduleResponse
	if err := readXML(answer.body, &response); err != nil {
		return nil, err
	}
	return &response, nil
}

// question is the inner query: its own UID, the asker as ORGANIZER, and of what was asked the range and the ATTENDEEs.
func (b *Backend) question(d *backend.Delivery, by *asker) []byte {
	sum := sha256.Sum256([]byte(d.MessageID + "\n" + d.Message.UID))
	var body []byte
	line := func(s string) { body = itip.Fold(body, s) }
	line("BEGIN:VCALENDAR")
	line("VERSION:2.0")
	line("PRODID:-//calfed//calfed//EN")
	line("METHOD:REQUEST")
	line("BEGIN:VFREEBUSY")
	line("UID:calfed-" + hex.EncodeToString(sum[:16]))
	line("DTSTAMP:" + b.now().UTC().Format(utcForm))
	line("DTSTART:" + d.Message.Start.UTC().Format(utcForm))
	line("DTEND:" + d.Message.End.UTC().Format(utcForm))
	line("ORGANIZER:" + by.address.URI())
	for _, to := range d.Recipients {
		line("ATTENDEE:" + to.URI())
	}
	line("END:VFREEBUSY")
	line("END:VCALENDAR")
	return body
}

// fromOutbox is one recipient's part of the answer.
func (b *Backend) fromOutbox(d *backend.Delivery, to cua.Address, response *scheduleResponse) (backend.Result, error) {
	for i := range response.Responses {
		r := &response.Responses[i]
		if a, err := cua.Parse(strings.TrimSpace(r.Recipient.first())); err != nil || !strings.EqualFold(a.Key(), to.Key()) {
			continue
		}
		status, err := ischedule.ParseRequestStatus(strings.TrimSpace(r.Status))
		if err != nil {
			break
		}
		if !status.Success() {
			return backend.Result{Status: outboxStatus(status)}, nil
		}
		periods, err := itip.ParseFreeBusy([]byte(r.Data), cua.Address{})
		if err != nil {
			return backend.Result{}, fmt.Errorf("calendar server gives free/busy that cannot be read: %w", err)
		}
		return b.reply(d, to, periods), nil
	}
	return backend.Result{}, errors.New("calendar server leaves a recipient out of its free/busy answer")
}

// outboxStatus keeps what a server says of the recipient in the statuses that we answer with. IS-STAT-1.
func outboxStatus(s ischedule.RequestStatus) ischedule.RequestStatus {
	for _, own := range []ischedule.RequestStatus{
		ischedule.StatusUnknownUser, ischedule.StatusNoAuthority, ischedule.StatusUnsupported, ischedule.StatusNoService, ischedule.StatusNoScheduling,
	} {
		if s.Code == own.Code {
			return own
		}
	}
	return ischedule.StatusUnavailable
}
