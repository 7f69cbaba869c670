package netguard

import "net/netip"

// rule is one block that is not globally routable unicast.
type rule struct {
	prefix netip.Prefix
	name   string
}

// special are the blocks of the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its updates), the
// multicast and reserved ones, and the forms that carry an IPv4 address inside an IPv6 one. Blocks that the
// registries call reachable but that only hold infrastructure (AS112, AMT, anycast) are here too: no calendar
// service lives there. IPv6 outside 2000::/3 is refused as a whole, so only names for it are listed.
var special = [...]rule{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared"}, // carrier-grade NAT, RFC 6598
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "protocol-assignment"},
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation"},
	{netip.MustParsePrefix("192.31.196.0/24"), "as112"},
	{netip.MustParsePrefix("192.52.193.0/24"), "amt"},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("192.175.48.0/24"), "as112"},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmarking"},
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("255.255.255.255/32"), "broadcast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},

	{netip.MustParsePrefix("::/128"), "unspecified"},
	{netip.MustParsePrefix("::1/128"), "loopback"},
	{netip.MustParsePrefix("::/96"), "ipv4-compatible"},
	{netip.MustParsePrefix("64:ff9b::/96"), "nat64"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "nat64"},
	{netip.MustParsePrefix("100::/64"), "discard"},
	{netip.MustParsePrefix("2001::/32"), "teredo"},
	{netip.MustParsePrefix("2001::/23"), "protocol-assignment"}, // ORCHID, benchmarking, …
	{netip.MustParsePrefix("2001:db8::/32"), "documentation"},
	{netip.MustParsePrefix("2002::/16"), "6to4"},
	{netip.MustParsePrefix("2620:4f:8000::/48"), "as112"},
	{netip.MustParsePrefix("3fff::/20"), "documentation"},
	{netip.MustParsePrefix("5f00::/16"), "segment-routing"},
	{netip.MustParsePrefix("fc00::/7"), "unique-local"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("fec0::/10"), "site-local"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

var (
	globalIPv6 = netip.MustParsePrefix("2000::/3")
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
	compatible = netip.MustParsePrefix("::/96")
	sixToFour  = netip.MustParsePrefix("2002::/16")
)

// metadata are the addresses at which clouds hand out credentials, or steer the machine: never, whatever CIDRs say.
func metadata() []netip.Addr {
	return []netip.Addr{
		netip.AddrFrom4([4]byte{169, 254, 169, 254}), // AWS, Azure, Google, OpenStack, Oracle, DigitalOcean, …
		netip.AddrFrom4([4]byte{169, 254, 170, 2}),   // AWS ECS task credentials
		netip.AddrFrom4([4]byte{169, 254, 170, 23}),  // AWS EKS pod identity
		netip.AddrFrom4([4]byte{100, 100, 100, 200}), // Alibaba
		netip.AddrFrom4([4]byte{168, 63, 129, 16}),   // Azure host, in a routable block
		netip.AddrFrom4([4]byte{192, 0, 0, 192}),     // Oracle
		netip.MustParseAddr("fd00:ec2::254"),         // AWS
		netip.MustParseAddr("fd00:ec2::23"),          // AWS EKS pod identity
		netip.MustParseAddr("fd20:ce::254"),          // Google
	}
}

// Check applies the rules to one address. IS-DISC-10.
func (g *Guard) Check(class Class, addr netip.AddrPort) error {
	if rule := g.refusal(class, addr); rule != "" {
		return &RefusedError{Address: addr, Rule: rule}
	}
	return nil
}

// refusal is the name of the rule that forbids the address, "" when none does.
func (g *Guard) refusal(class Class, addr netip.AddrPort) string {
	a := addr.Addr()
	switch {
	case !a.IsValid():
		return "invalid"
	case a.Zone() != "":
		return "zone"
	case a.Is4In6():
		return "mapped" // a second spelling of an IPv4 address; nobody needs it, and rules get lost in it
	}
	for _, a := range []netip.Addr{a, embedded(a)} {
		if rule := g.never[a]; rule != "" {
			return rule
		}
	}
	if !class.takesPort(addr.Port()) {
		return "port"
	}
	rule := notGlobal(a)
	if rule == "" {
		return ""
	}
	permitted := g.cfg.PeerCIDRs
	if class != Peer {
		permitted = g.cfg.BackendCIDRs
	}
	for _, p := range permitted {
		if p.Contains(a) {
			return ""
		}
	}
	return rule
}

// takesPort says whether targets of the class may listen there: below 1024 only where the protocol is at home.
func (c Class) takesPort(port uint16) bool {
	switch {
	case port >= 1024:
		return true
	case c == Mail:
		return port == 25 || port == 465 || port == 587
	case c == NameServer:
		return port == 53
	default:
		return port == 443
	}
}

// notGlobal is the name of the special block that a is in, "" for globally routable unicast.
func notGlobal(a netip.Addr) string {
	for _, r := range special {
		if r.prefix.Contains(a) {
			return r.name
		}
	}
	if a.Is6() && !globalIPv6.Contains(a) {
		return "not-global-unicast"
	}
	return ""
}

// embedded is the IPv4 address that a translator or tunnel would make of a: a permitted NAT64 prefix must not lead
// to a metadata service. The zero Addr when there is none.
func embedded(a netip.Addr) netip.Addr {
	b := a.As16()
	switch {
	case !a.Is6():
	case nat64.Contains(a), compatible.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return netip.Addr{}
}
