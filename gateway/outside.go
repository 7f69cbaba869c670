package gateway

import (
	"crypto/x509"
	"fmt"
	"reflect"
	"sync/atomic"

	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/keys"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/snapshot"
)

// outside is what a generation reaches the world with. Its caches (DNS, keys, capabilities) are worth keeping, so
// generations that agree on how to get out share one.
type outside struct {
	egress    snapshot.Egress
	discovery snapshot.Discovery

	dns        *resolver.Client
	guard      *netguard.Guard
	discoverer *discovery.Discoverer
	keys       *keys.Lookup

	refs atomic.Int64 // generations
}

// outsideFor returns the current outside when s needs the same, or a new one. Called under applyMu, so the current
// generation holds its reference meanwhile.
func (g *Gateway) outsideFor(s *snapshot.Snapshot) (*outside, error) {
	egress, options := s.Gateway.Egress, s.Gateway.Discovery
	g.mu.RLock()
	current := g.current
	g.mu.RUnlock()
	if current != nil && reflect.DeepEqual(current.outside.egress, egress) && current.outside.discovery == options {
		current.outside.refs.Add(1)
		return current.outside, nil
	}
	roots, err := roots(egress.CABundle)
	if err != nil {
		return nil, fmt.Errorf("gateway.egress.caBundle: %w", err)
	}
	dns := resolver.New(resolver.Config{Server: egress.Resolver, Now: g.opt.Now})
	o := &outside{egress: egress, discovery: options, dns: dns}
	o.refs.Store(1)
	o.guard = netguard.New(netguard.Config{
		PeerCIDRs:    egress.PeerCIDRs,
		BackendCIDRs: egress.BackendCIDRs,
		Never:        g.opt.NeverAddrs,
		Roots:        roots,
		Resolver:     dns,
	})
	o.discoverer = discovery.New(discovery.Config{
		DNS:       dns,
		Guard:     o.guard,
		Options:   options,
		Now:       g.opt.Now,
		UserAgent: g.userAgent(),
	})
	o.keys = keys.New(keys.Config{DNS: dns, Guard: o.guard, Now: g.opt.Now})
	return o, nil
}

func (o *outside) release() {
	if o.refs.Add(-1) > 0 {
		return
	}
	o.discoverer.Close()
	o.keys.Close()
}

// roots are the system's and those of the bundle.
func roots(bundle []byte) (*x509.CertPool, error) {
	if len(bundle) == 0 {
		return nil, nil // the guard's default: the system's
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // an image without roots: the bundle is all there is
	}
	if !pool.AppendCertsFromPEM(bundle) {
		return nil, fmt.Errorf("no certificate in it")
	}
	return pool, nil
}
