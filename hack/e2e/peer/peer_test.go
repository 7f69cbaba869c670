package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
	"github.com/calfed/calfed/hack/e2e/peer/load"
)

// allArrived holds a settled report against what the calendar server got.
func (w *world) allArrived(r load.Report) {
	w.t.Helper()
	if r.Answered != r.Sent || r.InFlight != 0 || r.Waiting != 0 || r.Unresolved != 0 {
		w.t.Errorf("%s; in flight %d, waiting %d, %+v", &r, r.InFlight, r.Waiting, r.Failures)
	}
	if missing := w.tally.Missing(r.UIDs()); len(missing) > 0 {
		w.t.Errorf("missing: %v", missing)
	}
	if messages, deliveries := w.tally.Count(r.Run + "-"); messages != r.Sent || deliveries != r.Sent {
		w.t.Errorf("%d deliveries of %d messages, %d were sent; doubled: %v", deliveries, messages, r.Sent, w.tally.Doubled(r.Run+"-"))
	}
}

func (w *world) noneFailed(r load.Report) {
	w.t.Helper()
	if r.Failed != 0 || len(r.Failures) != 0 {
		w.t.Errorf("%s: %+v", &r, r.Failures)
	}
}

func TestSignedMessagesArriveAndCountsAreExact(t *testing.T) {
	for _, algorithm := range []string{"rsa-2048", "ed25519"} {
		t.Run(algorithm, func(t *testing.T) {
			w := newWorld(t)
			key, record, _ := w.key(algorithm)
			addrs, _ := w.run(w.snapshot("example.org", "sender.example", record))
			p := w.send(addrs.Public, key, "--rate", "100")
			p.sent(60)
			r := p.ask("POST", "/settle")
			w.allArrived(r)
			w.noneFailed(r)
			if r.Latency.P50 <= 0 || r.Latency.P99 < r.Latency.P50 || r.Latency.Max < r.Latency.P99 {
				t.Errorf("latency %+v", r.Latency)
			}
		})
	}
}

func TestTheShareOfNewConnectionsIsKept(t *testing.T) {
	w := newWorld(t)
	key, record, _ := w.key("ed25519")
	addrs, _ := w.run(w.snapshot("example.org", "sender.example", record))
	for share, want := range map[string]float64{"0": 0, "0.25": 0.25, "1": 1} {
		service := w.service(addrs.Public)
		p := w.send(service.Addr(), key, "--rate", "100", "--in-flight", "4", "--new-connections", share)
		p.sent(80)
		r := p.stop()
		w.allArrived(r)
		service.mu.Lock()
		accepted := service.accepted
		service.mu.Unlock()
		// beside these, some are kept: net/http makes one more where another may become free first
		if extra := accepted - int(want*float64(r.Sent)); extra < 0 || extra > 20 {
			t.Errorf("share %s: %d connections for %d messages", share, accepted, r.Sent)
		}
	}
}

// The peer submits to the gateway of west.example, which signs and sends to that of example.org.
func TestSubmittedMessagesArriveAndCountsAreExact(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			w := newWorld(t)
			_, record, private := w.key("ed25519")
			east, _ := w.run(w.snapshot("example.org", "west.example", record))
			west := w.snapshot("west.example", "example.org", record)
			west.Domains[0].Signing.Keys = []snapshot.Key{{Source: "default/key", Domain: "west.example", Selector: "load", Private: private, Record: record}}
			west.Policies[0].Outbound.Endpoint = "https://" + east.Public.String() + ischedule.WellKnownPath
			west.Policies[0].Outbound.CABundle = w.ca.PEM()
			addrs, _ := w.run(west)
			p := start(t, "submit", "--url", scheme+"://gw.example.org/", "--address", addrs.Submit.String(), "--ca", w.dir+"/ca.pem",
				"--token", w.file("token", []byte(submitToken+"\n")), "--originator", "boss@west.example", "--recipient", "mailto:alice@example.org", "--rate", "100")
			p.sent(60)
			r := p.ask("POST", "/settle")
			w.allArrived(r)
			w.noneFailed(r)
		})
	}
}

func TestGatewayThatIsReplacedWellLosesNothing(t *testing.T) {
	w := newWorld(t)
	key, record, _ := w.key("ed25519")
	config := w.snapshot("example.org", "sender.example", record)
	old, stop := w.run(config)
	service := w.service(old.Public)
	p := w.send(service.Addr(), key, "--rate", "100")
	p.sent(50)
	next, _ := w.run(config)
	service.route(next.Public)
	stop()
	p.sent(p.ask("GET", "/report").Sent + 50)
	r := p.ask("POST", "/settle")
	w.allArrived(r)
	w.noneFailed(r)
}

