package gateway

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/snapshot"
	"github.com/calfed/calfed/gateway/submission/mail"
)

// mailHandler makes what takes mail in one generation; nil when the snapshot takes none. IS-SUB-2.
func (g *Gateway) mailHandler(gen *generation) (*mail.Handler, error) {
	smtp := gen.active.Snapshot.Gateway.Submission.SMTP
	if smtp == nil {
		return nil, nil
	}
	cfg := mail.Config{
		Active: gen.active, Auth: gen.submit, Outbound: gen.sender, Inbound: gen.receiver,
		Verifier: &imip.Verifier{LookupTXT: gen.lookupTXT, AuthservID: smtp.AuthservID, Now: g.opt.Now},
		Metrics:  g.mailMetrics,
		Now:      g.opt.Now, Log: g.log,
	}
	if gen.backends.Smarthost != nil {
		cfg.Relay = gen.backends.Smarthost
	}
	return mail.New(cfg)
}

// lookupTXT gives each record's strings joined, as mail's DKIM and DMARC want them.
func (gen *generation) lookupTXT(ctx context.Context, name string) ([]string, error) {
	records, _, err := gen.outside.dns.LookupTXT(ctx, name)
	if err != nil {
		return nil, err
	}
	joined := make([]string, len(records))
	for i, parts := range records {
		for _, p := range parts {
			joined[i] += p
		}
	}
	return joined, nil
}

// mailFront is the smtp listener and the server behind it, which stays over all generations.
type mailFront struct {
	door   *door
	server *mail.Server
	ended  chan struct{} // closed when nothing is accepted any more
}

func (g *Gateway) newMailFront(ln net.Listener) *mailFront {
	offered := g.listenerTLS(func(gen *generation) *tls.Config { return gen.mailTLS })
	return &mailFront{
		door: newDoor(listenerSMTP, ln, g.metrics, g.log),
		server: mail.NewServer(mail.ServerConfig{
			Source: g.currentMail, TLS: func() *tls.Config { return offered }, Log: g.log,
		}),
		ended: make(chan struct{}),
	}
}

// currentMail holds the generation for the time of one mail.
func (g *Gateway) currentMail() (h *mail.Handler, release func()) {
	gen := g.acquire()
	if gen == nil {
		return nil, func() {}
	}
	return gen.mail, gen.release
}

// bound sets no limit per source: as the submit listener, it serves a few, each from one address.
func (f *mailFront) bound(l *snapshot.Limits) { f.door.limits.set(l.MaxConnections, 0) }

func (f *mailFront) start() {
	go func() {
		defer close(f.ended)
		_ = f.server.Serve(f.door) // a door fails by being closed only
	}()
}

func (f *mailFront) shutdown(ctx context.Context) error {
	err := f.server.Shutdown(ctx)
	<-f.ended
	return err
}
