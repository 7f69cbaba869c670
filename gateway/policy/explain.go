package policy

import (
	"fmt"
	"strings"

	"github.com/calfed/calfed/gateway/snapshot"
)

// Why one policy goes before another that matches too.
const (
	rulePeer   = "names the peer more closely"
	ruleDomain = "names the domain more closely"
	ruleDeny   = "denies, and Deny goes before Allow"
	ruleAge    = "is older"
	ruleName   = "is as old and comes first by name"
)

// Explain is Inbound with every considered policy in Steps, and sentences for a person. It is for tools: slower
// than Inbound, never different.
func Explain(a *snapshot.Active, q Question) Decision {
	d, served := a.Domain(q.Domain)
	if !served {
		return Decision{Reason: ReasonDomainNotServed, Why: fmt.Sprintf("%s is not served by this gateway.", q.Domain)}
	}
	won := winner(a, d, q.Peer)
	out := inbound(a, d, won, q)
	for _, p := range a.PoliciesFor(d) {
		out.Steps = append(out.Steps, consider(p, won, d.Name, q.Peer))
	}
	out.Why = summary(a, d, out, q)
	return out
}

// consider explains one policy's part.
func consider(p, won *snapshot.Policy, domain, peer string) Step {
	step := Step{Policy: p.ID, Matched: p.Matches(peer) >= 0, Won: p == won}
	switch {
	case !step.Matched:
		step.Why = fmt.Sprintf("does not apply: none of its peers (%s) matches %s", list(p.Peers), peer)
	case step.Won:
		step.Why = fmt.Sprintf("decides (%s): its peer %s matches %s", p.Action, best(p.Peers, peer), peer)
	default:
		rule := rulePeer
		if p.Matches(peer) == won.Matches(peer) {
			_, rule = compare(won, p, domain)
		}
		step.Why = fmt.Sprintf("matches by its peer %s, but %s %s%s", best(p.Peers, peer), won.ID, rule, detail(rule, p, won, domain, peer))
	}
	return step
}

// detail shows the two values that a rule compared.
func detail(rule string, p, won *snapshot.Policy, domain, peer string) string {
	switch rule {
	case rulePeer:
		return fmt.Sprintf(" (%s)", best(won.Peers, peer))
	case ruleDomain:
		return fmt.Sprintf(" (%s before %s)", best(won.Domains, domain), best(p.Domains, domain))
	case ruleAge:
		if !won.Created.IsZero() && !p.Created.IsZero() {
			return fmt.Sprintf(" (%s before %s)", won.Created.UTC().Format("2006-01-02 15:04:05"), p.Created.UTC().Format("2006-01-02 15:04:05"))
		}
	}
	return ""
}

// best is the pattern that names a domain most closely.
func best(patterns []string, name string) string {
	found, closest := `"*"`, -1
	for _, p := range patterns {
		if c := snapshot.Specificity(p, name); c > closest {
			found, closest = fmt.Sprintf("%q", p), c
		}
	}
	return found
}

// list shows patterns, not too many.
func list(patterns []string) string {
	const most = 5
	if len(patterns) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(patterns[:most], ", "), len(patterns)-most)
	}
	return strings.Join(patterns, ", ")
}

// summary is the decision in a sentence.
func summary(a *snapshot.Active, d *snapshot.Domain, out Decision, q Question) string {
	message := "messages"
	if q.Component != "" {
		message = strings.TrimSpace(q.Method + " of " + q.Component)
		if q.Method == "" {
			message = q.Component
		}
	}
	switch out.Reason {
	case ReasonAllow:
		return fmt.Sprintf("%s allows %s from %s to %s.", out.Policy.ID, message, q.Peer, d.Name)
	case ReasonDeny:
		return fmt.Sprintf("%s denies everything from %s to %s.", out.Policy.ID, q.Peer, d.Name)
	case ReasonMessage:
		return fmt.Sprintf("%s allows %s, but its messages do not include %s.", out.Policy.ID, q.Peer, message)
	case ReasonFreeBusy:
		return fmt.Sprintf("%s allows %s, but denies it free/busy.", out.Policy.ID, q.Peer)
	case ReasonDomainAccepts:
		return fmt.Sprintf("%s may send here, but %s does not accept %s.", q.Peer, d.Name, message)
	}
	return fmt.Sprintf("No policy that covers %s matches %s: the gateway's default is %s.", d.Name, q.Peer, a.Snapshot.Gateway.DefaultAction)
}
