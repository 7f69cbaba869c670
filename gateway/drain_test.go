package gateway_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway"
	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

// blockOn is a back end that says when a delivery has begun, and ends it when told.
func blockOn(entered chan<- struct{}, leave <-chan struct{}) func(context.Context, *backend.Delivery) error {
	return func(ctx context.Context, _ *backend.Delivery) error {
		entered <- struct{}{}
		select {
		case <-leave:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestDrainLosesNoRequest(t *testing.T) {
	for _, protocol := range []string{"h1", "h2"} {
		t.Run(protocol, func(t *testing.T) {
			entered, leave := make(chan struct{}), make(chan struct{})
			s := serve(t, nil)
			s.backend.deliver = blockOn(entered, leave)
			client := s.client(protocol)
			first := make(chan answer, 1)
			go func() { first <- do(client, s.invitation()) }()
			<-entered
			s.stop()
			eventually(t, "new connections are refused", func() bool {
				conn, err := net.Dial("tcp", s.Addrs().Public.String())
				if err == nil {
					_ = conn.Close()
				}
				return err != nil
			})
			if status, body := s.ready(); status != http.StatusServiceUnavailable {
				t.Errorf("/readyz while draining: %d %v", status, body)
			}
			// over the connection that is still open, or a new one
			if a := do(client, s.invitation()); a.err == nil && (a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "") {
				t.Errorf("a new request while draining: %+v", a)
			}
			close(leave)
			if a := <-first; a.status != http.StatusOK {
				t.Errorf("the request under way: %+v", a)
			}
			err := <-s.ended
			s.ended <- err
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
}

func TestDuringDrainDelayEverythingIsStillServed(t *testing.T) {
	s := serve(t, func(o *gateway.Options, _ *snapshot.Snapshot) { o.DrainDelay = 500 * time.Millisecond })
	client := s.client("h1")
	s.stop()
	eventually(t, "/readyz fails", func() bool { status, _ := s.ready(); return status == http.StatusServiceUnavailable })
	a := do(client, s.invitation())
	if a.status != http.StatusOK {
		t.Errorf("a request in the delay: %+v", a)
	}
}

func TestDrainEndsAtItsTimeout(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := newSite(t, func(o *gateway.Options, _ *snapshot.Snapshot) { o.DrainTimeout = 50 * time.Millisecond })
	check(t, s.Apply(s.snap))
	ctx, stop := context.WithCancel(context.Background())
	go func() { s.ended <- s.Run(ctx) }()
	<-s.Started()
	s.backend.deliver = blockOn(entered, leave)
	first := make(chan answer, 1)
	go func() { first <- do(s.client("h1"), s.invitation()) }()
	<-entered
	stop()
	if err := <-s.ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run: %v", err)
	}
	if a := <-first; a.err == nil {
		t.Errorf("the request that was cut: %+v", a)
	}
	close(leave)
}

// Proves: IS-RECV-2
func TestDrainingAnswerIsAnErrorDocument(t *testing.T) {
	s := newSite(t, nil).run() // no snapshot: the same answer by the same way
	a := get(t, http.DefaultClient, s.submitURL("http"))
	if _, ok := ischedule.ReadError(a.status, []byte(a.body)); !ok || a.header.Get(ischedule.HeaderVersion) != ischedule.Version {
		t.Errorf("%+v", a)
	}
}

// A snapshot that comes when the gateway has ended is not applied: nobody would close what it opens.
func TestNothingIsAppliedAfterTheEnd(t *testing.T) {
	s := serve(t, nil)
	s.stop()
	err := <-s.ended
	s.ended <- err
	if err := s.Apply(s.snap); err == nil {
		t.Error("it was applied")
	}
}
