package ischedule

import (
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/calfed/calfed/gateway/cua"
)

const (
	maxMessageID   = 255  // characters; peer-quirks: Cyrus sends no token, so any visible ASCII goes
	maxContentType = 1024 // octets of the Content-Type field
)

// Request is the iSchedule form of a scheduling message: the header fields that matter, read and
// checked, and the body as it came.
type Request struct {
	MessageID   string // iSchedule-Message-ID, "" when absent
	Originator  cua.Address
	Recipients  []cua.Address // duplicates removed, order and spelling kept (IS-RECV-6)
	Component   string        // Content-Type's component, upper-case, "" when absent
	Method      string        // Content-Type's method, upper-case, "" when absent
	ContentType string        // as it came
	Body        []byte
}

// ReadRequest reads a POST's header fields in the order of IS-RECV-1 (version, media type, Originator,
// Recipient, then Message-ID). maxRecipients 0 = no limit. The error is nil or says what to answer. Recipients that
// are no valid address are returned in bad (they get 3.7) unless none is valid (recipient-missing). A missing
// component or method is the policy's to judge (IS-RECV-7).
func ReadRequest(h http.Header, body []byte, maxRecipients int) (req *Request, bad []string, err *Error) {
	req = &Request{Body: body}
	if err := readVersion(h); err != nil {
		return nil, nil, err
	}
	if err := req.readContentType(h); err != nil {
		return nil, nil, err
	}
	if err := req.readOriginator(h); err != nil {
		return nil, nil, err
	}
	if bad, err = req.readRecipients(h, maxRecipients); err != nil {
		return nil, nil, err
	}
	if err := req.readMessageID(h); err != nil {
		return nil, nil, err
	}
	return req, bad, nil
}

// readVersion accepts a list that holds our version (D05 §8.2), in one field (IS-RECV-6).
func readVersion(h http.Header) *Error {
	values := h.Values(HeaderVersion)
	if len(values) == 0 {
		return NewError(VersionNotSupported, "version-missing", "iSchedule-Version is missing; version "+Version+" is supported")
	}
	if len(values) > 1 {
		return NewError(VersionNotSupported, "version-duplicate", "iSchedule-Version is given more than once")
	}
	for v := range strings.SplitSeq(values[0], ",") {
		if blankTrimmed(v) == Version {
			return nil
		}
	}
	return NewError(VersionNotSupported, "version-unknown", "version "+Version+" is supported")
}

// readContentType checks the media type and that the body is neither compressed nor in another charset. IS-RECV-7.
func (r *Request) readContentType(h http.Header) *Error {
	for _, v := range h.Values("Content-Encoding") {
		if v = blankTrimmed(v); v != "" && !strings.EqualFold(v, "identity") {
			e := NewError(InvalidCalendarDataType, "content-encoding", "Content-Encoding is not supported")
			e.Status = http.StatusUnsupportedMediaType
			return e
		}
	}
	values := h.Values("Content-Type")
	if len(values) == 0 || values[0] == "" {
		return NewError(InvalidCalendarDataType, "content-type-missing", "Content-Type is missing; text/calendar is supported")
	}
	if len(values) > 1 {
		return NewError(InvalidCalendarDataType, "content-type-duplicate", "Content-Type is given more than once")
	}
	syntax := NewError(InvalidCalendarDataType, "content-type-syntax", "Content-Type cannot be read")
	if len(values[0]) > maxContentType {
		return syntax
	}
	mediaType, params, err := mime.ParseMediaType(values[0])
	if err != nil {
		syntax.Err = err
		return syntax
	}
	if mediaType != "text/calendar" {
		return NewError(InvalidCalendarDataType, "content-type", "text/calendar is supported")
	}
	if charset, given := params["charset"]; given && !strings.EqualFold(charset, "utf-8") {
		return NewError(InvalidCalendarDataType, "charset", "the charset must be utf-8")
	}
	r.ContentType = values[0]
	r.Component, r.Method = strings.ToUpper(params["component"]), strings.ToUpper(params["method"])
	if !isICalName(r.Component) || !isICalName(r.Method) {
		return syntax
	}
	return nil
}

// isICalName: "" or a name of RFC 5545 §3.1, upper-case.
func isICalName(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return len(s) <= 64
}

// readOriginator wants exactly one address in exactly one field (IS-RECV-6).
func (r *Request) readOriginator(h http.Header) *Error {
	values := h.Values(HeaderOriginator)
	if len(values) == 0 || len(values) == 1 && blankTrimmed(values[0]) == "" {
		return NewError(OriginatorMissing, "originator-missing", "Originator is missing")
	}
	if len(values) > 1 || strings.Contains(values[0], ",") {
		return NewError(TooManyOriginators, "originator-duplicate", "one Originator is wanted")
	}
	a, err := cua.Parse(blankTrimmed(values[0]))
	if err != nil {
		e := NewError(OriginatorInvalid, "address-syntax", "Originator is no valid calendar user address")
		e.Err = err
		return e
	}
	r.Originator = a
	return nil
}

// readRecipients joins fields and comma lists, and drops spellings of an address that was there before. IS-RECV-6.
func (r *Request) readRecipients(h http.Header, limit int) (bad []string, _ *Error) {
	seen := make(map[string]bool)
	for _, value := range h.Values(HeaderRecipient) {
		for element := range strings.SplitSeq(value, ",") {
			element = blankTrimmed(element)
			if element == "" {
				continue
			}
			a, err := cua.Parse(element)
			key := a.Key()
			if err != nil {
				key = "\x00" + element // no key starts so
			}
			if seen[key] {
				continue
			}
			seen[key] = true
			if limit > 0 && len(seen) > limit {
				return nil, NewError(MaxRecipients, "max-recipients", fmt.Sprintf("at most %d recipients are taken in one request", limit))
			}
			if err != nil {
				bad = append(bad, element)
			} else {
				r.Recipients = append(r.Recipients, a)
			}
		}
	}
	switch {
	case len(r.Recipients) > 0:
		return bad, nil
	case len(bad) > 0:
		return nil, NewError(RecipientMissing, "address-syntax", "no Recipient is a valid calendar user address")
	}
	return nil, NewError(RecipientMissing, "recipient-missing", "Recipient is missing")
}

// readMessageID takes any visible ASCII, at most once (IS-RECV-6). Fields joined on the way hold a blank.
func (r *Request) readMessageID(h http.Header) *Error {
	values := h.Values(HeaderMessageID)
	if len(values) == 0 {
		return nil
	}
	if len(values) > 1 {
		return NewError(InvalidSchedulingMessage, "message-id-duplicate", "iSchedule-Message-ID is given more than once")
	}
	id := blankTrimmed(values[0])
	for i := 0; i < len(id); i++ {
		if id[i] <= ' ' || id[i] >= 0x7f {
			return NewError(InvalidSchedulingMessage, "message-id-syntax", "iSchedule-Message-ID holds a blank or a character outside ASCII")
		}
	}
	if len(id) > maxMessageID {
		return NewError(InvalidSchedulingMessage, "message-id-syntax", fmt.Sprintf("iSchedule-Message-ID is longer than %d characters", maxMessageID))
	}
	r.MessageID = id
	return nil
}

// blankTrimmed removes HTTP's optional blanks, and nothing else.
func blankTrimmed(s string) string { return strings.Trim(s, " \t") }
