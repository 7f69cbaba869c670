package sender

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard"
)

// deliver runs the requests, in parallel, and returns when every one has ended.
func (s *Sender) deliver(ctx context.Context, requests []*request, m *message) {
	var run errgroup.Group
	run.SetLimit(parallel)
	for _, q := range requests {
		run.Go(func() error {
			started := s.cfg.Now()
			outcome := s.guarded(ctx, m, q)
			s.report(ctx, m, q, outcome, s.cfg.Now().Sub(started))
			return nil
		})
	}
	_ = run.Wait()
}

// guarded runs one request. A panic costs that request: this runs beside the handler, where net/http would not catch it.
func (s *Sender) guarded(ctx context.Context, m *message, q *request) (outcome string) {
	defer func() {
		if p := recover(); p != nil {
			q.cause = fmt.Errorf("panic (%T)\n%s", p, debug.Stack()) // the value may quote the message
			q.settle(ischedule.StatusUnavailable, "this gateway failed; the outcome is unknown")
			outcome = outcomeUnsent
		}
	}()
	switch {
	case q.fallback != nil:
		return s.mail(ctx, m, q)
	case q.receiver == nil:
		return s.handOver(ctx, m, q)
	default:
		return s.post(ctx, m, q)
	}
}

// The outcomes of a request, as metrics and logs name them.
const (
	outcomeAnswered   = "answered"   // a schedule-response came back
	outcomeRefused    = "refused"    // an error came back
	outcomeTransient  = "transient"  // no answer, or one that may change
	outcomeUnreadable = "unreadable" // an answer that is no schedule-response
	outcomeExcluded   = "excluded"   // the receiver's capabilities do not take the message
	outcomeUnsent     = "unsent"     // our side could not make the request
)

// post signs q and sends it to its receiver.
func (s *Sender) post(ctx context.Context, m *message, q *request) string {
	body, err := m.content(q)
	if err != nil {
		q.cause = err
		q.settle(ischedule.StatusUnavailable, "this gateway could not prepare the request; not queued")
		return outcomeUnsent
	}
	if x := excluded(q.receiver.Capabilities, m.itip, len(body)); x != nil {
		for _, r := range q.recipients {
			m.withoutService(r, x.status(), "the receiver's capabilities exclude this message: "+x.why+" ("+string(x.name)+")")
		}
		return outcomeExcluded
	}
	header, err := s.header(m, q, body)
	if err != nil {
		q.cause = err
		q.settle(ischedule.StatusUnavailable, "this gateway could not sign for the Originator's domain; not queued")
		return outcomeUnsent
	}

	ctx, cancel := context.WithTimeout(ctx, timeout(q.outbound))
	defer cancel()
	answer, err := s.cfg.Finder.Post(ctx, q.receiver, header, body)
	if err != nil {
		q.cause = err
		var refused *netguard.RefusedError
		if errors.As(err, &refused) {
			status, _, description := noReceiver(err)
			q.settle(status, description)
			return outcomeRefused
		}
		if errors.Is(err, discovery.ErrUnreached) {
			for _, r := range q.recipients {
				r.unreached = true
			}
			return outcomeTransient
		}
		q.settle(ischedule.StatusUnavailable, noAnswer(err))
		return outcomeTransient
	}
	return s.read(m, q, answer)
}

var errNoLocal = errors.New("no receiver for recipients of this gateway")

func noAnswer(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "the receiver did not answer in time; not queued"
	}
	return "the connection to the receiver failed; not queued"
}

