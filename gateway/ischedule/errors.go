package ischedule

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ErrorName is the name of a child of the error element (D05 §6.1.2).
type ErrorName string

// The errors of D05 §6.1.2. IS-RECV-3.
const (
	VersionNotSupported        ErrorName = "version-not-supported"
	InvalidCalendarDataType    ErrorName = "invalid-calendar-data-type"
	InvalidCalendarData        ErrorName = "invalid-calendar-data"
	InvalidSchedulingMessage   ErrorName = "invalid-scheduling-message"
	OriginatorMissing          ErrorName = "originator-missing"
	TooManyOriginators         ErrorName = "too-many-originators"
	OriginatorInvalid          ErrorName = "originator-invalid"
	OriginatorDenied           ErrorName = "originator-denied"
	RecipientMissing           ErrorName = "recipient-missing"
	RecipientMismatch          ErrorName = "recipient-mismatch"
	MaxRecipients              ErrorName = "max-recipients"
	AttachmentTypeNotSupported ErrorName = "attachment-type-not-supported"
	MaxContentLength           ErrorName = "max-content-length"
	MinDateTime                ErrorName = "min-date-time"
	MaxDateTime                ErrorName = "max-date-time"
	MaxInstances               ErrorName = "max-instances"
	VerificationFailed         ErrorName = "verification-failed"
)

// Status is the HTTP status that goes with an error unless its circumstances say otherwise:
// 400 malformed, 403 refused, 413 too large. An unnamed error is the server's own trouble, 503. IS-RECV-2.
func (n ErrorName) Status() int {
	switch n {
	case "":
		return http.StatusServiceUnavailable
	case OriginatorDenied, VerificationFailed, MaxRecipients, AttachmentTypeNotSupported, MinDateTime, MaxDateTime, MaxInstances:
		return http.StatusForbidden
	case MaxContentLength:
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

// Error is an overall failure of a request: what a peer reads (Name, Status, Description,
// RetryAfter) and what our log says (Reason, Err). The description helps and leaks nothing.
// IS-RECV-2.
type Error struct {
	Name        ErrorName     // "" writes an error document without a named child (429, 503)
	Status      int           // HTTP status, 0 = Name.Status()
	Reason      string        // stable reason code, kebab-case: "dkim-expired", "address-syntax", …
	Description string        // for the peer's administrator
	RetryAfter  time.Duration // > 0 writes Retry-After, in seconds, rounded up
	Err         error         // cause, for the log only
}

// NewError makes an Error with the name's own status.
func NewError(name ErrorName, reason, description string) *Error {
	return &Error{Name: name, Status: name.Status(), Reason: reason, Description: description}
}

// Error is for the log: status, name, reason code and cause, never the description.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(strconv.Itoa(e.status()))
	for _, part := range []string{string(e.Name), e.Reason} {
		if part != "" {
			b.WriteByte(' ')
			b.WriteString(part)
		}
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

func (e *Error) status() int {
	if e.Status == 0 {
		return e.Name.Status()
	}
	return e.Status
}

// Write sends the error document with its status and headers (not iSchedule-Capabilities or
// iSchedule-Version: the caller sets those on every response, IS-CAP-2).
func (e *Error) Write(w http.ResponseWriter) {
	if e.RetryAfter > 0 {
		seconds := (e.RetryAfter + time.Second - 1) / time.Second
		w.Header().Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	WriteDocument(w, e.status(), e.document())
}

func (e *Error) document() []byte {
	x := newXMLWriter()
	x.open("error", "xmlns", Namespace)
	if e.Name != "" {
		x.empty(string(e.Name))
	}
	description := e.Description
	if description == "" {
		description = http.StatusText(e.status())
	}
	x.text("response-description", description)
	x.close("error")
	return x.bytes()
}

// WriteDocument sends one of this package's XML documents as the answer to a POST: D05 §6.1.1 wants it kept out of caches.
func WriteDocument(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/xml; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-cache, no-transform")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the peer may be gone: nobody to tell
}

// ReadError parses an error document and reports whether body is one. Status is the HTTP status. Name is
// what the document says, also when D05 does not know it; it is "" when the document names no error.
func ReadError(status int, body []byte) (*Error, bool) {
	root, err := parseXML(body, MaxCapabilitiesBytes)
	// CalendarServer wraps iSchedule's names in a DAV: error element.
	if err != nil || root.name != "error" || root.space != "" && root.space != Namespace && root.space != "DAV:" {
		return nil, false
	}
	e := &Error{Status: status}
	for _, c := range root.children {
		switch {
		case isDescription(c.name):
			if e.Description == "" {
				e.Description = c.line(maxDescription)
			}
		case e.Name == "" && c.ours() && isErrorName(c.name):
			e.Name = ErrorName(c.name)
		}
	}
	return e, true
}

// isDescription knows the element's name in D05, in EGroupware, and in CalendarServer's errors.
func isDescription(name string) bool {
	return name == "response-description" || name == "responsedescription" || name == "error-description"
}

// isErrorName bounds what may pass for an error's name: it is repeated in logs and to submitters.
func isErrorName(s string) bool {
	if s == "" || len(s) > 64 || s[0] == '-' {
		return false
	}
	for i := 0; i < len(s); i++ {
		if (s[i] < 'a' || s[i] > 'z') && s[i] != '-' {
			return false
		}
	}
	return true
}
