package receiver

import (
	"context"
	"net/http"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/policy"
)

// header reads version, media type, Originator and Recipients, in that order (IS-RECV-1, IS-RECV-6).
func (r *Receiver) header(ctx context.Context, m *Message) *ischedule.Error {
	req, bad, err := ischedule.ReadRequest(m.http.Header, nil, r.gateway().Capabilities.MaxRecipients)
	if err != nil {
		return err
	}
	m.Request, m.bad = req, bad
	return r.resolve(ctx, m)
}

// resolve finds the local domain of each recipient and the policy that decides there. It judges nobody yet: which
// rules the signature must satisfy depends on it. A recipient elsewhere has no route, and nothing is looked up for it (IS-RECV-9).
func (r *Receiver) resolve(_ context.Context, m *Message) *ischedule.Error {
	byDomain := map[string]*route{}
	for _, address := range m.Request.Recipients {
		rc := &recipient{address: address}
		m.recipients = append(m.recipients, rc)
		name := address.Domain()
		if name == "" {
			continue
		}
		rt, ok := byDomain[name]
		if !ok {
			if domain, served := r.cfg.Active.Domain(name); served {
				decision := policy.Inbound(r.cfg.Active, policy.Question{Peer: m.peer(), Domain: name})
				rt = &route{domain: domain, decision: decision, rules: r.rules.of(decision.Policy)}
				m.routes = append(m.routes, rt)
			}
			byDomain[name] = rt
		}
		rc.route = rt
	}
	return nil
}

// knownPeer refuses an Originator whose domain no policy would let in anywhere, before anything is looked up for it.
func (r *Receiver) knownPeer(_ context.Context, m *Message) *ischedule.Error {
	if !r.cfg.Active.KnowsPeer(m.peer()) {
		return originatorDenied("peer-unknown")
	}
	return nil
}

// originatorDenied reads the same to the peer whether its domain is unknown or refused.
func originatorDenied(reason string) *ischedule.Error {
	return &ischedule.Error{
		Name: ischedule.OriginatorDenied, Status: http.StatusForbidden, Reason: reason,
		Description: "The Originator may not use this service.",
	}
}
