package infra

import "net/netip"

var (
	allIPv4    = netip.MustParsePrefix("0.0.0.0/0")
	globalIPv6 = netip.MustParsePrefix("2000::/3") // private, link-local and metadata addresses lie outside
)

// privateNetworks are where calendar systems of one's own live (RFC 1918, RFC 6598, RFC 4193).
var privateNetworks = prefixes("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")

// notPublic is what no peer lives in: private, special and metadata addresses of IPv4.
var notPublic = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
)

// metadata are where clouds hand out credentials; netguard knows them too, and what each is.
var metadata = prefixes(
	"169.254.169.254/32", "169.254.170.2/32", "169.254.170.23/32", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",
	"fd00:ec2::254/128", "fd00:ec2::23/128", "fd20:ce::254/128",
)

func prefixes(cidrs ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(cidrs))
	for i, s := range cidrs {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}
