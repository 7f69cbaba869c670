package netguard_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/calfed/calfed/gateway/netguard"
)

func ruleOf(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var refused *netguard.RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("err = %v, want *RefusedError", err)
	}
	return refused.Rule
}

// Proves: IS-DISC-10
func TestOnlyGloballyRoutableUnicast(t *testing.T) {
	tests := []struct{ addr, rule string }{
		{"93.184.216.34", ""},
		{"9.255.255.255", ""},
		{"11.0.0.0", ""},
		{"100.63.255.255", ""},
		{"100.128.0.0", ""},
		{"172.15.255.255", ""},
		{"172.32.0.0", ""},
		{"192.0.1.0", ""},
		{"198.17.255.255", ""},
		{"198.20.0.0", ""},
		{"223.255.255.255", ""},
		{"2606:4700::1", ""},
		{"2001:200::1", ""},
		{"2400::1", ""},
		{"3ffe::1", ""},

		{"0.0.0.0", "unspecified"},
		{"0.1.2.3", "unspecified"},
		{"10.0.0.1", "private"},
		{"10.255.255.255", "private"},
		{"100.64.0.1", "shared"},
		{"100.127.255.255", "shared"},
		{"127.0.0.1", "loopback"},
		{"127.255.255.254", "loopback"},
		{"169.254.1.1", "link-local"},
		{"172.16.0.1", "private"},
		{"172.31.255.255", "private"},
		{"192.0.0.8", "protocol-assignment"},
		{"192.0.2.1", "documentation"},
		{"192.31.196.1", "as112"},
		{"192.52.193.1", "amt"},
		{"192.88.99.1", "6to4"},
		{"192.168.1.1", "private"},
		{"192.175.48.1", "as112"},
		{"198.18.0.1", "benchmarking"},
		{"198.19.255.255", "benchmarking"},
		{"198.51.100.1", "documentation"},
		{"203.0.113.1", "documentation"},
		{"224.0.0.1", "multicast"},
		{"239.255.255.255", "multicast"},
		{"240.0.0.1", "reserved"},
		{"255.255.255.255", "broadcast"},

		{"::", "unspecified"},
		{"::1", "loopback"},
		{"::5db8:d822", "ipv4-compatible"},
		{"::ffff:93.184.216.34", "mapped"},
		{"::ffff:127.0.0.1", "mapped"},
		{"64:ff9b::5db8:d822", "nat64"},
		{"64:ff9b:1::1", "nat64"},
		{"100::1", "discard"},
		{"2001::1", "teredo"},
		{"2001:2::1", "protocol-assignment"},
		{"2001:20::1", "protocol-assignment"},
		{"2001:db8::1", "documentation"},
		{"2002:5db8:d822::1", "6to4"},
		{"2620:4f:8000::1", "as112"},
		{"3fff::1", "documentation"},
		{"5f00::1", "segment-routing"},
		{"fc00::1", "unique-local"},
		{"fd12:3456::1", "unique-local"},
		{"fe80::1", "link-local"},
		{"fe80::1%eth0", "zone"},
		{"2606:4700::1%eth0", "zone"},
		{"fec0::1", "site-local"},
		{"ff02::1", "multicast"},
		{"4000::1", "not-global-unicast"},
		{"1000::1", "not-global-unicast"},
		{"200::1", "not-global-unicast"},

		{"169.254.169.254", "metadata"},
		{"169.254.170.2", "metadata"},
		{"100.100.100.200", "metadata"},
		{"168.63.129.16", "metadata"},
		{"fd00:ec2::254", "metadata"},
	}
	g := netguard.New(netguard.Config{})
	for _, tt := range tests {
		for class, port := range map[netguard.Class]uint16{netguard.Peer: 443, netguard.Backend: 443, netguard.Mail: 25, netguard.NameServer: 53} {
			err := g.Check(class, netip.AddrPortFrom(netip.MustParseAddr(tt.addr), port))
			if got := ruleOf(t, err); got != tt.rule {
				t.Errorf("class %d: %s is refused by %q, want %q", class, tt.addr, got, tt.rule)
			}
		}
	}
	if got := ruleOf(t, g.Check(netguard.Peer, netip.AddrPort{})); got != "invalid" {
		t.Errorf("no address at all: %q", got)
	}
}

