// Package mail is the SMTP way in (IS-SUB-2): local calendar systems and the organisation's own MX hand us mail, authenticated. The
// iTIP message in it goes to iSchedule; all other mail, and recipients without iSchedule, go to the smarthost byte for byte.
//
// What becomes of a mail:
//
//   - The envelope sender is null or of a domain that the submitter acts for, or the recipient is of one: else
//     RCPT is refused. A submitter's password is no way through us for the mail of others to others.
//   - No iTIP message in it, or one that cannot be used, or a VFREEBUSY (whose answer no mail carries): smarthost.
//   - The Originator (ORGANIZER, or the ATTENDEE that answers; never From) is of a domain that the submitter acts for: outbound.
//     The permitted recipients get it by iSchedule. But a mail with Received fields, to one of our own domains or with
//     the null sender, may be a stranger's that the MX hands on, and its Originator a lie: it is outbound only when the Originator
//     is proven.
//   - Else, permitted recipients of domains that the submitter acts for: inbound. When the Originator is proven the message goes to
//     their calendars; when it is not, the receiver refuses it, or the calendar system only reads mail, the mail goes on as it is.
//   - Else it is somebody else's: smarthost.
//
// The outcome of each recipient: taken over iSchedule or by a local calendar (an echo counts as taken, IS-SUB-3), done; no
// calendar service, beyond its capabilities, or not reached, smarthost; refused for good, a notification to the
// envelope sender (RFC 3464), unless NOTIFY forbids it; with a null sender, the smarthost. No notification of success is ever written.
// Recipients that the iTIP message does not name are the smarthost's always.
//
// It keeps no queue: the answer to DATA says 250 only when every recipient was delivered, handed to the smarthost, or
// reported in a notification that the smarthost took. Otherwise 4yz, and the client tries again; what had been delivered by
// then is remembered, for some hours and in this process, and not delivered again.
package mail

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/smarthost"
	"github.com/calfed/calfed/gateway/snapshot"
	"github.com/calfed/calfed/gateway/submission"
)

// Authenticator knows submitters by password; *submission.Handler implements it.
type Authenticator interface {
	Password(source netip.Addr, username, password string) (acting []submission.Acting, wait time.Duration)
}

// Relay takes mail; *smarthost.Client implements it.
type Relay interface {
	Send(ctx context.Context, e *smarthost.Envelope, mail []byte) error
}

// Outbound sends iTIP of local users; *sender.Sender implements it.
type Outbound interface {
	Send(ctx context.Context, sub *sender.Submission) (*ischedule.Response, *ischedule.Error)
}

// Inbound delivers proven iTIP of strangers to local users; *receiver.Receiver implements it.
type Inbound interface {
	Mail(ctx context.Context, req *ischedule.Request) (*ischedule.Response, *ischedule.Error)
}

// Config is one snapshot's worth of parts.
type Config struct {
	Active   *snapshot.Active // with Gateway.Submission.SMTP
	Auth     Authenticator
	Outbound Outbound
	Inbound  Inbound
	Relay    Relay // nil = mail is refused with 4yz: there is no smarthost
	Verifier *imip.Verifier
	Metrics  *Metrics         // nil = not counted
	Now      func() time.Time // nil = time.Now
	Log      *slog.Logger     // nil = discard
}

// Handler decides what becomes of a mail. Immutable, safe for concurrent use.
type Handler struct{ cfg Config }

// New makes a Handler.
func New(cfg Config) (*Handler, error) {
	switch {
	case cfg.Active == nil || cfg.Active.Snapshot.Gateway.Submission.SMTP == nil:
		return nil, errors.New("mail: Active must be set, and take mail")
	case cfg.Auth == nil || cfg.Outbound == nil || cfg.Inbound == nil || cfg.Verifier == nil:
		return nil, errors.New("mail: Auth, Outbound, Inbound and Verifier must be set")
	}
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics(nil)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Handler{cfg: cfg}, nil
}

func (h *Handler) gateway() *snapshot.Gateway { return &h.cfg.Active.Snapshot.Gateway }

func (h *Handler) bounds() *snapshot.SMTPSubmission { return h.gateway().Submission.SMTP }
