package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/calfed/calfed/gateway/snapshot"
)

// Addrs are the addresses listened on; nil where nothing is.
type Addrs struct{ Public, Submit, SMTP, Admin, Status net.Addr }

// Started is closed when all listeners are open.
func (g *Gateway) Started() <-chan struct{} { return g.started }

func (g *Gateway) isStarted() bool {
	select {
	case <-g.started:
		return true
	default:
		return false
	}
}

// Addrs returns the listeners' addresses, once Started is closed.
func (g *Gateway) Addrs() Addrs {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.addrs
}

// The phases of a gateway's life, in order.
const (
	phaseServing int32 = iota
	phaseLeaving       // /readyz fails, everything is still served
	phaseClosed        // nothing new is
)

func (g *Gateway) phase() int32 { return g.draining.Load() }

// The bounds of listeners before the first snapshot, and of the admin and status listeners always.
var (
	firstLimits = snapshot.Limits{
		MaxConnections: 1000, MaxConnsPerSource: 100, MaxHeaderBytes: 32 << 10,
		HeaderTimeout: 10 * time.Second, BodyTimeout: 30 * time.Second, DeliveryTimeout: 30 * time.Second,
	}
	adminLimits = snapshot.Limits{
		MaxConnections: 100, MaxHeaderBytes: 16 << 10,
		HeaderTimeout: 5 * time.Second, BodyTimeout: 5 * time.Second, DeliveryTimeout: 30 * time.Second,
	}
)

// bound applies limits to a listener. Those per source are for strangers: the submit listener serves a calendar server
// or two, each from one address.
func (f *front) bound(l *snapshot.Limits) {
	perSource := l.MaxConnsPerSource
	if f.door.name != listenerPublic {
		perSource = 0
	}
	f.door.limits.set(l.MaxConnections, perSource)
	f.configure(settings{
		headerTimeout:  l.HeaderTimeout,
		writeTimeout:   l.HeaderTimeout + l.BodyTimeout + l.DeliveryTimeout + 30*time.Second,
		maxHeaderBytes: l.MaxHeaderBytes,
	})
}

// The listeners, as metrics and log call them.
const (
	listenerPublic = "public"
	listenerSubmit = "submit"
	listenerSMTP   = "smtp"
	listenerAdmin  = "admin"
	listenerStatus = "status"
)

// listener is one socket with what serves behind it: a front, or a mailFront.
type listener interface {
	bound(l *snapshot.Limits)
	start()
	shutdown(ctx context.Context) error // accepts no more, waits for what is under way until ctx ends, then cuts it
}

// Run opens the listeners and serves until ctx ends, then drains: /readyz fails at once; after DrainDelay nothing is
// accepted any more; requests in flight get DrainTimeout. It needs no snapshot to start: /readyz says 503 and the
// resources answer 503 until the first Apply. Run may be called once. It returns nil after a drain that lost nothing.
func (g *Gateway) Run(ctx context.Context) error {
	serving, inside, err := g.open(ctx)
	if err != nil {
		return err
	}
	g.applyMu.Lock()
	close(g.started)
	g.watchAnswers()
	g.applyMu.Unlock()
	<-ctx.Done()
	return g.drain(serving, inside)
}

// listen opens all sockets or none. They are returned by the name of the listener.
func (g *Gateway) listen(ctx context.Context) (map[string]net.Listener, error) {
	opened := map[string]net.Listener{}
	for _, l := range []struct{ name, addr string }{
		{listenerPublic, g.opt.PublicAddr}, {listenerSubmit, g.opt.SubmitAddr}, {listenerSMTP, g.opt.SMTPAddr},
		{listenerAdmin, g.opt.AdminAddr}, {listenerStatus, g.opt.StatusAddr},
	} {
		if l.addr == "" {
			continue
		}
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.addr)
		if err != nil {
			for _, ln := range opened {
				_ = ln.Close()
			}
			return nil, fmt.Errorf("%s listener: %w", l.name, err)
		}
		opened[l.name] = ln
	}
	return opened, nil
}