// The gateway that comes back remembers what it has delivered (IS-RECV-10): so nothing is doubled here.
func TestGatewayThatIsGoneMakesMessagesFailUntilTheyAreSentAgain(t *testing.T) {
	w := newWorld(t)
	key, record, _ := w.key("ed25519")
	addrs, _ := w.run(w.snapshot("example.org", "sender.example", record))
	service := w.service(addrs.Public)
	p := w.send(service.Addr(), key, "--rate", "100")
	p.sent(50)
	service.cut()
	p.until("messages fail", func(r load.Report) bool { return r.Failed >= 20 })
	service.route(addrs.Public)
	r := p.ask("POST", "/settle")
	w.allArrived(r)
	if r.Failed < 20 || r.Resent != r.Failed || len(r.Failures) < r.Failed {
		t.Errorf("%s: %d failures", &r, len(r.Failures))
	}
	for _, f := range r.Failures {
		if f.At.IsZero() || !strings.HasPrefix(f.UID, r.Run+"-") || !strings.HasSuffix(f.UID, "@sender.example") || f.Try < 1 || f.Error == "" {
			t.Errorf("%+v", f)
		}
		if f.Remote != "" && f.Remote != service.Addr().String() {
			t.Errorf("remote %s", f.Remote)
		}
		// half of the messages, those with even numbers, have a connection of their own
		var n int
		if _, err := fmt.Sscanf(strings.TrimPrefix(f.UID, r.Run+"-"), "%d@", &n); err != nil {
			t.Fatal(err)
		}
		if kept := strings.HasPrefix(f.Error, load.OnKept); kept && (n%2 == 0 || f.Remote == "") {
			t.Errorf("message %d had no kept connection: %+v", n, f)
		}
	}
}

func TestControl(t *testing.T) {
	w := newWorld(t)
	key, record, _ := w.key("ed25519")
	addrs, _ := w.run(w.snapshot("example.org", "sender.example", record))
	p := w.send(addrs.Public, key)
	if status, _ := p.raw("GET", "/healthz"); status != http.StatusOK {
		t.Errorf("/healthz: %d", status)
	}
	for _, bad := range []string{"", "?per-second=", "?per-second=-1", "?per-second=1e-300", "?per-second=NaN", "?per-second=1e9", "?per-second=many"} {
		if status, _ := p.raw("POST", "/rate"+bad); status != http.StatusBadRequest {
			t.Errorf("/rate%s: %d", bad, status)
		}
	}
	if r := p.ask("POST", "/settle"); r.Sent != 0 {
		t.Errorf("sent at rate 0: %s", &r)
	}
	if r := p.ask("POST", "/rate?per-second=200"); r.Rate != 200 {
		t.Errorf("%+v", r)
	}
	p.sent(20)
	first := p.ask("POST", "/settle")
	w.allArrived(first)
	if again := p.ask("GET", "/report"); again.Rate != 0 || !cmp.Equal(first, again) {
		t.Errorf("not settled: %s", cmp.Diff(first, again))
	}
	if r := p.ask("POST", "/reset"); r.Sent != 0 || r.Latency.Max != 0 || r.Run == first.Run {
		t.Errorf("after a reset: %+v", r)
	}
	w.tally.Reset("")
	p.ask("POST", "/rate?per-second=200")
	p.sent(20)
	last := p.stop() // settles
	w.allArrived(last)
	w.noneFailed(last)
	if last.Sent < 20 {
		t.Errorf("%+v", last)
	}
}

func TestWrongFlagsAreSaid(t *testing.T) {
	w := newWorld(t)
	key, _, _ := w.key("ed25519")
	good := map[string]string{
		"url": "https://gw.example.org/", "key": key, "selector": "load", "domain": "sender.example",
		"originator": "mailto:carol@sender.example", "recipient": "mailto:alice@example.org", "listen": "127.0.0.1:0",
	}
	for flag, values := range map[string][]string{
		"url": {"", "ftp://gw.example.org/", "https:///x", "://"}, "key": {w.dir + "/none", w.dir + "/ca.pem"}, "selector": {"a b"}, "domain": {"-"},
		"originator": {"", "a b@c"}, "recipient": {"@"}, "ca": {key, w.dir + "/none"}, "rate": {"-1", "NaN", "1e6"}, "new-connections": {"2", "-1", "NaN"},
		"in-flight": {"0"}, "timeout": {"0s"}, "listen": {"127.0.0.1:99999"},
	} {
		for _, value := range values {
			args := []string{"send", "--" + flag, value}
			for name, v := range good {
				if name != flag {
					args = append(args, "--"+name, v)
				}
			}
			if code := run(args); code == 0 {
				t.Errorf("--%s %q is taken", flag, value)
			}
		}
	}
}
