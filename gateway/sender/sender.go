// Package sender is the outbound pipeline: a submitted message is judged by the iTIP rules, its recipients are
// grouped by iSchedule Receiver, each group's request is signed and posted, and the answers are merged per recipient.
// IS-SEND.
package sender

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Finder is what the sender asks of discovery.
type Finder interface {
	Find(ctx context.Context, domain string, out *snapshot.Outbound) (*discovery.Receiver, error)
	Post(ctx context.Context, r *discovery.Receiver, header http.Header, body []byte) (*discovery.Answer, error)
}

// Local takes messages for recipients of this very gateway (IS-SEND-9); *receiver.Receiver implements it.
type Local interface {
	Local(ctx context.Context, req *ischedule.Request) (*ischedule.Response, *ischedule.Error)
}

// Config of a Sender.
type Config struct {
	Active    *snapshot.Active
	Finder    Finder
	Local     Local
	Metrics   *Metrics
	UserAgent string
	Now       func() time.Time // nil = time.Now
	Log       *slog.Logger     // nil = discard
}

// Metrics are the sender's counters.
type Metrics struct{}

// Sender sends. Safe for concurrent use.
type Sender struct{ cfg Config }

// New makes a Sender.
func New(cfg Config) (*Sender, error) { panic("CONTRACT STUB") }

// Submission is a message from an authenticated submitter.
type Submission struct {
	Submitter string           // name, for the log
	Domain    *snapshot.Domain // the domain it authenticated for: the Originator must be in it
	Request   *ischedule.Request
}

// Send delivers to every recipient and returns one result each, in the order of the request. The error is an overall
// refusal before anything was sent: Originator not the submitter's, not iTIP, parties that do not match.
func (s *Sender) Send(ctx context.Context, sub *Submission) (*ischedule.Response, *ischedule.Error) {
	panic("CONTRACT STUB")
}
