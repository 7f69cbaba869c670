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
	for _, routes := range m.byPolicy() {
		r.policyLimits(m, routes)
	}
	return nil
}

// byPolicy groups the domains that are still open by the policy that decides there: its limits are per request.
func (m *Message) byPolicy() [][]*route {
	var groups [][]*route
next:
	for _, rt := range m.routes {
		if m.openAt(rt) == 0 {
			continue
		}
		for i, g := range groups {
			if g[0].decision.Policy == rt.decision.Policy {
				groups[i] = append(g, rt)
				continue next
			}
		}
		groups = append(groups, []*route{rt})
	}
	return groups
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
	case d.Reason == policy.ReasonDomainAccepts: // narrower than the advertised capabilities: IS-CAP-4
		m.settleRoute(rt, ischedule.StatusUnsupported, nil)
	default:
		m.settleRoute(rt, ischedule.StatusNoAuthority, originatorDenied(d.Reason))
	}
}

// policyLimits are the limits that a policy sets on the request, for the domains where it decides.
func (r *Receiver) policyLimits(m *Message, routes []*route) {
	settle := func(s ischedule.RequestStatus, err *ischedule.Error) {
		for _, rt := range routes {
			m.settleRoute(rt, s, err)
		}
	}
	p := routes[0].decision.Policy
	missing := m.Request.Component == "" || m.Request.Method == ""
	if missing && (p == nil || !p.Inbound.ContentTypeParametersOptional) { // IS-RECV-7
		settle(ischedule.StatusNoAuthority, &ischedule.Error{
			Name: ischedule.InvalidSchedulingMessage, Status: http.StatusBadRequest, Reason: "content-type-parameters",
			Description: "Content-Type needs the parameters component and method.",
		})
		return
	}
	if p == nil {
		return
	}
	n := 0
	for _, rt := range routes {
		n += m.openAt(rt)
	}
	if most := p.Inbound.MaxRecipients; most > 0 && n > most {
		settle(ischedule.StatusNoAuthority, tooManyRecipients("policy-max-recipients"))
		return
	}
	// the header must not live on in a budget
	peer := policyPeer{p.ID, strings.Clone(m.peer())}
	if wait, ok := r.cfg.Shared.budgets.byPolicy.take(r.cfg.Now(), peer, p.Inbound.Rate); !ok {
		settle(ischedule.StatusUnavailable, tooMany("policy-rate", "Too many messages from this domain.", wait))
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
