// Package receiver is the inbound pipeline: what an iSchedule Receiver does with a request from a
// stranger (draft-desruisseaux-ischedule-05 §6, §7.5), step by step in the order of IS-RECV-1. One
// Message travels down the list of steps; each step adds to it or ends the trip with one
// *ischedule.Error. No step reaches back up.
//
// It opens no listener, reads no configuration but a snapshot, and stores no calendar data: users live
// behind backend.Backend. It relays nothing: a recipient of another domain gets 3.7.
package receiver

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/keys"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Config of a Receiver: one snapshot's worth of parts, and the shared ones that outlive it.
type Config struct {
	Active   *snapshot.Active
	Keys     *keys.Lookup
	Backends map[string]backend.Backend // by local domain; domains with equal back ends share one value
	Shared   *Shared                    // nil = a fresh one
	Respond  Respond                    // nil = a REFRESH that wants an answer gets 5.1
	Now      func() time.Time           // nil = time.Now
	Log      *slog.Logger               // nil = discard
}

// Respond sends what a local user's calendar owes the Originator at once (backend.Result.Respond): a message of from, who is
// in a domain served here, to one calendar user. It returns when the message is delivered; the sender implements it.
type Respond func(ctx context.Context, domain *snapshot.Domain, from, to cua.Address, body []byte) error

// Receiver answers the iSchedule resource. It is an http.Handler for WellKnownPath (GET, HEAD, OPTIONS,
// POST). It is immutable: a new snapshot gets a new Receiver over the same Shared. Safe for concurrent use.
type Receiver struct {
	cfg          Config
	capabilities document
	rules        ruleBook
	memory       ReplayMemory
}

// New makes a Receiver. It starts no goroutine.
func New(cfg Config) *Receiver {
	if cfg.Shared == nil {
		cfg.Shared = &Shared{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Receiver{
		cfg:          cfg,
		capabilities: newDocument(&cfg.Active.Snapshot.Gateway.Capabilities),
		rules:        newRuleBook(cfg.Active.Snapshot.Policies),
		memory:       cfg.Shared.replay(cfg.Now),
	}
}

// gateway is the part of the snapshot that all domains share.
func (r *Receiver) gateway() *snapshot.Gateway { return &r.cfg.Active.Snapshot.Gateway }

// ServeHTTP implements http.Handler. IS-CAP-1, IS-CAP-2.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set(ischedule.HeaderVersion, ischedule.Version)
	w.Header().Set(ischedule.HeaderCapabilities, r.capabilities.serial)
	r.bodyDeadline(w, req)
	if err := r.admit(req); err != nil {
		r.refuse(w, req, err)
		return
	}
	switch req.Method {
	case http.MethodPost:
		r.post(w, req)
	case http.MethodGet, http.MethodHead:
		r.serveCapabilities(w, req)
	case http.MethodOptions:
		w.Header().Set("Allow", allowedMethods)
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Allow", allowedMethods)
		r.refuse(w, req, &ischedule.Error{
			Status: http.StatusMethodNotAllowed, Reason: "method-not-allowed",
			Description: "This resource takes " + allowedMethods + ".",
		})
	}
}

const allowedMethods = "GET, HEAD, OPTIONS, POST"

// post runs a scheduling message from a stranger through the whole pipeline.
func (r *Receiver) post(w http.ResponseWriter, req *http.Request) {
	m := &Message{started: r.cfg.Now(), http: req, writer: w}
	defer func() {
		if m.free != nil {
			m.free()
		}
	}()
	err := r.run(req.Context(), m, r.steps())
	r.report(req.Context(), m, err)
	if err != nil {
		err.Write(w)
		return
	}
	ischedule.WriteDocument(w, http.StatusOK, m.answer)
}

// refuse answers a request that never became a message.
func (r *Receiver) refuse(w http.ResponseWriter, req *http.Request, err *ischedule.Error) {
	r.cfg.Shared.Metrics.request(resultOf(err), err.Reason, 0)
	r.cfg.Log.LogAttrs(req.Context(), slog.LevelInfo, "request refused",
		slog.String("method", knownMethod(req.Method)), slog.Int("status", err.Status), slog.String("reason", err.Reason))
	err.Write(w)
}

// knownMethod keeps strangers' words out of the log.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost, http.MethodPut, http.MethodDelete:
		return method
	}
	return "other"
}

// Local runs a message of an authenticated local submitter to local recipients through everything but the signature
// (IS-SEND-9): policy, iCalendar, iTIP, capabilities, delivery. There is no replay memory either: what it guards
// against is a signed message that someone else sends again.
func (r *Receiver) Local(ctx context.Context, req *ischedule.Request) (*ischedule.Response, *ischedule.Error) {
	m := &Message{started: r.cfg.Now(), Request: req, local: true}
	err := r.run(ctx, m, r.localSteps())
	r.report(ctx, m, err)
	if err != nil {
		return nil, err
	}
	return m.response(), nil
}