// Below 1024 a class reaches only the ports where its protocol is at home: no mail leaves to a web server, nor the reverse.
//
// Proves: IS-DISC-10
func TestPorts(t *testing.T) {
	g := netguard.New(netguard.Config{BackendCIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	for _, tt := range []struct {
		class   netguard.Class
		open    []uint16
		refused []uint16
	}{
		{netguard.Peer, []uint16{443, 1024, 8443, 65535}, []uint16{0, 22, 25, 80, 442, 444, 465, 587, 1023}},
		{netguard.Backend, []uint16{443, 1024, 8443, 65535}, []uint16{0, 22, 25, 80, 442, 444, 465, 587, 1023}},
		{netguard.NameServer, []uint16{53, 1024, 5353, 65535}, []uint16{0, 22, 25, 52, 54, 80, 443, 853, 1023}},
		{netguard.Mail, []uint16{25, 465, 587, 1024, 2525, 65535}, []uint16{0, 22, 24, 26, 80, 110, 143, 443, 464, 466, 586, 588, 993, 1023}},
	} {
		for rule, ports := range map[string][]uint16{"": tt.open, "port": tt.refused} {
			for _, port := range ports {
				if got := ruleOf(t, g.Check(tt.class, netip.AddrPortFrom(netip.MustParseAddr("93.184.216.34"), port))); got != rule {
					t.Errorf("class %d: port %d is refused by %q, want %q", tt.class, port, got, rule)
				}
			}
		}
	}
	for _, port := range []uint16{22, 80} { // a permitted block opens addresses, no ports
		if got := ruleOf(t, g.Check(netguard.Backend, netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), port))); got != "port" {
			t.Errorf("port %d is refused by %q", port, got)
		}
	}
}

// Proves: IS-DISC-10
func TestEachClassHasItsOwnCIDRs(t *testing.T) {
	g := netguard.New(netguard.Config{
		PeerCIDRs:    []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24")},
		BackendCIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
	})
	tests := []struct {
		class      netguard.Class
		addr, rule string
	}{
		{netguard.Peer, "192.168.7.1", ""},
		{netguard.Peer, "192.168.8.1", "private"},
		{netguard.Peer, "10.0.0.1", "private"},
		{netguard.Peer, "93.184.216.34", ""},
		{netguard.Backend, "10.0.0.1", ""},
		{netguard.Backend, "fd00::1", ""},
		{netguard.Backend, "192.168.7.1", "private"},
		{netguard.Backend, "93.184.216.34", ""},
		{netguard.Mail, "10.0.0.1", ""},
		{netguard.NameServer, "10.0.0.1", ""},
		{netguard.NameServer, "192.168.7.1", "private"},
		{netguard.Mail, "fd00::1", ""},
		{netguard.Mail, "192.168.7.1", "private"},
		{netguard.Mail, "93.184.216.34", ""},
	}
	for _, tt := range tests {
		if got := ruleOf(t, g.Check(tt.class, netip.AddrPortFrom(netip.MustParseAddr(tt.addr), 2443))); got != tt.rule {
			t.Errorf("class %d: %s is refused by %q, want %q", tt.class, tt.addr, got, tt.rule)
		}
	}
}

// Proves: IS-DISC-10
func TestSomeAddressesNeverWhateverIsPermitted(t *testing.T) {
	all := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	g := netguard.New(netguard.Config{
		PeerCIDRs: all, BackendCIDRs: all,
		Never: []netip.Addr{netip.MustParseAddr("10.96.0.1"), netip.MustParseAddr("::ffff:10.96.0.2"), {}},
	})
	for addr, rule := range map[string]string{
		"10.96.0.1":                "never",
		"10.96.0.2":                "never",
		"10.96.0.3":                "",
		"169.254.169.254":          "metadata",
		"169.254.170.2":            "metadata",
		"169.254.170.23":           "metadata",
		"100.100.100.200":          "metadata",
		"168.63.129.16":            "metadata",
		"192.0.0.192":              "metadata",
		"fd00:ec2::254":            "metadata",
		"fd00:ec2::23":             "metadata",
		"fd20:ce::254":             "metadata",
		"64:ff9b::169.254.169.254": "metadata", // through a NAT64 gateway
		"64:ff9b::10.96.0.1":       "never",
		"64:ff9b::10.96.0.3":       "",
		"2002:a9fe:a9fe::1":        "metadata", // through a 6to4 relay
		"::169.254.169.254":        "metadata",
		"::ffff:169.254.169.254":   "mapped",
		"::ffff:10.96.0.3":         "mapped",
		"fe80::1%eth0":             "zone",
	} {
		for _, class := range []netguard.Class{netguard.Peer, netguard.Backend, netguard.Mail, netguard.NameServer} {
			err := g.Check(class, netip.AddrPortFrom(netip.MustParseAddr(addr), 8443))
			if got := ruleOf(t, err); got != rule {
				t.Errorf("class %d: %s is refused by %q, want %q", class, addr, got, rule)
			}
		}
	}
}
