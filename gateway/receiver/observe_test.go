package receiver_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/receiver"
	"github.com/calfed/calfed/gateway/snapshot"
)

// One line a request, with message id, peer, policy, result and reason; no address and no content; how often it departs
// from the RFC 5546 tables.
//
// Proves: IS-ITIP-2
func TestLog(t *testing.T) {
	w := newWorld(t)
	w.send(invitation(t, "id-77"))
	w.send(withBody(invitation(t, "id-78"), "SEQUENCE:1", "SEQUENCE:soon"))
	w.send(withBody(invitation(t, "id-79"), "SEQUENCE:1", "SEQUENCE:1\nREQUEST-STATUS:2.0;Success"))
	lines := strings.Split(strings.TrimSpace(w.log.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines:\n%s", len(lines), w.log)
	}
	for _, want := range []string{"message_id=id-77", "peer=sender.example", "policy=test/sender", "result=accepted", "reason=delivered", "violations=0"} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("no %s in %s", want, lines[0])
		}
	}
	if !strings.Contains(lines[2], "violations=1") {
		t.Errorf("no violation in %s", lines[2])
	}
	for _, secret := range []string{"boss", "guest", "Secret", "soon", "error="} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("%s is in the log:\n%s", secret, w.log)
		}
	}
}

// Metrics count results and reasons; nothing a peer or back end says becomes a label.
func TestMetrics(t *testing.T) {
	w := newWorld(t)
	w.send(invitation(t, "1"))
	w.send(invitation(t, "1"))
	w.gw.answer = always(ischedule.RequestStatus{Code: "9.99", Text: "made-up"})
	w.send(invitation(t, "2"))
	w.send(invitation(t, "3").set("iSchedule-Version", "made-up"))
	w.send(invitation(t, "4").then(func(h http.Header) { h.Set("DKIM-Signature", "made-up") }))
	w.get("MADE-UP", ischedule.WellKnownPath)
	w.get("GET", ischedule.WellKnownPath+"?action=made-up")
	w.send(message(t, "5", "VEVENT", "REQUEST", "mailto:a@made-up.example", []string{"mailto:b@made-up.example"}, "made-up").sign(t, "made-up.example", "ed", "other.ed25519.pem"))
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range families {
		for _, m := range f.GetMetric() {
			all.WriteString(f.GetName() + " " + strings.ReplaceAll(m.String(), `"`, "") + "\n")
		}
	}
	for _, want := range []string{"value:accepted", "value:replayed", "value:refused", "value:delivered", "value:version-unknown", "value:other", "value:2.0", "value:found"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no %s in\n%s", want, all.String())
		}
	}
	if s := strings.ToLower(all.String()); strings.Contains(s, "made-up") || strings.Contains(s, "9.99") {
		t.Errorf("a stranger's word is a label:\n%s", all.String())
	}
}

// How full the replay memory is shows before it is full, and what has expired does not count, whether messages come or not.
func TestReplayMemoryIsMeasured(t *testing.T) {
	w := newWorld(t)
	used := func() float64 {
		t.Helper()
		families, err := w.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "calfed_receiver_replay_memory_used_ratio" {
				return f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		t.Fatal("it is not measured")
		return 0
	}
	w.send(invitation(t, "1"))
	one := used()
	w.send(invitation(t, "2"))
	// two messages of 256 MiB, some hundred bytes each
	if two := used(); one < 300.0/(256<<20) || one > 2000.0/(256<<20) || two < 1.9*one || two > 2.1*one {
		t.Errorf("one message fills it by %g, two by %g", one, two)
	}
	w.now = w.now.Add(2 * time.Hour)
	if got := used(); got != 0 {
		t.Errorf("what has expired fills it by %g", got)
	}
}

// A receiver needs neither metrics, log nor shared state to work. A domain without back end has no calendar service.
//
// Proves: IS-STAT-1
func TestZeroConfig(t *testing.T) {
	w := newWorld(t)
	active, err := snapshot.Activate(w.snap)
	if err != nil {
		t.Fatal(err)
	}
	w.receiver = receiver.New(receiver.Config{Active: active, Keys: w.keys, Now: w.clock, Backends: map[string]backend.Backend{"gw.example": w.gw}})
	w.gw.answer = always(ischedule.StatusDelivered)
	if got := w.send(invitation(t, "1")); got != delivered {
		t.Error(got)
	}
	if got, want := w.send(invitation(t, "2", "mailto:amy@two.example")), "200 mailto:amy@two.example 5.2"; got != want { // no back end
		t.Errorf("%s, want %s", got, want)
	}
	_ = receiver.NewMetrics(nil)
	defer func() {
		if recover() == nil {
			t.Error("registering twice must not go unnoticed")
		}
	}()
	reg := prometheus.NewRegistry()
	receiver.NewMetrics(reg)
	receiver.NewMetrics(reg)
}
