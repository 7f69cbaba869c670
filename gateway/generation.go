package gateway

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"

	"github.com/calfed/calfed/gateway/receiver"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/snapshot"
	"github.com/calfed/calfed/gateway/submission"
	"github.com/calfed/calfed/gateway/submission/mail"
)

// generation is everything made for one snapshot. It lives until the last request that began on it has ended.
type generation struct {
	active   *snapshot.Active
	receiver *receiver.Receiver
	sender   *sender.Sender
	submit   *submission.Handler
	public   *tls.Config // of the public listener
	submits  *tls.Config // of the submit listener
	mailTLS  *tls.Config // of the smtp listener, for STARTTLS
	outside  *outside
	backends *Backends
	mail     *mail.Handler // nil = no mail is taken

	refs atomic.Int64 // one of the Gateway while it is current, one of each request
}

// acquire takes the current generation for one request; nil when there is none. Balance it with release.
func (g *Gateway) acquire() *generation {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.current != nil {
		g.current.refs.Add(1) // never from zero: the Gateway's own reference goes under the write lock
	}
	return g.current
}

func (gen *generation) release() {
	if gen.refs.Add(-1) > 0 {
		return
	}
	if gen.backends != nil {
		gen.backends.Close()
	}
	gen.outside.release()
}

// activate validates a snapshot, and says whose back ends may be taken over.
func activate(s *snapshot.Snapshot, current *generation) (*snapshot.Active, *Backends, error) {
	if current == nil {
		active, err := snapshot.Activate(s)
		return active, nil, err
	}
	active, err := current.active.Next(s)
	return active, current.backends, err
}

// newGeneration makes the parts of a snapshot. On error nothing is left open. Hold applyMu.
func (g *Gateway) newGeneration(s *snapshot.Snapshot) (_ *generation, err error) {
	g.mu.RLock()
	current := g.current // it stays while applyMu is held
	g.mu.RUnlock()
	active, before, err := activate(s, current)
	if err != nil {
		return nil, err
	}
	gen := &generation{active: active}
	gen.refs.Store(1)
	if gen.outside, err = g.outsideFor(s); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			gen.release()
		}
	}()
	gen.backends, err = NewBackends(BackendsConfig{
		Active: active, Before: before, Guard: gen.outside.guard, Memory: g.opt.Memory, Echoes: g.echoes, Watch: g.answers,
		UserAgent: g.userAgent(), Now: g.opt.Now, Log: g.log,
	})
	if err != nil {
		return nil, err
	}
	gen.receiver = receiver.New(receiver.Config{
		Active:   active,
		Keys:     gen.outside.keys,
		Backends: gen.backends.ByDomain,
		Shared:   g.shared,
		Respond:  gen.respond,
		Now:      g.opt.Now,
		Log:      g.log,
	})
	gen.sender, err = sender.New(sender.Config{
		Active:    active,
		Finder:    gen.outside.discoverer,
		Local:     gen.receiver,
		Fallback:  gen.backends.Fallback,
		Echoes:    g.echoes,
		Metrics:   g.senderMetrics,
		UserAgent: g.userAgent(),
		Now:       g.opt.Now,
		Log:       g.log,
	})
	if err != nil {
		return nil, err
	}
	gen.submit, err = submission.New(submission.Config{
		Active: active, Sender: gen.sender, Shared: g.submitters, Now: g.opt.Now, Log: g.log,
	})
	if err != nil {
		return nil, err
	}
	if gen.mail, err = g.mailHandler(gen); err != nil {
		return nil, err
	}
	certificate, err := tls.X509KeyPair(s.Gateway.TLS.Certificate, s.Gateway.TLS.Key)
	if err != nil {
		return nil, fmt.Errorf("gateway.tls: %w", err)
	}
	gen.public = serverTLS(&s.Gateway, certificate, tls.NoClientCert)
	gen.submits = serverTLS(&s.Gateway, certificate, gen.submit.ClientAuth())
	gen.mailTLS = serverTLS(&s.Gateway, certificate, tls.NoClientCert)
	gen.mailTLS.NextProtos = nil // SMTP has none
	return gen, nil
}