// open opens all listeners or none. Those inside are for operators: they end last.
func (g *Gateway) open(ctx context.Context) (serving []listener, inside []*front, err error) {
	if g.opt.StatusAddr != "" && g.opt.StatusTLS == nil {
		return nil, nil, errors.New("status listener: it needs StatusTLS")
	}
	sockets, err := g.listen(ctx)
	if err != nil {
		return nil, nil, err
	}
	var addrs Addrs
	if ln := sockets[listenerPublic]; ln != nil {
		addrs.Public = ln.Addr()
		f := newFront(listenerPublic, ln, &entry{g: g, name: listenerPublic, serve: servePublic}, g.metrics, g.log)
		f.secure = always(g.listenerTLS(func(gen *generation) *tls.Config { return gen.public }))
		serving = append(serving, f)
	}
	if ln := sockets[listenerSubmit]; ln != nil {
		addrs.Submit = ln.Addr()
		f := newFront(listenerSubmit, ln, &entry{g: g, name: listenerSubmit, serve: serveSubmit}, g.metrics, g.log)
		f.secure = whenAsked(g.listenerTLS(func(gen *generation) *tls.Config { return gen.submits }))
		serving = append(serving, f)
	}
	if ln := sockets[listenerSMTP]; ln != nil {
		addrs.SMTP = ln.Addr()
		serving = append(serving, g.newMailFront(ln))
	}
	if ln := sockets[listenerAdmin]; ln != nil {
		addrs.Admin = ln.Addr()
		inside = append(inside, newFront(listenerAdmin, ln, g.adminHandler(), g.metrics, g.log))
	}
	if ln := sockets[listenerStatus]; ln != nil {
		addrs.Status = ln.Addr()
		f := newFront(listenerStatus, ln, g.statusHandler(), g.metrics, g.log)
		f.secure = always(g.opt.StatusTLS.config())
		inside = append(inside, f)
	}
	for _, f := range inside {
		f.bound(&adminLimits)
		f.start()
	}

	g.mu.Lock()
	defer g.mu.Unlock()
	limits := &firstLimits
	if g.current != nil {
		limits = &g.current.active.Snapshot.Gateway.Limits
	}
	for _, f := range serving {
		f.bound(limits)
		f.start()
	}
	g.fronts, g.addrs = serving, addrs
	return serving, inside, nil
}

// drain ends serving without losing what was begun.
func (g *Gateway) drain(serving []listener, inside []*front) error {
	g.log.Info("draining", "delay", g.opt.DrainDelay, "timeout", g.opt.DrainTimeout)
	g.draining.Store(phaseLeaving)
	if g.opt.DrainDelay > 0 {
		<-time.After(g.opt.DrainDelay) // until load balancers have seen /readyz
	}
	g.applyMu.Lock() // no Apply starts what would not be stopped
	g.draining.Store(phaseClosed)
	g.applyMu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), g.opt.DrainTimeout)
	defer cancel()
	errs := make([]error, len(serving))
	done := make(chan struct{})
	for i, f := range serving {
		go func() {
			errs[i] = f.shutdown(ctx)
			done <- struct{}{}
		}()
	}
	for range serving {
		<-done
	}
	insideCtx, cancelInside := context.WithTimeout(context.Background(), time.Second)
	defer cancelInside()
	for _, f := range inside {
		_ = f.shutdown(insideCtx)
	}
	g.mu.Lock()
	last := g.current
	g.current, g.fronts = nil, nil
	g.mu.Unlock()
	if last != nil {
		last.backends.stopWatching(nil) // requests that are cut may hold it
		last.release()
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("drain: requests were still running after %s and were cut off: %w", g.opt.DrainTimeout, err)
	}
	g.log.Info("drained")
	return nil
}
