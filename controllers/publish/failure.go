package publish

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/miekg/dns"
)

// unreachable says why a name server cannot be talked to, without the addresses and ports that differ each time.
func unreachable(server string, err error) error {
	const check = "check spec.publish.rfc2136.server, and that NetworkPolicies and firewalls let the operator reach it by TCP"
	var dnsErr *net.DNSError
	var opErr *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		return failed("%s does not answer: %s", server, check)
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, syscall.ECONNREFUSED):
		return failed("%s refuses connections: %s", server, check)
	case errors.As(err, &dnsErr) && dnsErr.IsNotFound:
		return failed("the name server %s has no address: correct spec.publish.rfc2136.server", server)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return failed("%s closes the connection: check that it takes updates by TCP", server)
	case errors.As(err, &opErr) && opErr.Err != nil:
		err = opErr.Err
	}
	return failed("%s cannot be reached: %s", server, err)
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// updateRefused says why a server did not do an update (RFC 2136 §3.8).
func (s *session) updateRefused(zone string, code int) error {
	zone = plain(zone)
	switch code {
	case dns.RcodeRefused:
		return failed("%s does not let the TSIG key %s change the zone %s (REFUSED): allow it there; README.md of controllers/publish shows how", s.server, plain(s.keyName), zone)
	case dns.RcodeNotAuth:
		return failed("%s is not the primary of the zone %s, or does not let the TSIG key %s change it (NOTAUTH): name the primary in spec.publish.rfc2136.server, and allow the key there", s.server, zone, plain(s.keyName))
	case dns.RcodeNotZone:
		return failed("%s says that the records do not belong to the zone %s (NOTZONE): correct spec.publish.rfc2136.zone", s.server, zone)
	case dns.RcodeNotImplemented, dns.RcodeFormatError:
		return failed("%s takes no dynamic updates (%s): it must be one that knows RFC 2136", s.server, rcodeName(code))
	case dns.RcodeServerFailure:
		return failed("%s failed to change the zone %s (SERVFAIL): its log says why", s.server, zone)
	}
	return failed("%s did not change the zone %s: %s", s.server, zone, rcodeName(code))
}
