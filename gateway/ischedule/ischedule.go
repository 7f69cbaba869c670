// Package ischedule is the wire format of draft-desruisseaux-ischedule-05 (D05): header fields,
// capabilities documents, schedule responses, error documents and request statuses. Readers are
// tolerant of what other implementations really send, writers are strict. It does no I/O.
package ischedule

import (
	"net/http"
	"time"

	"github.com/calfed/calfed/gateway/cua"
)

// Version is the only protocol version there is (D05 §8.2).
const Version = "1.0"

// Namespace is the XML namespace of every element (D05 §9).
const Namespace = "urn:ietf:params:xml:ns:ischedule"

// WellKnownPath is where an iSchedule Receiver answers without further discovery (D05 §4.4).
const WellKnownPath = "/.well-known/ischedule"

// Header field names, in the spelling that net/http keeps (D05 §8).
const (
	HeaderVersion       = "Ischedule-Version"
	HeaderCapabilities  = "Ischedule-Capabilities"
	HeaderMessageID     = "Ischedule-Message-Id"
	HeaderOriginator    = "Originator"
	HeaderRecipient     = "Recipient"
	HeaderDKIMSignature = "Dkim-Signature"
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

// Error is an overall failure of a request: what a peer reads (Name, Status, Description,
// RetryAfter) and what our log says (Reason, Err). The description helps and leaks nothing.
// IS-RECV-2.
type Error struct {
	Name        ErrorName     // "" writes an error document without a named child (429, 503)
	Status      int           // HTTP status
	Reason      string        // stable reason code, kebab-case: "dkim-expired", "address-syntax", …
	Description string        // for the peer's administrator
	RetryAfter  time.Duration // > 0 writes Retry-After, in seconds, rounded up
	Err         error         // cause, for the log only
}

func (e *Error) Error() string { panic("CONTRACT STUB") }
func (e *Error) Unwrap() error { return e.Err }

// Write sends the error document with its status and headers (not iSchedule-Capabilities or
// iSchedule-Version: the caller sets those on every response, IS-CAP-2).
func (e *Error) Write(w http.ResponseWriter) { panic("CONTRACT STUB") }

// ReadError parses an error document and reports whether body is one. Status is the HTTP status.
func ReadError(status int, body []byte) (*Error, bool) { panic("CONTRACT STUB") }

// RequestStatus is an iTIP REQUEST-STATUS (RFC 5545 §3.8.8.3): a code of two or three numbers
// and a text.
type RequestStatus struct {
	Code string // "2.0", "3.14"
	Text string // "Success"
}

// The statuses we answer with. IS-STAT-1.
var (
	StatusDelivered    = RequestStatus{"2.0", "Success"}
	StatusMailed       = RequestStatus{"1.1", "Sent by mail"}
	StatusQueued       = RequestStatus{"1.0", "Queued; outcome pending"}
	StatusUnknownUser  = RequestStatus{"3.7", "Invalid calendar user"}
	StatusNoAuthority  = RequestStatus{"3.8", "No authority"}
	StatusUnsupported  = RequestStatus{"3.14", "Unsupported capability"}
	StatusUnavailable  = RequestStatus{"5.1", "Service unavailable"}
	StatusNoService    = RequestStatus{"5.2", "Invalid calendar service"}
	StatusNoScheduling = RequestStatus{"5.3", "No scheduling support for user"}
)

// WithText is s with another text.
func (s RequestStatus) WithText(text string) RequestStatus { return RequestStatus{s.Code, text} }

// String is "code;text", or the code alone when there is no text.
func (s RequestStatus) String() string { panic("CONTRACT STUB") }

// Success says whether the first number is 1 or 2.
func (s RequestStatus) Success() bool { panic("CONTRACT STUB") }

// ParseRequestStatus reads "2.0;Success", "3.7", tolerating blanks.
func ParseRequestStatus(s string) (RequestStatus, error) { panic("CONTRACT STUB") }

// RecipientResult is one response element: what became of the message for one Recipient.
type RecipientResult struct {
	Recipient    string // as sent on the wire (IS-RECV-8)
	Status       RequestStatus
	CalendarData []byte // free/busy answer, else nil
	Description  string
}

// Response is a schedule-response document (D05 §6.1.1).
type Response struct{ Results []RecipientResult }

// Marshal writes the document, one response element per result, in order.
func (r *Response) Marshal() []byte { panic("CONTRACT STUB") }

// ReadResponse parses a schedule-response: any prefix, application/xml or text/xml, statuses with or
// without text, no DTD, bounded size and depth. IS-SEND-5.
func ReadResponse(body []byte) (*Response, error) { panic("CONTRACT STUB") }

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
// Recipient). maxRecipients 0 = no limit. The error is always an *Error. Recipients that are no
// valid address are returned in bad (they get 3.7) unless none is valid (recipient-missing).
func ReadRequest(h http.Header, body []byte, maxRecipients int) (req *Request, bad []string, err *Error) {
	panic("CONTRACT STUB")
}
