package publish

import (
	"errors"

	"github.com/miekg/dns"
)

// errOutside means that a name does not lie in the zone.
var errOutside = errors.New("outside the zone")

// zones finds the zone of a name: the one that is configured, or the closest for which the server has an SOA record.
type zones struct {
	session *session
	fixed   string // "" = ask
	known   map[string]string
}

func (z *zones) of(name string) (string, error) {
	if z.fixed != "" {
		zone := dns.CanonicalName(z.fixed)
		if !dns.IsSubDomain(zone, name) {
			return "", errOutside
		}
		return zone, nil
	}
	// the records of a domain never stand at the top of a zone, and those at one level are in one zone
	parent := name
	if next, end := dns.NextLabel(name, 0); !end {
		parent = name[next:]
	}
	if zone, ok := z.known[parent]; ok {
		return zone, nil
	}
	answer, err := z.session.ask(parent, dns.TypeSOA)
	if err != nil {
		return "", err
	}
	for _, section := range [][]dns.RR{answer.Answer, answer.Ns} {
		for _, rr := range section {
			zone := dns.CanonicalName(rr.Header().Name)
			if _, ok := rr.(*dns.SOA); !ok || !dns.IsSubDomain(zone, name) {
				continue
			}
			if !answer.Authoritative {
				return "", failed("%s passes on what other servers say of %s: name the primary of the zone in spec.publish.rfc2136.server", z.session.server, plain(zone))
			}
			if z.known == nil {
				z.known = map[string]string{}
			}
			z.known[parent] = zone
			return zone, nil
		}
	}
	return "", failed("%s has no zone for %s (%s): name the primary of the zone in spec.publish.rfc2136.server, and the zone in spec.publish.rfc2136.zone when the server answers no questions", z.session.server, plain(name), rcodeName(answer.Rcode))
}
