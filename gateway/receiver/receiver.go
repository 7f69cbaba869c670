// Package receiver is the inbound pipeline: what an iSchedule Receiver does with a request from a
// stranger, step by step in the order of IS-RECV-1, each step ending the trip with one
// *ischedule.Error or adding to the Message that travels down.
package receiver

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/keys"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Config of a Receiver: one snapshot's worth of parts, and the shared ones that outlive it.
type Config struct {
	Active   *snapshot.Active
	Keys     *keys.Lookup
	Backends map[string]backend.Backend // by local domain; domains with equal back ends share one value
	Shared   *Shared
	Now      func() time.Time // nil = time.Now
	Log      *slog.Logger     // nil = discard
}

// Shared is what survives a change of configuration: replay memory, budgets, metrics.
type Shared struct {
	Replay  ReplayMemory
	Metrics *Metrics
	budgets *budgets
}

type budgets struct{}

// Metrics are the receiver's counters; made by NewMetrics, registered by the gateway.
type Metrics struct{}

// Receiver answers the iSchedule resource. It is an http.Handler for WellKnownPath (GET, HEAD, OPTIONS, POST).
type Receiver struct{ cfg Config }

// New makes a Receiver.
func New(cfg Config) *Receiver { return &Receiver{cfg: cfg} }

// ServeHTTP implements http.Handler.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) { panic("CONTRACT STUB") }

// ServeDomainKey answers /.well-known/domainkey/{d}/{s}. IS-DKIM-11.
func (r *Receiver) ServeDomainKey(w http.ResponseWriter, req *http.Request) { panic("CONTRACT STUB") }

// Local runs a message of an authenticated local submitter to local recipients through everything but the signature
// (IS-SEND-9): policy, iCalendar, iTIP, capabilities, delivery.
func (r *Receiver) Local(ctx context.Context, req *ischedule.Request) (*ischedule.Response, *ischedule.Error) {
	panic("CONTRACT STUB")
}

// ReplayMemory remembers messages so that none is delivered twice (IS-RECV-10). The in-process one is
// NewReplayMemory; the shared one comes with the queue.
type ReplayMemory interface {
	// Begin claims key for a delivery. See State.
	Begin(ctx context.Context, claim Claim) (State, error)
	// Finish records the answer of a claimed delivery (nil: remember without an answer, free/busy).
	Finish(ctx context.Context, claim Claim, answer []byte) error
	// Abandon releases a claim whose delivery did not happen, so that a repeat runs again.
	Abandon(ctx context.Context, claim Claim) error
}

// Claim identifies one message.
type Claim struct {
	Key       string        // hash by IS-RECV-10
	MessageID string        // d= and signed Message-ID, "" when unsigned: the same one with another Key is refused
	Keep      time.Time     // until when it must be remembered
	Lease     time.Duration // how long one run may take
}

// State is what Begin found.
type State struct {
	Status Status
	Answer []byte // Finished: the recorded answer, nil for free/busy
}

// Status of a claim.
type Status int

const (
	Fresh      Status = iota // claimed: deliver, then Finish or Abandon
	InProgress               // another delivery holds it: 503
	Finished                 // done before: the recorded answer
	Conflict                 // same Message-ID, another message: 403
)

// sourceOf is the peer's address as limits see it: /32 or /64.
func sourceOf(remote string) netip.Prefix { panic("CONTRACT STUB") }
