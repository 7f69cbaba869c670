package netguard

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// TLS says how a server proves who it is (IS-DISC-9); the zero value verifies the host name against the roots.
type TLS struct {
	Names             []string       // reference identities beside the host name: SRV source domains (SRV-ID _ischedules.NAME or DNS-ID)
	Service           string         // SRV-ID service label for Names, "_ischedules"; "" = SRV-IDs do not count
	OnlyNames         bool           // requireSecureIdentity SourceName: the host name itself does not count
	Roots             *x509.CertPool // in place of the guard's
	PinnedSPKI        []string       // hex SHA-256; one must match, beside the chain
	ClientCertificate *tls.Certificate
}

// What a connection may cost. Callers give each request its own, shorter deadline.
const (
	maxResponseHeader = 64 << 10
	maxIdleConns      = 256
	maxIdlePerHost    = 8
	idleTimeout       = 30 * time.Second // servers close theirs after a minute or so: a POST that meets that cannot be sent again
	headerTimeout     = 2 * time.Minute
	pingAfter         = 10 * time.Second // HTTP/2: without a frame; a server without power is noticed after 15 s
	pingTimeout       = 5 * time.Second
)

// Transport returns an HTTP transport for the class: HTTP/1.1 and HTTP/2, no proxy, bounded header, idle and
// response-header times. Redirects are the caller's: it has no client. Plain http is connected to when asked for:
// whether it may be is the caller's rule as well.
func (g *Guard) Transport(class Class, t TLS) *http.Transport {
	dial := g.DialContext(class)
	return &http.Transport{
		DialContext: dial,
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			host, _, err := net.SplitHostPort(addr)
			if err != nil {
				_ = conn.Close()
				return nil, err
			}
			return g.Handshake(ctx, conn, strings.TrimSuffix(host, "."), t, "h2", "http/1.1")
		},
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // a bounded body stays bounded
		MaxResponseHeaderBytes: maxResponseHeader,
		MaxIdleConns:           maxIdleConns,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        idleTimeout,
		ResponseHeaderTimeout:  headerTimeout,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
}

// Handshake makes a TLS connection of conn to a server that has to prove that it is host, or what else t says. Protocols
// are those of ALPN. It closes conn on failure.
func (g *Guard) Handshake(ctx context.Context, conn net.Conn, host string, t TLS, protocols ...string) (net.Conn, error) {
	if t.Roots == nil {
		t.Roots = g.cfg.Roots
	}
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS12,
		ServerName: host, // SNI
		NextProtos: protocols,
		// crypto/tls can check one name only, and no SRV-ID. So it is told to leave verification alone, and
		// VerifyConnection does all of it, chain included. No ClientSessionCache is set: there is no resumption, and
		// VerifyConnection would run on resumed connections as well.
		InsecureSkipVerify: true,
		VerifyConnection:   func(cs tls.ConnectionState) error { return t.verify(cs.PeerCertificates, host) },
	}
	if t.ClientCertificate != nil {
		cfg.Certificates = []tls.Certificate{*t.ClientCertificate}
	}
	ctx, cancel := context.WithTimeout(ctx, g.cfg.DialTimeout)
	defer cancel()
	c := tls.Client(conn, cfg)
	if err := c.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("TLS with %s: %w", host, err)
	}
	return c, nil
}
