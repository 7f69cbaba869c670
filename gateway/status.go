package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

// StatusTLS gives the certificate of the status listener, and the authority whose client certificates are let in.
type StatusTLS func() (tls.Certificate, *x509.CertPool, error)

// config asks anew for every handshake: certificates are replaced while the gateway runs. No ticket outlives one.
func (s StatusTLS) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			certificate, clients, err := s()
			if err != nil {
				return nil, err
			}
			return &tls.Config{
				MinVersion:             tls.VersionTLS13,
				NextProtos:             []string{"h2", "http/1.1"},
				Certificates:           []tls.Certificate{certificate},
				ClientAuth:             tls.RequireAndVerifyClientCert,
				ClientCAs:              clients,
				SessionTicketsDisabled: true,
			}, nil
		},
	}
}

const (
	maxReaching  = 4
	reachTimeout = 15 * time.Second
	maxProblem   = 500 // octets
	maxSeen      = 250 // octets of it, so that there is room for what to do
)

// statusHandler serves what the control plane asks.
func (g *Gateway) statusHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, g.podStatus()) })
	mux.HandleFunc("POST /backend", g.serveBackend)
	return mux
}

func (g *Gateway) podStatus() snapshot.PodStatus {
	if g.opt.Status == nil {
		return snapshot.PodStatus{}
	}
	return g.opt.Status()
}

// serveBackend tries to reach the back end of a domain.
func (g *Gateway) serveBackend(w http.ResponseWriter, req *http.Request) {
	gen := g.acquire()
	if gen == nil {
		http.Error(w, errNoSnapshot.Error(), http.StatusServiceUnavailable)
		return
	}
	defer gen.release()
	domain := req.URL.Query().Get("domain")
	b, ok := gen.backends.ByDomain[domain]
	if !ok {
		http.Error(w, "no such domain", http.StatusNotFound)
		return
	}
	select {
	case g.reaching <- struct{}{}:
		defer func() { <-g.reaching }()
	default:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many at once", http.StatusTooManyRequests)
		return
	}
	ctx, cancel := context.WithTimeout(req.Context(), reachTimeout)
	defer cancel()
	writeJSON(w, http.StatusOK, report(domain, reach(ctx, b)))
}

// reach tries a back end; one that cannot be tried is none that a resource can ask for.
func reach(ctx context.Context, b backend.Backend) backend.Check {
	if r, ok := b.(backend.Reacher); ok {
		return r.Reach(ctx)
	}
	return backend.Check{Name: "connect", Seen: "this kind of back end cannot be tried", Cause: "send a message with calfed send"}
}

func report(domain string, c backend.Check) snapshot.BackendReport {
	out := snapshot.BackendReport{Domain: domain, OK: c.OK}
	if !c.OK {
		out.Problem = ischedule.OneLine(strings.Join([]string{c.Name, ischedule.OneLine(c.Seen, maxSeen), c.Cause}, ": "), maxProblem)
	}
	return out
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
