package discovery

import (
	"errors"
	"fmt"
	"net"

	"github.com/calfed/calfed/gateway/netguard"
)

// errAbsent means that a target answered, and has no iSchedule service for us: asking again does not help.
var errAbsent = errors.New("no iSchedule service at this target")

// temporary says whether a failure of a target may go away (IS-SEND-6). A server that does not prove its identity
// counts as temporary: whoever sits on the path must not be able to turn it into "no service".
func temporary(err error) bool {
	var refused *netguard.RefusedError
	return !errors.Is(err, errAbsent) && !errors.As(err, &refused)
}

// noSuchHost says whether a target's host name has no address.
func noSuchHost(err error) bool {
	var dnsErr *net.DNSError
	return errors.As(err, &dnsErr) && dnsErr.IsNotFound
}

// failures of a domain's targets.
type failures struct {
	temporary, refused, absent []error
}

func (f *failures) add(t *target, err error) {
	err = fmt.Errorf("%s: %w", t.url, err)
	var refused *netguard.RefusedError
	switch {
	case temporary(err):
		f.temporary = append(f.temporary, err)
	case errors.As(err, &refused):
		f.refused = append(f.refused, err)
	default:
		f.absent = append(f.absent, err)
	}
}

// result is the error for the domain: as long as one target may come back, nothing is final; an address that the
// rules forbid is worth telling from a service that is not there.
func (f *failures) result(domain string) error {
	switch {
	case len(f.temporary) > 0:
		return fmt.Errorf("%w: %s: %w", ErrTemporary, domain, errors.Join(f.temporary...))
	case len(f.refused) > 0:
		return fmt.Errorf("%s: %w", domain, errors.Join(f.refused...))
	}
	return fmt.Errorf("%w: %s: %w", ErrNoService, domain, errors.Join(f.absent...))
}
