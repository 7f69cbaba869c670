package submission

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/netip"
	"time"

	"github.com/calfed/calfed/gateway/snapshot"
)

// Acting is a submitter that credentials belong to, and the domain it may send for.
type Acting struct {
	Name   string
	Domain *snapshot.Domain
}

// Password returns the submitters that a user name and password belong to (several domains may share one), none when they are
// wrong. wait > 0: too many failures from this source, nothing was compared. For SMTP AUTH; HTTP Basic is the Handler's own.
// Both draw on one budget of failures. IS-SUB-1, IS-SUB-2.
func (h *Handler) Password(source netip.Addr, username, password string) (acting []Acting, wait time.Duration) {
	place, presented, now := placeOf(source), fingerprintOf(username, password), h.cfg.Now()
	if wait = h.failures().wait(place, presented, now); wait > 0 {
		return nil, wait
	}
	for _, s := range h.submitters.byPassword(username, password) {
		acting = append(acting, Acting{Name: s.name, Domain: s.domain})
	}
	if len(acting) == 0 {
		h.failures().failed(place, presented, now)
	}
	return acting, 0
}

// byPassword compares with all of them, user name and password each in constant time.
func (s *submitters) byPassword(username, password string) (found identity) {
	user, secret := sha256.Sum256([]byte(username)), sha256.Sum256([]byte(password))
	for _, p := range s.passwords {
		if subtle.ConstantTimeCompare(user[:], p.username)&subtle.ConstantTimeCompare(secret[:], p.password) == 1 {
			found = append(found, p.submitter)
		}
	}
	return found
}
