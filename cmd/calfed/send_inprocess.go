package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/controllers/manifests"
	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/snapshot"
)

// sendInProcess compiles the folders and sends as a gateway with that configuration would. Recipients at domains of
// that gateway need the gateway itself: their back ends are its business (5.2).
func sendInProcess(ctx context.Context, dirs []string, req *ischedule.Request) (*ischedule.Response, error) {
	active, err := activate(dirs, req.Originator.Domain())
	if err != nil {
		return nil, err
	}
	domain, _ := active.Domain(req.Originator.Domain())
	egress := active.Snapshot.Gateway.Egress
	guard := netguard.Config{PeerCIDRs: egress.PeerCIDRs, BackendCIDRs: egress.BackendCIDRs}
	dns := resolver.New(resolver.Config{Server: egress.Resolver})
	guard.Resolver = dns
	if len(egress.CABundle) > 0 {
		if guard.Roots, err = x509.SystemCertPool(); err != nil {
			guard.Roots = x509.NewCertPool()
		}
		if !guard.Roots.AppendCertsFromPEM(egress.CABundle) {
			return nil, errors.New("egress.caBundleRef: no certificate in it")
		}
	}
	agent := "calfed/" + version
	finder := discovery.New(discovery.Config{
		DNS: dns, Guard: netguard.New(guard), Options: active.Snapshot.Gateway.Discovery, UserAgent: agent,
	})
	defer finder.Close()
	s, err := sender.New(sender.Config{Active: active, Finder: finder, UserAgent: agent})
	if err != nil {
		return nil, err
	}
	answer, refusal := s.Send(ctx, &sender.Submission{Submitter: "calfed send", Domain: domain, Request: req})
	if refusal != nil {
		return nil, refusal
	}
	return answer, nil
}

// activate compiles folders and returns the configuration of the gateway that serves domain.
func activate(dirs []string, domain string) (*snapshot.Active, error) {
	c, err := compileManifests(dirs, compile.CapabilityState{}, time.Now())
	if err != nil {
		return nil, err
	}
	for _, p := range c.problems {
		if p.Severity == manifests.SeverityError {
			return nil, fmt.Errorf("%d errors in --manifests, see `calfed lint`; the first: %s", c.errors(), p)
		}
	}
	for _, out := range c.outputs {
		if out.Snapshot == nil {
			continue
		}
		active, err := snapshot.Activate(out.Snapshot)
		if err != nil {
			return nil, err
		}
		if _, serves := active.Domain(domain); serves {
			return active, nil
		}
	}
	return nil, fmt.Errorf("no FederatedDomain in --manifests is the Originator's domain, %s", domain)
}
