// Package gateway wires the data plane: it makes the parts that each snapshot needs, swaps them in atomically, opens the
// public, submit, smtp and admin listeners, says whether it is ready, counts, and drains without losing a request.
//
// It decides nothing about messages (receiver, sender and submission do) and reads no files: snapshots are given to Apply.
// README.md beside this file is the manual.
package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/backend/caldav"
	"github.com/calfed/calfed/gateway/echo"
	"github.com/calfed/calfed/gateway/receiver"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/snapshot"
	"github.com/calfed/calfed/gateway/submission"
	"github.com/calfed/calfed/gateway/submission/mail"
)

// Options of a Gateway.
type Options struct {
	// host:port; "" = not served; ":0" works, see Addrs
	PublicAddr, SubmitAddr, SMTPAddr, AdminAddr, StatusAddr string

	StatusTLS StatusTLS                 // asked at every handshake of the status listener; needed with StatusAddr
	Status    func() snapshot.PodStatus // what the source of snapshots knows; Version and Ready are filled in here; nil = nothing

	Memory       map[string]backend.Backend // back ends of type Memory, by domain: demo and tests; never closed here
	NeverAddrs   []netip.Addr               // where no connection may lead, whatever the snapshot says: the API server (IS-DISC-10)
	DrainDelay   time.Duration              // between failing /readyz and closing the listeners; 0 = none
	DrainTimeout time.Duration              // for requests in flight, and mail; 0 = 25 s
	Now          func() time.Time           // nil = time.Now
	Log          *slog.Logger               // nil = discard
	Version      string                     // for User-Agent and metrics; "" = "dev"
}

// Gateway serves one snapshot at a time. Safe for concurrent use.
type Gateway struct {
	opt Options
	log *slog.Logger

	// what outlives a generation
	metrics       *metrics
	shared        *receiver.Shared
	senderMetrics *sender.Metrics
	mailMetrics   *mail.Metrics
	submitters    *submission.Shared
	echoes        *echo.Memory
	answers       *caldav.Watch
	reaching      chan struct{} // has room for so many tests of back ends at once

	applyMu sync.Mutex // one Apply at a time

	mu           sync.RWMutex
	current      *generation
	appliedAt    time.Time
	staleBecause string
	fronts       []listener // those bounded by the snapshot
	addrs        Addrs

	started  chan struct{}
	draining atomic.Int32
}

// New makes a Gateway that serves nothing yet.
func New(opt Options) *Gateway {
	if opt.DrainTimeout == 0 {
		opt.DrainTimeout = 25 * time.Second
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Version == "" {
		opt.Version = "dev"
	}
	m := newMetrics(opt.Version)
	return &Gateway{
		opt:           opt,
		log:           opt.Log,
		metrics:       m,
		shared:        &receiver.Shared{Metrics: receiver.NewMetrics(m.registry)},
		senderMetrics: sender.NewMetrics(m.registry),
		mailMetrics:   mail.NewMetrics(m.registry),
		submitters:    &submission.Shared{},
		echoes:        echo.New(opt.Now),
		answers:       caldav.NewWatch(caldav.WatchConfig{Registerer: m.registry, Now: opt.Now, Log: opt.Log}),
		reaching:      make(chan struct{}, maxReaching),
		started:       make(chan struct{}),
	}
}

// Registerer takes metrics that /metrics shall show beside the gateway's own.
func (g *Gateway) Registerer() prometheus.Registerer { return g.metrics.registry }

// userAgent is what we call ourselves; it is signed, so it holds no ", ".
func (g *Gateway) userAgent() string { return "calfed/" + g.opt.Version }

// errClosed is about a snapshot that comes when the gateway has ended.
var errClosed = errors.New("the gateway is shutting down")

// Apply validates s, makes its parts, and swaps them in; requests in flight finish on the old ones, which are closed
// when the last of these ends. On error the last good snapshot stays.
func (g *Gateway) Apply(s *snapshot.Snapshot) error {
	g.applyMu.Lock()
	defer g.applyMu.Unlock()
	if g.phase() == phaseClosed {
		return errClosed
	}
	gen, err := g.newGeneration(s)
	if err != nil {
		g.metrics.rejected.Inc()
		return fmt.Errorf("snapshot refused: %w", err)
	}
	now := g.opt.Now()
	g.mu.Lock()
	old := g.current
	g.current, g.appliedAt, g.staleBecause = gen, now, ""
	for _, f := range g.fronts {
		f.bound(&s.Gateway.Limits)
	}
	g.mu.Unlock()
	g.metrics.serving(s, gen.public.Certificates[0].Leaf, float64(now.UnixNano())/1e9)
	g.metrics.stale.Set(0)
	if s.Gateway.Submission.SMTP != nil && g.opt.SMTPAddr == "" {
		g.log.Warn("mail is asked for, and there is no smtp listener: none is taken", "field", "spec.submission.smtp", "remedy", "--smtp-addr")
	}
	if old != nil {
		old.backends.stopWatching(gen.backends)
		old.release()
	}
	g.watchAnswers()
	g.log.Info("snapshot applied", "gateway", s.Gateway.Name, "domains", len(s.Domains), "policies", len(s.Policies),
		"capabilities-serial", s.Gateway.Capabilities.Serial)
	return nil
}

// Stale says that there is a newer configuration which is not served, and why: /readyz and a metric show it until
// the next Apply. "" takes it back.
func (g *Gateway) Stale(because string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.staleBecause = because
	if because == "" {
		g.metrics.stale.Set(0)
		return
	}
	g.metrics.stale.Set(1)
}
