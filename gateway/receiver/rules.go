package receiver

import (
	"encoding/json"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/snapshot"
)

// rules are what a signature must satisfy under a policy. Which policy decides is known only per recipient domain,
// so one request may have to satisfy several; recipients whose policies agree in this part share one *rules, and
// nearly every request has exactly one.
type rules struct {
	inbound *snapshot.Inbound // pinned keys and look-up methods, for keys
	dkim    dkim.Rules
	signers []string // thirdPartySigners
}

// ruleBook holds the rules of every policy of a snapshot, equal ones shared.
type ruleBook struct {
	standard *rules            // where no policy decides
	byPolicy map[string]*rules // by policy ID
	pinned   []*snapshot.Policy
}

// maxFallbackRules bounds how many policies' rules are tried for a message that is for none of our domains.
const maxFallbackRules = 4

func newRuleBook(policies []snapshot.Policy) ruleBook {
	book := ruleBook{byPolicy: make(map[string]*rules, len(policies))}
	shared := map[string]*rules{}
	share := func(in *snapshot.Inbound) *rules {
		part := snapshot.Inbound{
			MinRSABits: in.MinRSABits, KeyLookup: in.KeyLookup, PinnedKeys: in.PinnedKeys,
			SignatureTimeOptional: in.SignatureTimeOptional, MaxAge: in.MaxAge, ThirdPartySigners: in.ThirdPartySigners,
		}
		fingerprint, _ := json.Marshal(part) // plain values: cannot fail
		ru, ok := shared[string(fingerprint)]
		if !ok {
			ru = &rules{
				inbound: &part,
				dkim:    dkim.Rules{MaxAge: in.MaxAge, MinRSABits: in.MinRSABits, TimeOptional: in.SignatureTimeOptional},
				signers: in.ThirdPartySigners,
			}
			shared[string(fingerprint)] = ru
		}
		return ru
	}
	book.standard = share(&snapshot.Inbound{})
	for i := range policies {
		p := &policies[i]
		book.byPolicy[p.ID] = share(&p.Inbound)
		if p.Action == snapshot.Allow && book.byPolicy[p.ID] != book.standard {
			book.pinned = append(book.pinned, p)
		}
	}
	return book
}

// of are the rules of a policy; nil is the gateway's default action.
func (b *ruleBook) of(p *snapshot.Policy) *rules {
	if p == nil {
		return b.standard
	}
	if ru, ok := b.byPolicy[p.ID]; ok {
		return ru
	}
	return b.standard
}

// anywhere are rules for a peer whose message is for no domain that lets it in: it still has to be signed before it is
// told so, and a peer with a pinned key has no other.
func (b *ruleBook) anywhere(peer string) []*rules {
	var found []*rules
	seen := map[*rules]bool{}
	for _, p := range b.pinned {
		ru := b.byPolicy[p.ID]
		if len(found) < maxFallbackRules && !seen[ru] && p.Matches(peer) >= 0 {
			seen[ru], found = true, append(found, ru)
		}
	}
	return append(found, b.standard)
}

// ruleSets are the distinct rules under which the signature has to hold: those of the domains that may let the peer in.
func (m *Message) ruleSets() []*rules {
	var sets []*rules
	seen := map[*rules]bool{}
	for _, rt := range m.routes {
		if rt.decision.Allowed && !seen[rt.rules] {
			seen[rt.rules], sets = true, append(sets, rt.rules)
		}
	}
	return sets
}
