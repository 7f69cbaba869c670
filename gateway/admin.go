package gateway

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// adminHandler serves what operators and orchestrators ask.
func (g *Gateway) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(g.metrics.registry, promhttp.HandlerOpts{Registry: g.metrics.registry, MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", g.serveReady)
	return mux
}

// readiness is the body of /readyz.
type readiness struct {
	Ready  bool   `json:"ready"`
	Reason string `json:"reason,omitempty"` // why not
	// Stale says why the newest configuration is not the one served. It does not make the gateway unready: the last good
	// one is.
	Stale     string    `json:"stale,omitempty"`
	Gateway   string    `json:"gateway,omitempty"`
	Serial    uint64    `json:"capabilitiesSerial,omitempty"`
	AppliedAt time.Time `json:"appliedAt,omitzero"`
}

func (g *Gateway) readiness() readiness {
	g.mu.RLock()
	defer g.mu.RUnlock()
	r := readiness{Stale: g.staleBecause}
	if g.current != nil {
		gw := &g.current.active.Snapshot.Gateway
		r.Gateway, r.Serial, r.AppliedAt = gw.Name, gw.Capabilities.Serial, g.appliedAt
	}
	switch {
	case g.phase() != phaseServing:
		r.Reason = "draining: the gateway is shutting down"
	case g.current == nil:
		r.Reason = "no snapshot applied yet"
	case !g.isStarted():
		r.Reason = "listeners are not open yet"
	default:
		r.Ready = true
	}
	return r
}

func (g *Gateway) serveReady(w http.ResponseWriter, _ *http.Request) {
	r := g.readiness()
	status := http.StatusOK
	if !r.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, r)
}
