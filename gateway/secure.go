package gateway

import (
	"crypto/tls"
	"errors"
	"io"
	"net"

	"github.com/calfed/calfed/gateway/snapshot"
)

// recordTypeHandshake is the first byte of every TLS connection (RFC 8446 §5.1) and of no HTTP request.
const recordTypeHandshake = 22

// errNoSnapshot ends a handshake that comes before there is a certificate.
var errNoSnapshot = errors.New("no snapshot applied yet")

// always speaks TLS: the public listener.
func always(cfg *tls.Config) func(*countedConn) (net.Conn, error) {
	return func(conn *countedConn) (net.Conn, error) { return tls.Server(conn, cfg), nil }
}

// whenAsked speaks TLS when the client's first byte does: the submit listener. Plain HTTP is for loopback alone; the
// submission.Handler refuses the rest, where it can say why.
func whenAsked(cfg *tls.Config) func(*countedConn) (net.Conn, error) {
	return func(conn *countedConn) (net.Conn, error) {
		peeked := &peekedConn{countedConn: conn}
		if _, err := io.ReadFull(conn, peeked.first[:]); err != nil {
			return nil, err
		}
		if peeked.first[0] == recordTypeHandshake {
			return tls.Server(peeked, cfg), nil
		}
		return peeked, nil
	}
}

// peekedConn gives back the byte that was looked at.
type peekedConn struct {
	*countedConn
	first [1]byte
	given bool
}

func (c *peekedConn) Read(p []byte) (int, error) {
	if c.given || len(p) == 0 {
		return c.countedConn.Read(p)
	}
	c.given = true
	return copy(p, c.first[:]), nil
}

// listenerTLS is the configuration of a listener: everything but the ticket keys comes from the generation that serves when a
// handshake begins, by way of pick.
func (g *Gateway) listenerTLS(pick func(*generation) *tls.Config) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			gen := g.acquire()
			if gen == nil {
				return nil, errNoSnapshot
			}
			defer gen.release()
			return pick(gen), nil
		},
	}
}

// serverTLS is what one generation offers to its clients.
func serverTLS(gw *snapshot.Gateway, certificate tls.Certificate, clientAuth tls.ClientAuthType) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS12,
		NextProtos:             []string{"h2", "http/1.1"},
		Certificates:           []tls.Certificate{certificate},
		ClientAuth:             clientAuth,
		SessionTicketsDisabled: gw.NoTickets, // peer-quirks: Cyrus as a client hangs on tickets
	}
}
