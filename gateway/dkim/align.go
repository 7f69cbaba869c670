package dkim

import (
	"strings"

	"golang.org/x/net/publicsuffix"
)

// AlignedWith says whether d= speaks for originatorDomain: equal or its parent, never a public suffix, or
// listed in thirdParty. IS-DKIM-8.
func (s *Signature) AlignedWith(originatorDomain string, thirdParty []string) error {
	if containsFold(thirdParty, s.Domain) {
		return nil
	}
	if !isWithin(strings.ToLower(originatorDomain), s.Domain) {
		return failf(ReasonAlignment, "d=%s does not speak for the Originator's domain", s.Domain)
	}
	// The private section of the list counts too: neighbours under github.io do not speak for each other.
	if suffix, _ := publicsuffix.PublicSuffix(s.Domain); suffix == s.Domain {
		return failf(ReasonAlignment, "d=%s is a public suffix", s.Domain)
	}
	return nil
}
