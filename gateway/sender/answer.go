package sender

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/ischedule"
)

// read settles the recipients of q with what the receiver answered, and returns the outcome. IS-SEND-5, IS-SEND-6.
func (s *Sender) read(m *message, q *request, a *discovery.Answer) string {
	const who = "the receiver"
	if failure, ok := ischedule.ReadError(a.Status, a.Body); ok {
		failure.Status = a.Status
		failure.RetryAfter = retryAfter(a.Header, s.cfg.Now())
		return q.fail(failure, who)
	}
	if a.Status < 200 || a.Status > 299 {
		failure := &ischedule.Error{Status: a.Status, RetryAfter: retryAfter(a.Header, s.cfg.Now())}
		// DAViCal explains itself in plain text
		if kind, _, err := mime.ParseMediaType(a.Header.Get("Content-Type")); err == nil && kind == "text/plain" {
			failure.Description = firstLine(string(a.Body))
		}
		return q.fail(failure, who)
	}
	response, err := ischedule.ReadResponse(a.Body)
	if err != nil {
		q.cause = err
		q.settle(ischedule.StatusUnavailable, "the receiver's answer cannot be read; the outcome is unknown")
		return outcomeUnreadable
	}
	q.merge(m, response)
	return outcomeAnswered
}

// merge reads a schedule-response: any order, unknown recipients ignored, the first answer for one wins.
func (q *request) merge(m *message, response *ischedule.Response) {
	find := q.index()
	for _, result := range response.Results {
		r := find(result.Recipient)
		if r == nil || r.settled {
			continue
		}
		status := ischedule.RequestStatus{Code: result.Status.Code, Text: printable(result.Status.Text, maxText)}
		description := printable(result.Description, maxText)
		if status.Code == "" {
			r.settle(ischedule.StatusUnavailable, "the receiver gave no status; the outcome is unknown")
			continue
		}
		if m.itip.Component == "VFREEBUSY" && status.Success() {
			data, err := freeBusyAnswer(result.CalendarData, r.address)
			if err != nil {
				r.settle(ischedule.StatusUnavailable, "the receiver's free/busy answer cannot be used: "+err.Error())
				continue
			}
			r.result.CalendarData = data
		}
		r.settle(status, description)
	}
	q.settle(ischedule.StatusUnavailable, "the receiver's answer does not mention this recipient; the outcome is unknown")
}

// index finds recipients as receivers echo them: without mailto:, or in another case where that stays unambiguous.
func (q *request) index() func(string) *recipient {
	exact := make(map[string]*recipient, len(q.recipients))
	folded := make(map[string]*recipient, len(q.recipients))
	for _, r := range q.recipients {
		key := r.address.Key()
		exact[key] = r
		lower := strings.ToLower(key)
		if _, twice := folded[lower]; twice {
			folded[lower] = nil
		} else {
			folded[lower] = r
		}
	}
	return func(echo string) *recipient {
		a, err := cua.Parse(strings.TrimSpace(echo))
		if err != nil {
			return nil
		}
		if r := exact[a.Key()]; r != nil {
			return r
		}
		return folded[strings.ToLower(a.Key())]
	}
}

// fail settles every recipient of q with what an overall failure means for it, and returns the outcome.
func (q *request) fail(e *ischedule.Error, who string) string {
	q.cause = e
	status, transient := failureStatus(e)
	name := printable(string(e.Name), 64)
	if name == "" && e.Status != 0 {
		name = "HTTP " + strconv.Itoa(e.Status)
	}
	description := who + " answered " + name
	if text := printable(e.Description, maxText); text != "" {
		description += ": " + text
	}
	if transient {
		description += "; not queued"
		if e.RetryAfter > 0 {
			description += ", it asks to try again after " + e.RetryAfter.Round(time.Second).String()
		}
	}
	q.settle(status.WithText(status.Text+" ("+name+")"), description)
	if transient {
		return outcomeTransient
	}
	return outcomeRefused
}

// failureStatus is the status of every recipient of a request that failed as a whole, and whether the failure may
// pass. The HTTP status decides about transience; else the error's name decides, as long as we know it:
//
//	who may send          verification-failed, originator-denied, originator-invalid           3.8
//	what was sent         invalid-calendar-data(-type), invalid-scheduling-message,
//	                      attachment-type-not-supported, max-…, min-date-time                  3.14
//	how it was sent       every other name: the two sides do not understand each other         5.3
//
// and the HTTP status again when there is no name: 401, 403, 407, 412 (DAViCal: bad signature) are 3.8; 404, 405, 410,
// 421, 501 and 3xx say that the service is not there, 5.2; 413, 415 are 3.14; any other is 5.3.
func failureStatus(e *ischedule.Error) (status ischedule.RequestStatus, transient bool) {
	code := e.Status
	if code == 0 {
		code = e.Name.Status()
	}
	if code == http.StatusRequestTimeout || code == http.StatusTooEarly || code == http.StatusTooManyRequests ||
		(code >= 500 && code != http.StatusNotImplemented) {
		return ischedule.StatusUnavailable, true
	}
	switch e.Name {
	case ischedule.VerificationFailed, ischedule.OriginatorDenied, ischedule.OriginatorInvalid:
		return ischedule.StatusNoAuthority, false
	case ischedule.InvalidCalendarDataType, ischedule.InvalidCalendarData, ischedule.InvalidSchedulingMessage,
		ischedule.AttachmentTypeNotSupported, ischedule.MaxContentLength, ischedule.MinDateTime, ischedule.MaxDateTime,
		ischedule.MaxInstances, ischedule.MaxRecipients:
		return ischedule.StatusUnsupported, false
	case "":
	default:
		return ischedule.StatusNoScheduling, false
	}
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusPreconditionFailed:
		return ischedule.StatusNoAuthority, false
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone, http.StatusMisdirectedRequest, http.StatusNotImplemented:
		return ischedule.StatusNoService, false
	case http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return ischedule.StatusUnsupported, false
	}
	if code >= 300 && code < 400 {
		return ischedule.StatusNoService, false
	}
	return ischedule.StatusNoScheduling, false
}

// retryAfter reads RFC 9110 §10.2.3 in both forms; 0 when there is none to heed. More than a day reads as a day.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, 24*time.Hour)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), 24*time.Hour)
	}
	return 0
}
