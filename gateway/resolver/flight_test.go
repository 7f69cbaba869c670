package resolver_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/calfed/calfed/gateway/resolver"
)

// gate is a DNS server that holds each answer until it is opened.
type gate struct {
	addr    string
	arrived chan struct{} // one for each question
	open    chan struct{}
}

func newGate(t *testing.T) *gate {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{addr: pc.LocalAddr().String(), arrived: make(chan struct{}, 16), open: make(chan struct{})}
	started, stopped := make(chan struct{}), make(chan struct{})
	s := &dns.Server{PacketConn: pc, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(
		func(w dns.ResponseWriter, req *dns.Msg) {
			g.arrived <- struct{}{}
			<-g.open
			resp := new(dns.Msg).SetReply(req)
			rr, _ := dns.NewRR(req.Question[0].Name + ` 60 IN TXT "x"`)
			resp.Answer = []dns.RR{rr}
			_ = w.WriteMsg(resp)
		})}
	go func() { defer close(stopped); _ = s.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { _ = s.Shutdown(); <-stopped })
	return g
}

// Proves: IS-DISC-8
func TestOneLookupInFlightPerName(t *testing.T) {
	g := newGate(t)
	c := resolver.New(resolver.Config{Server: g.addr})
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if got, _, err := c.LookupTXT(t.Context(), "a.example"); err != nil || len(got) != 1 {
				t.Errorf("%v %v", got, err)
			}
		})
	}
	<-g.arrived
	close(g.open)
	wg.Wait()
	if n := len(g.arrived); n != 0 {
		t.Errorf("%d questions beside the first", n)
	}
}

// Proves: IS-DISC-8
func TestACallerWhoGivesUpLeavesTheOthersUndisturbed(t *testing.T) {
	g := newGate(t)
	c := resolver.New(resolver.Config{Server: g.addr})
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, _, err := c.LookupTXT(ctx, "a.example")
		first <- err
	}()
	<-g.arrived
	second := make(chan error, 1)
	go func() {
		_, _, err := c.LookupTXT(t.Context(), "a.example")
		second <- err
	}()
	for c.Waiting("a.example.", dns.TypeTXT) < 2 {
		runtime.Gosched()
	}
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("first: %v", err)
	}
	close(g.open)
	if err := <-second; err != nil {
		t.Errorf("second: %v", err)
	}
	if n := len(g.arrived); n != 0 {
		t.Errorf("%d questions beside the first", n)
	}
}

func TestALookupNobodyWaitsForEnds(t *testing.T) {
	g := newGate(t)
	c := resolver.New(resolver.Config{Server: g.addr, Timeout: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, _, err := c.LookupTXT(ctx, "a.example")
		done <- err
	}()
	<-g.arrived
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(g.open)
	// goleak in TestMain sees the look-up's goroutine if it goes on for its hour; a new caller starts afresh.
	if _, _, err := c.LookupTXT(t.Context(), "a.example"); err != nil {
		t.Error(err)
	}
}
