package ischedule

import (
	"errors"
	"strings"
)

// RequestStatus is an iTIP REQUEST-STATUS (RFC 5545 §3.8.8.3): a code of two or three numbers
// and a text.
type RequestStatus struct {
	Code string // "2.0", "3.14"
	Text string // "Success"; exception data of the peer included
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

// ErrRequestStatus means that a text is no request status.
var ErrRequestStatus = errors.New("not a request status")

// WithText is s with another text.
func (s RequestStatus) WithText(text string) RequestStatus { return RequestStatus{s.Code, text} }

// String is "code;text", or the code alone when there is no text.
func (s RequestStatus) String() string {
	if s.Text == "" {
		return s.Code
	}
	return s.Code + ";" + s.Text
}

// Success says whether the first number is 1 or 2.
func (s RequestStatus) Success() bool {
	return strings.HasPrefix(s.Code, "1.") || strings.HasPrefix(s.Code, "2.")
}

// ParseRequestStatus reads "2.0;Success", "3.7", tolerating blanks. The error is ErrRequestStatus.
func ParseRequestStatus(s string) (RequestStatus, error) {
	code, text, _ := strings.Cut(s, ";")
	code = strings.TrimSpace(code)
	if !isStatusCode(code) {
		return RequestStatus{}, ErrRequestStatus
	}
	return RequestStatus{Code: code, Text: OneLine(text, maxDescription)}, nil
}

// isStatusCode: two or three numbers of at most three digits, joined by dots.
func isStatusCode(s string) bool {
	numbers, digits := 1, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9' && digits < 3:
			digits++
		case c == '.' && digits > 0 && numbers < 3:
			numbers, digits = numbers+1, 0
		default:
			return false
		}
	}
	return numbers > 1 && digits > 0
}
