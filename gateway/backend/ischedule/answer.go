package ischedule

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
)

// results reads the calendar server's answer: one result per recipient of d, in order.
func results(d *backend.Delivery, status int, body []byte) ([]backend.Result, error) {
	if status/100 == 2 {
		if response, err := ischedule.ReadResponse(body); err == nil {
			return perRecipient(d, response), nil
		}
	}
	refusal, isError := ischedule.ReadError(status, body)
	switch {
	case isError && refusal.Name != "":
		return all(d, statusOf(refusal.Name), "the calendar server answered "+string(refusal.Name)), nil
	case status/100 == 2: // taken, but nobody can tell for whom
		return all(d, ischedule.StatusUnavailable, "the calendar server's answer is no schedule-response"), nil
	case status/100 == 5, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		return nil, fmt.Errorf("%w: HTTP status %d", backend.ErrUnavailable, status)
	default: // a person has to look at it: wrong path, this host not trusted
		return nil, fmt.Errorf("calendar server refuses: HTTP status %d", status)
	}
}

// statusOf is the request status for an error of the whole request. Our own checks come before, so what is left is
// the calendar server's stricter ideas: about the parties, about the message, or about us.
func statusOf(name ischedule.ErrorName) ischedule.RequestStatus {
	switch name {
	case ischedule.OriginatorDenied, ischedule.OriginatorInvalid, ischedule.OriginatorMissing, ischedule.TooManyOriginators:
		return ischedule.StatusNoAuthority
	case ischedule.RecipientMissing, ischedule.RecipientMismatch:
		return ischedule.StatusUnknownUser
	case ischedule.VerificationFailed, ischedule.VersionNotSupported:
		return ischedule.StatusNoScheduling
	default:
		return ischedule.StatusUnsupported
	}
}

func all(d *backend.Delivery, status ischedule.RequestStatus, description string) []backend.Result {
	out := make([]backend.Result, len(d.Recipients))
	for i, a := range d.Recipients {
		out[i] = backend.Result{Recipient: a, Status: status, Description: description}
	}
	return out
}

// perRecipient finds each recipient's response. Cyrus answers for the body's ATTENDEEs, whatever the Recipient field
// says: those nobody asked for are left out.
func perRecipient(d *backend.Delivery, response *ischedule.Response) []backend.Result {
	byKey := make(map[string]*ischedule.RecipientResult, len(response.Results))
	byFold := make(map[string]*ischedule.RecipientResult, len(response.Results))
	for i := range response.Results {
		r := &response.Results[i]
		a, err := cua.Parse(r.Recipient)
		if err != nil {
			continue
		}
		if _, seen := byKey[a.Key()]; !seen {
			byKey[a.Key()] = r
		}
		if fold := strings.ToLower(a.Key()); byFold[fold] == nil {
			byFold[fold] = r
		}
	}
	out := all(d, ischedule.StatusUnavailable, "the calendar server's answer leaves this recipient out")
	for i, a := range d.Recipients {
		r := byKey[a.Key()]
		if r == nil {
			r = byFold[strings.ToLower(a.Key())] // some echo addresses in another case
		}
		if r == nil || r.Status.Code == "" {
			continue
		}
		out[i] = backend.Result{Recipient: a, Status: r.Status, CalendarData: r.CalendarData, Description: r.Description}
	}
	return out
}
