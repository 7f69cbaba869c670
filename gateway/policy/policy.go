// Package policy decides who may send what to whom, and explains itself. It is pure: compiled policies
// and a question in, a decision with its reasons out (IS-RECV-1, design/api.md "PeerPolicy").
//
// Per recipient domain: the most specific peer pattern wins, then the most specific domain pattern, then Deny
// over Allow, then the oldest policy, then the name. No matching policy = the gateway's default action.
package policy

import "github.com/calfed/calfed/gateway/snapshot"

// Question is one decision to make.
type Question struct {
	Peer      string // domain of the remote party: Originator inbound, Recipient outbound
	Domain    string // local domain
	Component string // "" = any: only the choice of the policy is asked
	Method    string
}

// Decision is the answer.
type Decision struct {
	Allowed bool
	Reason  string           // stable reason code: "policy-allow", "policy-deny", "policy-message", "default-deny", "default-allow", "domain-not-served", "domain-accepts"
	Policy  *snapshot.Policy // the policy that decided; nil when the default did
	Steps   []Step           // only from Explain
}

// Step is one policy that was considered.
type Step struct {
	Policy  string // ID
	Matched bool
	Won     bool
	Why     string // one sentence for a person
}

// Inbound decides about a message of the peer for a user of the local domain.
func Inbound(a *snapshot.Active, q Question) Decision { panic("CONTRACT STUB") }

// Outbound returns the decision about sending to the peer: a Deny policy refuses, anything else allows (the default
// action concerns inbound only); Policy carries the outbound settings.
func Outbound(a *snapshot.Active, q Question) Decision { panic("CONTRACT STUB") }

// Explain is Inbound with every considered policy in Steps.
func Explain(a *snapshot.Active, q Question) Decision { panic("CONTRACT STUB") }