// header makes the signed header of one request. IS-SEND-2, IS-DKIM-4.
func (s *Sender) header(m *message, q *request, body []byte) (http.Header, error) {
	signer, err := s.signers[m.domain.Name]()
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	h.Set(ischedule.HeaderVersion, ischedule.Version)
	h.Set(ischedule.HeaderMessageID, q.id)
	h.Set(ischedule.HeaderOriginator, m.from)
	h.Set(ischedule.HeaderRecipient, q.field())
	h.Set("Cache-Control", "no-cache, no-transform") // never signed
	h.Set("Content-Type", m.contentType())
	h.Set("User-Agent", s.cfg.UserAgent)
	if value := authorization(q.outbound); value != "" && q.receiver.TakesAuthorization() {
		h.Set("Authorization", value) // signed like the rest; where it may not go it must not be signed
	}
	signature, err := q.sign(signer, h, body, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	h.Set(ischedule.HeaderDKIMSignature, signature)
	return h, nil
}

// field is the one Recipient field: commas, no blanks.
func (q *request) field() string {
	parts := make([]string, len(q.recipients))
	for i, r := range q.recipients {
		parts[i] = r.wire
		if q.forDAViCal() {
			parts[i] = lowerScheme(r.wire)
		}
	}
	return strings.Join(parts, ",")
}

// settle gives every recipient of q that has none yet the same status.
func (q *request) settle(status ischedule.RequestStatus, description string) {
	for _, r := range q.recipients {
		r.settle(status, description)
	}
}

func (m *message) contentType() string {
	return "text/calendar; charset=utf-8; component=" + m.itip.Component + "; method=" + m.itip.Method
}

// handOver gives q to this gateway's own receiver (IS-SEND-9).
func (s *Sender) handOver(ctx context.Context, m *message, q *request) string {
	if s.cfg.Local == nil {
		q.cause = errNoLocal
		q.settle(ischedule.StatusNoService, "the recipient's domain is served by this gateway, which does not run here")
		return outcomeUnsent
	}
	body, err := m.content(q)
	if err != nil {
		q.cause = err
		q.settle(ischedule.StatusUnavailable, "this gateway could not prepare the request; not queued")
		return outcomeUnsent
	}
	to := make([]cua.Address, len(q.recipients))
	for i, r := range q.recipients {
		to[i] = r.address
	}
	response, failure := s.cfg.Local.Local(ctx, &ischedule.Request{
		MessageID: q.id, Originator: m.originator, Recipients: to,
		Component: m.itip.Component, Method: m.itip.Method, ContentType: m.contentType(), Body: body,
	})
	if failure != nil {
		return q.fail(failure, "this gateway")
	}
	q.merge(m, response)
	return outcomeAnswered
}

// kind is what receives q, as metrics and logs name it.
func (q *request) kind() string {
	switch {
	case q.fallback != nil:
		return "mail"
	case q.receiver == nil:
		return "local"
	default:
		return "peer"
	}
}

// maxLoggedPeers bounds the domains that one log line names.
const maxLoggedPeers = 8

// report writes the one log line of a request, and counts it.
func (s *Sender) report(ctx context.Context, m *message, q *request, outcome string, took time.Duration) {
	kind := q.kind()
	s.cfg.Metrics.request(outcome, kind, took)
	host := kind
	if q.receiver != nil {
		if u, err := url.Parse(q.receiver.URL); err == nil {
			host = u.Host
		}
	}
	count := make(map[string]int)
	for _, r := range q.recipients {
		if r.settled {
			count[r.result.Status.Code]++
		} else {
			count["open"]++ // for another target of the domain, or for the fallback
		}
	}
	summary := make([]string, 0, len(count))
	for code, n := range count {
		summary = append(summary, code+"="+strconv.Itoa(n))
	}
	sort.Strings(summary)
	attrs := []slog.Attr{
		slog.String("message_id", q.id), slog.String("domain", m.domain.Name),
		slog.Any("peers", q.domains[:min(len(q.domains), maxLoggedPeers)]), slog.String("receiver", host),
		slog.String("component", m.itip.Component), slog.String("method", m.itip.Method), slog.String("outcome", outcome),
		slog.String("statuses", strings.Join(summary, " ")), slog.Duration("took", took),
	}
	level := slog.LevelInfo
	if q.cause != nil {
		attrs = append(attrs, slog.Any("cause", q.cause))
	}
	if outcome == outcomeUnsent { // our own fault
		level = slog.LevelError
	}
	s.cfg.Log.LogAttrs(ctx, level, "message sent", attrs...)
	if s.cfg.Log.Enabled(ctx, slog.LevelDebug) {
		for _, r := range q.recipients {
			s.cfg.Log.LogAttrs(ctx, slog.LevelDebug, "recipient", slog.String("message_id", q.id), slog.String("recipient", r.wire),
				slog.String("status", r.result.Status.String()), slog.String("description", r.result.Description))
		}
	}
}
