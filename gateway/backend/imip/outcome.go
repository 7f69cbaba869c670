package imip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/smarthost"
)

// Reasons why nothing was sent, that no repeat changes.
var (
	errNoMailAddress = errors.New("the recipient has no mail address")
	errUnwritable    = errors.New("no mail can be made of the message")
)

// results tells what became of each recipient's mail.
func (b *Backend) results(ctx context.Context, d *backend.Delivery, failures []error) ([]backend.Result, error) {
	out := make([]backend.Result, len(d.Recipients))
	transient := 0
	var cause error
	for i, failure := range failures {
		status, description := outcome(failure)
		out[i] = backend.Result{Recipient: d.Recipients[i], Status: status, Description: description}
		if status == ischedule.StatusUnavailable {
			transient++
			cause = failure
		}
		if failure != nil {
			b.log(ctx, d, status, failure)
		}
	}
	if transient > 0 && transient == len(out) {
		return nil, fmt.Errorf("%w: %s", backend.ErrUnavailable, brief(cause))
	}
	return out, nil
}

// outcome is the status of a recipient whose mail failed so, or did not. IS-STAT-1.
func outcome(failure error) (ischedule.RequestStatus, string) {
	var said *smarthost.Error
	switch {
	case failure == nil:
		return ischedule.StatusMailed, ""
	case errors.Is(failure, errNoMailAddress):
		return ischedule.StatusUnknownUser, "the address is none of mail"
	case errors.Is(failure, errUnwritable):
		return ischedule.StatusUnsupported, "the message cannot be written as mail"
	case !errors.As(failure, &said), said.Temporary:
		return ischedule.StatusUnavailable, "the mail server does not take it now"
	case unknownUser(said):
		return ischedule.StatusUnknownUser, "the mail server does not know this user"
	default:
		return ischedule.StatusNoScheduling, "the mail server refuses it"
	}
}

// unknownUser says whether a recipient was refused because there is none: by the enhanced code (RFC 3463 §3.2), and by the
// reply code (RFC 5321 §4.2.3) where there is no other.
func unknownUser(e *smarthost.Error) bool {
	switch {
	case e.Recipient == "":
		return false
	case e.Enhanced != "":
		return slices.Contains([]string{"5.1.1", "5.1.3", "5.1.6", "5.1.10"}, e.Enhanced)
	default:
		return e.Code == 550 || e.Code == 551 || e.Code == 553
	}
}

// brief tells a failure without the server's words, which may name people.
func brief(failure error) string {
	var said *smarthost.Error
	if errors.As(failure, &said) && said.Code != 0 {
		if said.Enhanced != "" {
			return fmt.Sprintf("mail server answers %d %s", said.Code, said.Enhanced)
		}
		return fmt.Sprintf("mail server answers %d", said.Code)
	}
	return failure.Error()
}

func (b *Backend) log(ctx context.Context, d *backend.Delivery, status ischedule.RequestStatus, failure error) {
	var said *smarthost.Error
	level := slog.LevelWarn // ours, or the way to the server
	if errors.As(failure, &said) && !said.Temporary || errors.Is(failure, errNoMailAddress) {
		level = slog.LevelInfo
	}
	b.cfg.Log.LogAttrs(ctx, level, "mail not sent", slog.String("message_id", d.MessageID), slog.String("peer", d.Originator.Domain()),
		slog.String("method", d.Message.Method), slog.String("status", status.Code), slog.String("cause", brief(failure)))
	if said != nil {
		b.cfg.Log.LogAttrs(ctx, slog.LevelDebug, "mail not sent", slog.String("message_id", d.MessageID), slog.String("error", said.Text))
	}
}

// all answers every recipient alike.
func all(d *backend.Delivery, status ischedule.RequestStatus, description string) []backend.Result {
	out := make([]backend.Result, len(d.Recipients))
	for i, a := range d.Recipients {
		out[i] = backend.Result{Recipient: a, Status: status, Description: description}
	}
	return out
}
