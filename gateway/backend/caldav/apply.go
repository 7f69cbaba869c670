package caldav

import (
	"context"
	"errors"
	"fmt"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
)

// maxAttempts bounds how often an object that changes under our hands is read and changed again. Three gateways that write it at
// once get there, each with one message at a time.
const maxAttempts = 8

// apply brings one recipient's calendar up to the message. IS-BACK-2, IS-BACK-4.
func (b *Backend) apply(ctx context.Context, d *backend.Delivery, to cua.Address) (backend.Result, error) {
	u, err := b.user(ctx, to)
	if err != nil {
		return backend.Result{}, err
	}
	done, err := b.turns.take(ctx, u.principal.Path+"\x00"+d.Message.UID)
	if err != nil {
		return backend.Result{}, err
	}
	defer done()
	defer b.answers.hold(to, d.Message.UID)()
	result, err := b.applyFor(ctx, d, to, u)
	if err != nil && !errors.Is(err, backend.ErrUnavailable) {
		b.users.forget(to) // the server may have moved what we know
	}
	return result, err
}

var errMoving = errors.New("a calendar object changes faster than it can be written")

func (b *Backend) applyFor(ctx context.Context, d *backend.Delivery, to cua.Address, u *user) (backend.Result, error) {
	calendars, err := b.calendars(ctx, u)
	if err != nil {
		return backend.Result{}, err
	}
	var o *object
	for range maxAttempts {
		if o == nil {
			if o, err = b.find(ctx, calendars, d.Message.Component, d.Message.UID); err != nil {
				return backend.Result{}, err
			}
		}
		state, outcome, err := itip.Apply(o.body, d.Body, d.Message, d.Originator, to)
		if err != nil {
			return backend.Result{}, fmt.Errorf("a message cannot be applied to the stored object: %w", err)
		}
		switch outcome {
		case itip.Stored:
			if b.echoes != nil { // an answer that only the object has may be on its way to the organizer still
				b.echoes.Wrote(to, d.Body)
				b.echoes.Wrote(to, state)
			}
		default:
			if outcome == itip.Unchanged && o.body != nil {
				b.noteAnswers(d, to, o.url, o.body)
			}
			return b.unwritten(d, o, outcome)
		}
		wrote, err := b.store(ctx, o, state)
		switch {
		case err != nil:
			return backend.Result{}, err
		case wrote.done:
			b.noteAnswers(d, to, o.url, state)
			return backend.Result{Status: ischedule.StatusDelivered}, nil
		}
		o = nil
		if wrote.elsewhere != nil {
			if o, err = b.read(ctx, wrote.elsewhere); err != nil {
				return backend.Result{}, err
			}
		}
	}
	return backend.Result{}, errMoving
}

// unwritten is the result where the stored object stays as it is.
func (b *Backend) unwritten(d *backend.Delivery, o *object, outcome itip.Outcome) (backend.Result, error) {
	switch outcome {
	case itip.Unchanged:
		return backend.Result{Status: ischedule.StatusDelivered}, nil
	case itip.NoAuthority:
		return backend.Result{Status: ischedule.StatusNoAuthority}, nil
	case itip.Answer:
		body, outcome, err := itip.Refreshed(o.body, d.Originator)
		switch {
		case err != nil:
			return backend.Result{}, fmt.Errorf("the answer to a REFRESH cannot be made: %w", err)
		case outcome == itip.NoAuthority:
			return backend.Result{Status: ischedule.StatusNoAuthority}, nil
		}
		return backend.Result{Status: ischedule.StatusDelivered, Respond: body}, nil
	}
	return backend.Result{Status: ischedule.StatusUnsupported}, nil
}
