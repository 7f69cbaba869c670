// Package imip is iTIP in mail (RFC 6047): reading the calendar message out of a mail, writing one that people can read too,
// proving who sent it, and the delivery status notification for what fails later. Bytes in, bytes out: no network.
package imip

import (
	"context"
	"crypto"
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

// Parse reads a mail (RFC 5322, 2045–2047): text/calendar at the top, or in multipart/alternative, mixed or related to a
// bounded depth; 7bit, 8bit, base64, quoted-printable; the same message twice (alternative and attachment) counts once. limits
// bound the calendar object. Errors are ErrNoITIP or *Error. IS-SUB-2.
func Parse(mail []byte, limits itip.Limits, maxInstances int) (*Mail, error) {
	panic("not written yet")
}

// Parties says who sends a message that came by mail, and to which of the envelope's recipients it may go as iTIP: the
// Originator is the ORGANIZER or the one replying ATTENDEE, never the mail's From; the recipients are those of
// rcpt that RFC 5546 permits for the method. The others are in rest. An error: nobody can be the Originator. IS-SUB-2.
func Parties(m *itip.Message, rcpt []cua.Address) (originator cua.Address, recipients, rest []cua.Address, err error) {
	panic("not written yet")
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

// Compose writes the mail: multipart/alternative of a readable text/plain part (who wants what, when in the event's own time
// zone and UTC offset, where, what changed by the method, how to answer) and text/calendar with its method and
// component. The Message-ID depends on UID, SEQUENCE, RECURRENCE-IDs, METHOD, DTSTAMP of a REPLY, and To only, so that a repeat is
// known for one. ASCII where possible; RFC 2047 for names; SMTPUTF8 (RFC 6532) only when an address needs it, which
// the second result says.
func Compose(d *Draft) (mail []byte, utf8 bool, err error) { panic("not written yet") }

// Sign puts a DKIM-Signature for mail (RFC 6376, relaxed/relaxed) in front.
func Sign(mail []byte, domain, selector string, key crypto.Signer, now time.Time) ([]byte, error) {
	panic("not written yet")
}

// Verifier proves who sent a mail that came from outside.
type Verifier struct {
	LookupTXT  func(ctx context.Context, name string) ([]string, error) // strings of each record joined
	AuthservID string                                                   // snapshot.SMTPSubmission
	Now        func() time.Time                                         // nil = time.Now
}

// Proof is what is proven about a mail.
type Proof struct {
	Domain string // the domain of From, proven by an aligned DKIM signature or a believed Authentication-Results field
	How    string // for logs: "dkim d=…", "authentication-results dmarc=pass"
}

// Verify demands that the mail's one From is of the domain of originator and proven: by a believed Authentication-Results field with
// dmarc=pass, or an aligned valid dkim; else by an aligned DKIM signature that verifies here, aligned as the domain's DMARC
// record says (adkim; without one: relaxed). The address in From must be originator itself, or the mail's
// Sender is (RFC 6047 §3). *Error when it is not proven (Reason "not-proven", "from-mismatch", …); other errors are
// transient: DNS did not answer.
func (v *Verifier) Verify(ctx context.Context, mail []byte, originator cua.Address) (*Proof, error) {
	panic("not written yet")
}

// Failure is one recipient that a message could not be delivered to.
type Failure struct {
	Recipient cua.Address
	Status    ischedule.RequestStatus
	Text      string
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

// ComposeReport writes the notification: multipart/report with delivery-status (RFC 3462, 3464), Auto-Submitted: auto-replied.
func ComposeReport(r *Report) ([]byte, error) { panic("not written yet") }
