package compile

import (
	"bytes"
	"encoding/base64"
	"net"
	"net/netip"
	"strconv"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/cua"
)

// longestRecord begins the longest name of a record of a domain.
const longestRecord = "_domainkey_lookup._tcp."

// publish checks who writes the records of a domain, and where. Nothing of it is in the snapshot: gateway pods publish nothing, and
// must not see the TSIG key.
func (c *compiler) publish(at spot, d *v1alpha1.FederatedDomain, name string) {
	spec := d.Spec.Publish
	below := name
	if spec.Delegated != nil {
		below = c.delegated(at.to("delegated"), d, name)
	}
	switch {
	case spec.Type == v1alpha1.PublishExternalDNS:
	case spec.Type == v1alpha1.PublishRFC2136 && spec.RFC2136 != nil:
		c.update(at.to("rfc2136"), spec.RFC2136, below)
	case spec.Type == v1alpha1.PublishRFC2136:
		at.error(v1alpha1.ReasonInvalidValue, "type %q needs the member rfc2136", spec.Type)
	default:
		at.to("type").error(v1alpha1.ReasonInvalidValue, "%q publishes nothing: ExternalDNS and RFC2136 do", spec.Type)
	}
}

// delegated checks the zone that records are written below, and returns it.
func (c *compiler) delegated(at spot, d *v1alpha1.FederatedDomain, name string) string {
	zone, err := cua.Domain(string(d.Spec.Publish.Delegated.Zone))
	switch {
	case err != nil:
		at.to("zone").error(v1alpha1.ReasonInvalidValue, "%q is no domain name", d.Spec.Publish.Delegated.Zone)
		return ""
	case len(longestRecord+name+"."+zone) > 253: // RFC 1035 §2.3.4
		at.to("zone").error(v1alpha1.ReasonInvalidValue, "the names of the records of %s below %s are longer than DNS allows", name, zone)
	case d.Spec.Publish.Type == v1alpha1.PublishExternalDNS && !c.writesBelow(zone, name):
		at.to("zone").error(v1alpha1.ReasonNotAllowed, "FederationGateway %s lets external-dns write nothing below %s for namespace %q: delegatedZones of its spec.allowedDomains does not name the zone; ask those who run it",
			c.gateway.id(), zone, c.namespace)
	}
	if d.Spec.Signing == nil {
		return zone
	}
	for _, ref := range d.Spec.Signing.Keys {
		if k, ok := c.keys[ref.Name]; ok && k.made() && k.object.Spec.Source.Generated.Selectors != v1alpha1.SelectorsAlternating {
			at.warn(v1alpha1.ReasonWeak, "DKIMKey %q names each key anew, and the owner of %s has a CNAME record to set each time: make its selectors Alternating", ref.Name, name)
		}
	}
	return zone
}

// update checks a name server that takes dynamic updates. name is what the records lie at or below, "" = unknown.
func (c *compiler) update(at spot, u *v1alpha1.RFC2136, name string) {
	if !isServer(u.Server) {
		at.to("server").error(v1alpha1.ReasonInvalidValue, "%q is no host name or IP address with an optional port: ns1.example.org, 10.0.0.53:5353, [fd00::53]:53", u.Server)
	}
	if u.Zone != "" {
		zone, err := cua.Domain(string(u.Zone))
		switch {
		case err != nil:
			at.to("zone").error(v1alpha1.ReasonInvalidValue, "%q is no domain name", u.Zone)
		case name != "" && !cua.WithinDomain(name, zone):
			at.to("zone").error(v1alpha1.ReasonInvalidValue, "the records of %s do not lie in the zone %s", name, zone)
		}
	}
	ref := u.TSIG.SecretRef
	at = at.to("tsig").to("secretRef")
	value, ok := c.secretValue(at, ref)
	if !ok {
		return
	}
	if _, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(value))); err != nil {
		at.to("key").error(v1alpha1.ReasonInvalidValue, "key %q of Secret %q is not in base64: write it as the name server's configuration does", ref.Key, ref.Name)
	}
}

// isServer reads "ns1.example.org", "10.0.0.53:5353", "[fd00::53]", "[fd00::53]:53".
func isServer(text string) bool {
	host := text
	if h, port, err := net.SplitHostPort(text); err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false
		}
		host = h
	} else if n := len(text); n > 1 && text[0] == '[' && text[n-1] == ']' {
		host = text[1 : n-1]
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	_, err := cua.Domain(host)
	return err == nil
}
