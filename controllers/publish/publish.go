// Package publish writes DNS records: as DNSEndpoint objects for external-dns, and by dynamic update to a name server (RFC 2136,
// TSIG of RFC 8945).
package publish

import (
	_ "github.com/miekg/dns"
)
