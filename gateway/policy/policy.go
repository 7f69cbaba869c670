// Package policy decides who may send what to whom, and explains itself. It is pure: compiled policies
// and a question in, a decision with its reasons out (IS-RECV-1). It counts nothing and looks nothing up.
//
// Per recipient domain: the most specific peer pattern wins, then the most specific domain pattern, then Deny
// over Allow, then the oldest policy, then the name. No matching policy = the gateway's default action. The one policy
// that wins decides alone: what it does not say is the default, never another policy's.
package policy

import (
	"cmp"
	"strings"

	"github.com/calfed/calfed/gateway/snapshot"
)

// Question is one decision to make.
type Question struct {
	Peer      string // domain of the remote party: Originator inbound, Recipient outbound
	Domain    string // local domain
	Component string // "" = any: only the choice of the policy is asked
	Method    string // "" = any
}

// Reason codes of a Decision: stable, logged and counted.
const (
	ReasonAllow           = "policy-allow"
	ReasonDeny            = "policy-deny"
	ReasonMessage         = "policy-message"  // the policy's messages do not list this one: 3.8
	ReasonFreeBusy        = "policy-freebusy" // freeBusy: Deny: 3.8
	ReasonDefaultAllow    = "default-allow"
	ReasonDefaultDeny     = "default-deny"
	ReasonDomainNotServed = "domain-not-served" // 3.7
	ReasonDomainAccepts   = "domain-accepts"    // the domain takes less than the gateway advertises: 3.14 (IS-CAP-4)
)

// Decision is the answer.
type Decision struct {
	Allowed bool
	Reason  string           // one of the Reason… codes
	Policy  *snapshot.Policy // the policy that decided; nil when the default did
	Steps   []Step           // only from Explain
	Why     string           // one sentence for a person; only from Explain
}

// Step is one policy that was considered.
type Step struct {
	Policy  string // ID
	Matched bool
	Won     bool
	Why     string // one sentence for a person
}

// Inbound decides about a message of the peer for a user of the local domain.
func Inbound(a *snapshot.Active, q Question) Decision {
	d, served := a.Domain(q.Domain)
	if !served {
		return Decision{Reason: ReasonDomainNotServed}
	}
	return inbound(a, d, winner(a, d, q.Peer), q)
}

// inbound is the decision once the policy is chosen.
func inbound(a *snapshot.Active, d *snapshot.Domain, p *snapshot.Policy, q Question) Decision {
	out := Decision{Allowed: true, Reason: ReasonAllow, Policy: p}
	switch {
	case p == nil && (q.Peer == "" || a.Snapshot.Gateway.DefaultAction != snapshot.Allow): // a peer without a domain is nobody's
		return Decision{Reason: ReasonDefaultDeny}
	case p == nil:
		out.Reason = ReasonDefaultAllow
	case p.Action == snapshot.Deny:
		return Decision{Reason: ReasonDeny, Policy: p}
	}
	if q.Component == "" {
		return out
	}
	refused := func(reason string) Decision { return Decision{Reason: reason, Policy: p} }
	if p != nil {
		if !takes(p.Inbound.Messages, q) {
			return refused(ReasonMessage)
		}
		if p.Inbound.FreeBusy == snapshot.FreeBusyDeny && strings.EqualFold(q.Component, "VFREEBUSY") { // IS-BACK-6
			return refused(ReasonFreeBusy)
		}
	}
	if !takes(d.Accepts, q) { // IS-CAP-4
		return refused(ReasonDomainAccepts)
	}
	return out
}

// Outbound returns the decision about sending to the peer: a Deny policy refuses, anything else allows (the default
// action concerns inbound only); Policy carries the outbound settings.
func Outbound(a *snapshot.Active, q Question) Decision {
	d, served := a.Domain(q.Domain)
	if !served {
		return Decision{Reason: ReasonDomainNotServed}
	}
	switch p := winner(a, d, q.Peer); {
	case p == nil:
		return Decision{Allowed: true, Reason: ReasonDefaultAllow}
	case p.Action == snapshot.Deny:
		return Decision{Reason: ReasonDeny, Policy: p}
	default:
		return Decision{Allowed: true, Reason: ReasonAllow, Policy: p}
	}
}

// takes says whether a list of messages holds the one asked about; an empty list holds all.
func takes(list []snapshot.Messages, q Question) bool {
	if len(list) == 0 {
		return true
	}
	for i := range list {
		if !strings.EqualFold(list[i].Component, q.Component) {
			continue
		}
		if len(list[i].Methods) == 0 || q.Method == "" {
			return true
		}
		for _, m := range list[i].Methods {
			if strings.EqualFold(m, q.Method) {
				return true
			}
		}
	}
	return false
}

// winner is the policy that decides about the peer at the local domain, nil when none matches.
func winner(a *snapshot.Active, d *snapshot.Domain, peer string) *snapshot.Policy {
	var best *snapshot.Policy
	for _, p := range a.ClosestPolicies(d, peer) {
		if best == nil {
			best = p
		} else if c, _ := compare(p, best, d.Name); c < 0 {
			best = p
		}
	}
	return best
}

// compare orders two policies that name the peer equally closely: negative when x goes before y. rule is why.
func compare(x, y *snapshot.Policy, domain string) (order int, rule string) {
	if c := cmp.Compare(y.Coverage(domain), x.Coverage(domain)); c != 0 {
		return c, ruleDomain
	}
	if x.Action != y.Action {
		if x.Action == snapshot.Deny {
			return -1, ruleDeny
		}
		return 1, ruleDeny
	}
	if c := x.Created.Compare(y.Created); c != 0 {
		return c, ruleAge
	}
	return cmp.Compare(x.ID, y.ID), ruleName
}
