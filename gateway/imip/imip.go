// Package imip is iTIP in mail (RFC 6047): reading the calendar message out of a mail, writing one that people can read too,
// proving who sent it, and the delivery status notification for what fails later. Bytes in, bytes out: no network.
package imip

import (
	"errors"
	"time"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
)

// ErrNoITIP means that the mail holds no iTIP message: ordinary mail, handed on as it is.
var ErrNoITIP = errors.New("no iTIP message in this mail")

// Error says why a mail that wants to be iMIP cannot be used: a text/calendar part that is broken, several different ones, a
// method parameter that contradicts METHOD, winmail.dat. Such mail is handed on as it is, too.
type Error struct {
	Reason      string // stable code for logs: "winmail", "several-messages", "method-mismatch", …
	Description string // for people, in one sentence
	Err         error
}

func (e *Error) Error() string { return e.Description }
func (e *Error) Unwrap() error { return e.Err }

// Mail is what a mail says in iTIP.
type Mail struct {
	MessageID string // of the mail, without <>
	From      cua.Address
	Body      []byte        // the calendar object, transfer decoding undone, in UTF-8 with CRLF
	Message   *itip.Message // inspection of Body
}

// Draft is an iMIP mail to write.
type Draft struct {
	From       cua.Address // the Originator; its CN of the calendar object becomes the display name
	To         cua.Address
	Body       []byte // the iTIP message, carried as it is
	Message    *itip.Message
	Host       string    // of this gateway: right side of the Message-ID, and authserv-id
	Date       time.Time // of the mail
	AuthResult string    // "dkim=pass header.d=…": what was proven about the Originator over iSchedule; "" = nothing to say
}

// Failure is one recipient that a message could not be delivered to: refused by a calendar service, or by a mail server.
type Failure struct {
	Recipient string                  // mailbox, as an envelope has it
	Original  string                  // ORCPT (RFC 3461), decoded: "rfc822;bob@example.org"; "" = none
	Status    ischedule.RequestStatus // zero = it was a mail server
	Code      int                     // of that server's reply, 0 = it never was asked
	Enhanced  string                  // of that reply: "5.1.1" (RFC 3463); "" = none
	Text      string                  // what the other side said
}

// Report is a delivery status notification to write.
type Report struct {
	To       string // envelope sender of what failed; never ""
	Host     string // of this gateway
	Date     time.Time
	Envelope string // ENVID, "" when there was none
	Original []byte // the mail that failed: its header is returned
	Failures []Failure
}
