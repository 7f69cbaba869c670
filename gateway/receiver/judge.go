package receiver

import (
	"context"
	"net/http"
	"strings"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/policy"
)

// policy decides per recipient domain (IS-RECV-1). Recipients that fall get 3.7 or 3.8; the request fails as a whole only
// when all fall alike.
func (r *Receiver) policy(_ context.Context, m *Message) *ischedule.Error {
	for _, rc := range m.recipients {
		if rc.route == nil {
			rc.settle(ischedule.StatusUnknownUser, "not served here", nil) // IS-RECV-9
		}
	}
	for _, rt := range m.routes {
		if rt.decision.Allowed && rt.refused != nil {
			status := ischedule.StatusNoAuthority
			if rt.refused.RetryAfter > 0 {
				status = ischedule.StatusUnavailable
			}
			m.settleRoute(rt, status, rt.refused)
			continue
		}
		r.judge(m, rt, m.Request.Component, m.Request.Method)
	}
	for _, rt := range m.routes {
		r.policyLimits(m, rt)
	}
	return nil
}

// judge asks the policy about one domain and this kind of message; "" asks about the peer alone.
func (r *Receiver) judge(m *Message, rt *route, component, method string) {
	q := policy.Question{Peer: m.peer(), Domain: rt.domain.Name, Component: component, Method: method}
	if component == "" || method == "" {
		q.Component, q.Method = "", ""
	}
	d := policy.Inbound(r.cfg.Active, q)
	switch {
	case d.Allowed:
	case d.Reason == "domain-accepts": // narrower than the advertised capabilities: IS-CAP-4
		m.settleRoute(rt, ischedule.StatusUnsupported, nil)
	default:
		m.settleRoute(rt, ischedule.StatusNoAuthority, originatorDenied(d.Reason))
	}
}

// policyLimits are the deciding policy's own limits on the request.
func (r *Receiver) policyLimits(m *Message, rt *route) {
	n := m.openAt(rt)
	if n == 0 {
		return
	}
	p := rt.decision.Policy
	if p == nil || !p.Inbound.ContentTypeParametersOptional {
		if m.Request.Component == "" || m.Request.Method == "" { // IS-RECV-7
			m.settleRoute(rt, ischedule.StatusNoAuthority, &ischedule.Error{
				Name: ischedule.InvalidSchedulingMessage, Status: http.StatusBadRequest, Reason: "content-type-parameters",
				Description: "Content-Type needs the parameters component and method.",
			})
			return
		}
	}
	if p == nil {
		return
	}
	if most := p.Inbound.MaxRecipients; most > 0 && n > most {
		m.settleRoute(rt, ischedule.StatusNoAuthority, tooManyRecipients("policy-max-recipients"))
		return
	}
	wait, ok := r.cfg.Shared.budgets.byPolicy.take(r.cfg.Now(), policyPeer{p.ID, strings.Clone(m.peer())}, p.Inbound.Rate)
	if !ok {
		m.settleRoute(rt, ischedule.StatusUnavailable, tooMany("policy-rate", "Too many messages from this domain.", wait))
	}
}

func tooManyRecipients(reason string) *ischedule.Error {
	return &ischedule.Error{
		Name: ischedule.MaxRecipients, Status: http.StatusForbidden, Reason: reason,
		Description: "The message has more recipients than max-recipients.",
	}
}

// openAt counts the recipients of a domain that are still on their way.
func (m *Message) openAt(rt *route) int {
	n := 0
	for _, rc := range m.recipients {
		if rc.route == rt && !rc.done {
			n++
		}
	}
	return n
}

// settleRoute ends the trip for all recipients of a domain.
func (m *Message) settleRoute(rt *route, s ischedule.RequestStatus, alike *ischedule.Error) {
	for _, rc := range m.recipients {
		if rc.route == rt && !rc.done {
			rc.settle(s, "", alike)
		}
	}
}
