package controllers

import (
	"context"
	"log/slog"
	"net"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/calfed/calfed/gateway/probe"
)

// Options of the operator.
type Options struct {
	Image      string           // of the gateway pods; the operator's own, normally
	Namespaces []string         // watched; empty = all
	APIServer  []netip.AddrPort // where pods reach the API server, for NetworkPolicies

	Prober    Prober    // looks at domains from outside
	Authority Authority // asks authoritative name servers
	Dial      Dial      // leads to name servers that take updates

	// Leading is asked when somebody else wrote a snapshot: an error means that another operator leads now. nil = there is none.
	Leading func(context.Context) error

	Metrics prometheus.Registerer // nil = none
	Clock   clock.WithTicker      // nil = the real one
	Log     *slog.Logger
}

// Prober looks at a domain from outside; *probe.Prober implements it.
type Prober interface {
	Probe(ctx context.Context, t probe.Target) *probe.Report
}

// Authority asks the authoritative servers of a name; *probe.Authority implements it.
type Authority interface {
	Lookup(ctx context.Context, name, rrtype string) (*probe.Answers, error)
}

// Dial opens a connection, udp or tcp, to a name server that a FederatedDomain names; it refuses addresses that no tenant may
// reach (IS-DISC-10).
type Dial func(ctx context.Context, network, address string) (net.Conn, error)
