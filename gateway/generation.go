package gateway

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"

	"github.com/calfed/calfed/gateway/backend"
	backendischedule "github.com/calfed/calfed/gateway/backend/ischedule"
	"github.com/calfed/calfed/gateway/receiver"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/snapshot"
	"github.com/calfed/calfed/gateway/submission"
)

// generation is everything made for one snapshot. It lives until the last request that began on it has ended.
type generation struct {
	active   *snapshot.Active
	receiver *receiver.Receiver
	submit   *submission.Handler
	public   *tls.Config // of the public listener
	submits  *tls.Config // of the submit listener
	outside  *outside
	owned    []backend.Backend // closed at the end; those of Options.Memory are not ours

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
	for _, b := range gen.owned {
		b.Close()
	}
	gen.outside.release()
}

// newGeneration makes the parts of a snapshot. On error nothing is left open.
func (g *Gateway) newGeneration(s *snapshot.Snapshot) (_ *generation, err error) {
	active, err := snapshot.Activate(s)
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
	backends, err := g.backends(gen)
	if err != nil {
		return nil, err
	}
	gen.receiver = receiver.New(receiver.Config{
		Active:   active,
		Keys:     gen.outside.keys,
		Backends: backends,
		Shared:   g.shared,
		Now:      g.opt.Now,
		Log:      g.log,
	})
	out, err := sender.New(sender.Config{
		Active:    active,
		Finder:    gen.outside.discoverer,
		Local:     gen.receiver,
		Metrics:   g.senderMetrics,
		UserAgent: g.userAgent(),
		Now:       g.opt.Now,
		Log:       g.log,
	})
	if err != nil {
		return nil, err
	}
	if gen.submit, err = submission.New(submission.Config{Active: active, Sender: out, Log: g.log}); err != nil {
		return nil, err
	}
	certificate, err := tls.X509KeyPair(s.Gateway.TLS.Certificate, s.Gateway.TLS.Key)
	if err != nil {
		return nil, fmt.Errorf("gateway.tls: %w", err)
	}
	gen.public = serverTLS(&s.Gateway, certificate, tls.NoClientCert)
	gen.submits = serverTLS(&s.Gateway, certificate, gen.submit.ClientAuth())
	return gen, nil
}

// backends makes the back end of every domain; domains that are configured alike share one.
func (g *Gateway) backends(gen *generation) (map[string]backend.Backend, error) {
	byDomain := make(map[string]backend.Backend)
	endpoints := make(map[snapshot.ISchedule]backend.Backend)
	for i := range gen.active.Snapshot.Domains {
		d := &gen.active.Snapshot.Domains[i]
		switch d.Backend.Type {
		case snapshot.BackendISchedule:
			b, ok := endpoints[*d.Backend.ISchedule]
			if !ok {
				made, err := backendischedule.New(*d.Backend.ISchedule, gen.outside.guard, g.userAgent())
				if err != nil {
					return nil, fmt.Errorf("domain %s: back end: %w", d.Name, err)
				}
				b = made
				endpoints[*d.Backend.ISchedule] = b
				gen.owned = append(gen.owned, b)
			}
			byDomain[d.Name] = b
		case snapshot.BackendMemory:
			b, ok := g.opt.Memory[d.Name]
			if !ok {
				return nil, fmt.Errorf("domain %s: no memory back end was given", d.Name)
			}
			byDomain[d.Name] = b
		default:
			return nil, fmt.Errorf("domain %s: no back end of type %q", d.Name, d.Backend.Type)
		}
	}
	return byDomain, nil
}
