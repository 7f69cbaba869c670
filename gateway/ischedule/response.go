package ischedule

import (
	"bytes"
	"fmt"
	"net/http"
)

// Bounds on a schedule-response that we read (IS-SEND-5).
const (
	MaxResponseBytes     = 16 << 20
	MaxCalendarDataBytes = 1 << 20 // one recipient's calendar-data
	maxResults           = 10000
)

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
func (r *Response) Marshal() []byte {
	x := newXMLWriter()
	x.open("schedule-response", "xmlns", Namespace)
	for _, result := range r.Results {
		x.open("response")
		x.text("recipient", result.Recipient)
		x.text("request-status", result.Status.String())
		if len(result.CalendarData) > 0 {
			x.text("calendar-data", string(result.CalendarData))
		}
		if result.Description != "" {
			x.text("response-description", result.Description)
		}
		x.close("response")
	}
	x.close("schedule-response")
	return x.bytes()
}

// Write sends the document with status 200 (not iSchedule-Capabilities or iSchedule-Version). IS-RECV-8.
func (r *Response) Write(w http.ResponseWriter) { WriteDocument(w, http.StatusOK, r.Marshal()) }

// ReadResponse parses a schedule-response: any prefix, statuses with or without text, no DTD, bounded size and depth.
// A response element without a readable request-status has the zero Status, one without a recipient is left out.
// Lines of calendar-data end in CRLF. Errors wrap ErrDocument. IS-SEND-5.
func ReadResponse(body []byte) (*Response, error) {
	root, err := parseXML(body, MaxResponseBytes)
	if err != nil {
		return nil, err
	}
	if !root.is("schedule-response") {
		return nil, fmt.Errorf("%w: the root element is not schedule-response", ErrDocument)
	}
	r := new(Response)
	for _, c := range root.children {
		if !c.is("response") {
			continue
		}
		if len(r.Results) == maxResults {
			return nil, fmt.Errorf("%w: more than %d response elements", ErrDocument, maxResults)
		}
		result, err := readResult(c)
		if err != nil {
			return nil, err
		}
		if result.Recipient != "" {
			r.Results = append(r.Results, result)
		}
	}
	return r, nil
}

func readResult(e *element) (RecipientResult, error) {
	var result RecipientResult
	for _, c := range e.children {
		switch {
		case c.is("recipient"): // with an href inside in draft-00; its text is ours then
			result.Recipient = c.word()
		case c.is("request-status"):
			if status, err := ParseRequestStatus(c.word()); err == nil {
				result.Status = status
			}
		case c.is("calendar-data"):
			data := bytes.TrimSpace(c.raw())
			if len(data) > MaxCalendarDataBytes {
				return result, fmt.Errorf("%w: more than %d octets of calendar-data", ErrDocument, MaxCalendarDataBytes)
			}
			result.CalendarData = withCRLF(data)
		case isDescription(c.name):
			result.Description = c.line(maxDescription)
		}
	}
	return result, nil
}

// withCRLF ends every line in CRLF, as RFC 5545 §3.1 wants: XML readers make LF of a literal CRLF.
func withCRLF(data []byte) []byte {
	if len(data) == 0 {
		return nil
	}
	out := make([]byte, 0, len(data)+len(data)/32+2)
	for line := range bytes.Lines(data) {
		out = append(out, bytes.TrimRight(line, "\r\n")...)
		out = append(out, '\r', '\n')
	}
	return out
}
