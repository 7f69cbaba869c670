// Package netguard is the only way out: every outgoing TCP connection of the data plane is made here,
// and the address actually connected to is checked against the address rules of IS-DISC-10.
package netguard

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// Class says who chose the target.
type Class int

const (
	Peer    Class = iota // discovered: egress.peerCIDRs
	Backend              // configured: egress.backendCIDRs
)

// Resolver finds the addresses of a host name.
type Resolver interface {
	LookupAddrs(ctx context.Context, host string) ([]netip.Addr, error)
}

// Config of a Guard; the zero value allows globally routable unicast only, with the system roots.
type Config struct {
	PeerCIDRs    []netip.Prefix
	BackendCIDRs []netip.Prefix
	Never        []netip.Addr // API server addresses; metadata addresses are built in
	Roots        *x509.CertPool
	Resolver     Resolver      // nil = the system's
	DialTimeout  time.Duration // 0 = 10 s
}

// Guard makes outgoing connections. Safe for concurrent use.
type Guard struct{ cfg Config }

// New makes a Guard.
func New(cfg Config) *Guard { return &Guard{cfg: cfg} }

// RefusedError is an address that the rules forbid.
type RefusedError struct {
	Address netip.AddrPort
	Rule    string // "loopback", "private", "port", …
}

func (e *RefusedError) Error() string { panic("CONTRACT STUB") }

// Check applies the rules to one address.
func (g *Guard) Check(class Class, addr netip.AddrPort) error { panic("CONTRACT STUB") }

// DialContext returns a dial function for the class: resolves, tries the addresses in turn (those allowed), checks the
// address actually connected to. The error tells refused (*RefusedError) from unreachable.
func (g *Guard) DialContext(class Class) func(ctx context.Context, network, addr string) (net.Conn, error) {
	panic("CONTRACT STUB")
}

// TLS says how a server proves who it is (IS-DISC-9); the zero value verifies the host name against the roots.
type TLS struct {
	Names             []string       // reference identities beside the host name: SRV source domains (SRV-ID _ischedules.NAME or DNS-ID)
	Service           string         // SRV-ID service label for Names, "_ischedules"
	OnlyNames         bool           // requireSecureIdentity SourceName: the host name itself does not count
	Roots             *x509.CertPool // in place of the guard's
	PinnedSPKI        []string       // hex SHA-256; one must match
	ClientCertificate *tls.Certificate
}

// Transport returns an HTTP transport for the class: HTTP/1.1 and HTTP/2, no proxy, bounded header, idle and
// response-header times. Redirects are the caller's: it has no client.
func (g *Guard) Transport(class Class, t TLS) *http.Transport { panic("CONTRACT STUB") }
