package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/snapshot"
)

// network is how a tool reaches the world: as a gateway with these egress settings would.
type network struct {
	dns   *resolver.Client
	guard *netguard.Guard
	roots *x509.CertPool // nil = the system's
}

func newNetwork(e snapshot.Egress) (*network, error) {
	n := &network{dns: resolver.New(resolver.Config{Server: e.Resolver})}
	if len(e.CABundle) > 0 {
		var err error
		if n.roots, err = x509.SystemCertPool(); err != nil {
			n.roots = x509.NewCertPool()
		}
		if !n.roots.AppendCertsFromPEM(e.CABundle) {
			return nil, errors.New("egress.caBundleRef: no certificate in it")
		}
	}
	n.guard = netguard.New(netguard.Config{PeerCIDRs: e.PeerCIDRs, BackendCIDRs: e.BackendCIDRs, Resolver: n.dns, Roots: n.roots})
	return n, nil
}

// readBundle reads a file of CA certificates, named by a flag.
func readBundle(flag, file string) ([]byte, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s %s: no certificate in it", flag, file)
	}
	return pem, nil
}
