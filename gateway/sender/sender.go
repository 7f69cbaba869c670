// Package sender is the outbound pipeline: a submitted message is judged by the iTIP rules, its recipients are
// grouped by iSchedule Receiver, each group's request is signed and posted, those without iSchedule are left to the
// domain's fallback, and the answers are merged per recipient. IS-SEND, D05 §3.1 and §6.
//
// It finds no receivers itself (package discovery does), authenticates no submitter (package submission does), and
// keeps nothing: a message that could not be handed over now is answered 5.1 and forgotten.
package sender

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
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

// Echoes knows what a calendar server sends only because we wrote to it (IS-SUB-3); *echo.Memory implements it.
type Echoes interface {
	IsEcho(originator cua.Address, body []byte, msg *itip.Message) bool
}

// Config of a Sender.
type Config struct {
	Active    *snapshot.Active
	Finder    Finder
	Local     Local                      // nil = recipients of this gateway get 5.2
	Fallback  map[string]backend.Backend // by local domain: where messages for domains without iSchedule go (IS-SEND-7)
	Echoes    Echoes                     // nil = nothing is an echo
	Metrics   *Metrics                   // nil = not counted
	UserAgent string                     // "" = "calfed"; without ", " (it is signed)
	Now       func() time.Time           // nil = time.Now
	Log       *slog.Logger               // nil = discard
}

// Sender sends. Safe for concurrent use.
type Sender struct {
	cfg     Config
	signers map[string]signerFunc // by local domain
}

// defaultTimeout is how long finding a receiver, and then its answer, may take where no policy says otherwise
// (snapshot.Outbound.Timeout).
const defaultTimeout = 30 * time.Second

// parallel bounds the look-ups, and the requests, of one message that are under way at once.
const parallel = 16

// New makes a Sender.
func New(cfg Config) (*Sender, error) {
	if cfg.Active == nil || cfg.Finder == nil {
		return nil, fmt.Errorf("sender: Active and Finder must be set")
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "calfed"
	}
	if strings.Contains(cfg.UserAgent, ", ") || !visible(strings.ReplaceAll(cfg.UserAgent, " ", "")) {
		return nil, fmt.Errorf("sender: User-Agent %q cannot be signed", cfg.UserAgent)
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
	s := &Sender{cfg: cfg, signers: make(map[string]signerFunc)}
	for i := range cfg.Active.Snapshot.Domains {
		d := &cfg.Active.Snapshot.Domains[i]
		s.signers[d.Name] = newSigner(d)
	}
	return s, nil
}

// Submission is a message from an authenticated submitter.
type Submission struct {
	Submitter string           // name, for the log
	Domain    *snapshot.Domain // the domain it authenticated for: the Originator must be in it
	Request   *ischedule.Request
	// NoFallback: what has no iSchedule gets 5.2, because the submitter has another way itself, its own mail.
	NoFallback bool
	// Owed: the answer to a question that was put to the Originator (backend.Result.Respond). It is sent even when it says
	// nothing but what we wrote, because somebody asked.
	Owed bool
}

// Send delivers to every recipient and returns one result each, in the order of the request. The error is an overall
// refusal before anything was sent: Originator not the submitter's, not iTIP, parties that do not match.
//
// The body goes out as it was submitted, save that line ends become CRLF, with exactly one at the end (what is signed
// must survive peers that normalise), and that a VFREEBUSY holds the ATTENDEEs of its request only (IS-SEND-3). An echo
// of what we wrote goes nowhere, and everybody has 2.0 (IS-SUB-3).
func (s *Sender) Send(ctx context.Context, sub *Submission) (*ischedule.Response, *ischedule.Error) {
	m, refusal := s.judge(sub)
	if refusal != nil {
		s.cfg.Metrics.refused(refusal)
		return nil, refusal
	}
	if echo := s.swallow(ctx, sub, m); echo != nil {
		return echo, nil
	}
	s.deliver(ctx, split(s.route(ctx, m, m.recipients)), m)
	if again := m.unreached(); len(again) > 0 {
		// IS-DISC-2: discovery puts a target that could not be connected to behind the domain's others
		s.deliver(ctx, split(s.route(ctx, m, again)), m)
	}
	s.deliver(ctx, m.leftOver(), m)

	results := make([]ischedule.RecipientResult, len(m.asked))
	for i, r := range m.asked {
		if r.unreached {
			r.settle(ischedule.StatusUnavailable, noAnswer(discovery.ErrUnreached))
		}
		if !r.settled {
			// IS-SEND-5: nobody said anything about this recipient
			r.settle(ischedule.StatusUnavailable, "the receiver's answer does not mention this recipient")
		}
		results[i] = r.result
		results[i].Recipient = sub.Request.Recipients[i].String()
		s.cfg.Metrics.recipient(r.result.Status)
	}
	return &ischedule.Response{Results: results}, nil
}
