package submission

import (
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
func (h *Handler) Password(source netip.Addr, username, password string) (acting []Acting, wait time.Duration) {
	panic("not written yet")
}
