package receiver_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/receiver"
)

// A message that comes again is answered as before and delivered once; what differs in anything signed is another message.
//
// Proves: IS-RECV-10
func TestReplay(t *testing.T) {
	day := [2]string{"20261125T000000Z", "20261126T000000Z"}
	counter := func(originator string) *mail {
		body := strings.Replace(event("COUNTER", "uid-1", "ann@sender.example", "bob@sender.example"), "ORGANIZER:mailto:boss@sender", "ORGANIZER:mailto:guest@gw", 1)
		return message(t, "1", "VEVENT", "COUNTER", originator, []string{"mailto:guest@gw.example"}, body)
	}
	for _, tt := range []struct {
		name       string
		first      *mail
		again      *mail
		after      time.Duration
		want       string
		reason     string
		deliveries int
	}{
		{"the same bytes", invitation(t, "1"), invitation(t, "1"), 0, delivered, "replay", 1},
		{"signed again", invitation(t, "1"), signedLater(invitation(t, "1"), time.Minute), time.Minute, delivered, "replay", 1},
		{"signed with another key", invitation(t, "1"), invitation(t, "1").sign(t, "sender.example", "rsa", "sender.rsa.pem"), 0, delivered, "replay", 1},
		{"recipients in another order", invitation(t, "1", "mailto:guest@gw.example", "mailto:guest2@gw.example"),
			invitation(t, "1", "mailto:guest@gw.example", "mailto:guest2@gw.example").set("Recipient", "guest2@gw.example", "guest@GW.example"), 0,
			"200 mailto:guest@gw.example 2.0 mailto:guest2@gw.example 2.0", "replay", 1},
		{"another Message-ID", invitation(t, "1"), withBody(invitation(t, "2"), "uid-2", "uid-1"), 0, delivered, "delivered", 2},
		{"the Message-ID with another body", invitation(t, "1"), withBody(invitation(t, "1"), "Secret", "Public"), 0, "403 verification-failed", "replay-conflict", 1},
		{"the Message-ID with other recipients", invitation(t, "1"), invitation(t, "1", "mailto:guest2@gw.example"), 0, "403 verification-failed", "replay-conflict", 1},
		{"the Message-ID and body with a recipient less", invitation(t, "1", "mailto:guest@gw.example", "mailto:guest2@gw.example"),
			invitation(t, "1", "mailto:guest@gw.example", "mailto:guest2@gw.example").set("Recipient", "mailto:guest2@gw.example"), 0,
			"403 verification-failed", "replay-conflict", 1},
		{"the Message-ID and body of another Originator", counter("mailto:ann@sender.example"), counter("mailto:bob@sender.example"), 0,
			"403 verification-failed", "replay-conflict", 1},
		{"all of it, signed by another domain", invitation(t, "1"), invitation(t, "1").sign(t, "hosting.example", "ed", "other.ed25519.pem"), 0, delivered, "delivered", 2},
		{"the Message-ID of another peer", invitation(t, "1"), func() *mail {
			guest := []string{"mailto:guest@gw.example"}
			m := message(t, "1", "VEVENT", "REQUEST", "mailto:boss@elsewhere.example", guest, strings.ReplaceAll(event("REQUEST", "uid-1", guest...), "boss@sender", "boss@elsewhere"))
			return m.sign(t, "elsewhere.example", "ed", "other.ed25519.pem")
		}(), 0, delivered, "delivered", 2},
		{"a free/busy question", question(t, "1", day[0], day[1], "mailto:guest@gw.example"), question(t, "1", day[0], day[1], "mailto:guest@gw.example"), 0,
			"403 verification-failed", "replay-freebusy", 1},
		{"as long as the signature is accepted", invitation(t, "1"), invitation(t, "1"), 359 * time.Second, delivered, "replay", 1},
		{"and no longer than that", invitation(t, "1"), invitation(t, "1"), 361 * time.Second, "403 verification-failed", dkim.ReasonExpired, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(w *world) {
				w.dns.txt["ed._domainkey.elsewhere.example"] = record(t, "other.ed25519.pem")
				w.policy("sender").Inbound.ThirdPartySigners = []string{"hosting.example"}
			})
			w.gw.answer = talkative
			first := w.send(tt.first)
			if !strings.HasPrefix(first, "200") {
				t.Fatalf("first: %s (%s)", first, w.reason())
			}
			w.now = w.now.Add(tt.after)
			if got := w.send(tt.again); got != tt.want || w.reason() != tt.reason {
				t.Errorf("again: %s (%s), want %s (%s)", got, w.reason(), tt.want, tt.reason)
			}
			if n := len(w.gw.deliveries()); n != tt.deliveries {
				t.Errorf("%d deliveries, want %d", n, tt.deliveries)
			}
		})
	}
}

func signedLater(m *mail, d time.Duration) *mail {
	m.signedAt = m.signedAt.Add(d)
	return m
}

// Without a signed Message-ID the signature itself is the message's name.
//
// Proves: IS-RECV-1, IS-RECV-10
func TestReplayUnsignedID(t *testing.T) {
	w := newWorld(t)
	w.gw.answer = always(ischedule.StatusDelivered)
	unsigned := func() *mail {
		m := invitation(t, "")
		delete(m.header, ischedule.HeaderMessageID)
		return m
	}
	w.send(unsigned())
	changed := unsigned().then(func(h http.Header) { h.Set("iSchedule-Message-ID", "made-up") })
	if got := w.send(changed); got != delivered || w.reason() != "replay" {
		t.Errorf("with a made-up Message-ID: %s (%s)", got, w.reason())
	}
	if got := w.send(signedLater(unsigned(), time.Second)); got != delivered || w.reason() != "delivered" {
		t.Errorf("signed again: %s (%s)", got, w.reason())
	}
	if n := len(w.gw.deliveries()); n != 2 {
		t.Errorf("%d deliveries", n)
	}
}

// A message with several signatures is known by each of them, in any order, alone or together.
//
// Proves: IS-RECV-10, IS-DKIM-6
func TestReplaySeveralSignatures(t *testing.T) {
	for _, id := range []string{"signed-id", ""} {
		w := newWorld(t)
		w.gw.answer = always(ischedule.StatusDelivered)
		m := invitation(t, id)
		if id == "" {
			delete(m.header, ischedule.HeaderMessageID)
		}
		m.signers = append(m.signers, dkim.Signer{Domain: "sender.example", Selector: "rsa", Key: privateKey(t, "sender.rsa.pem")})
		both := m.request(t).Header["Dkim-Signature"]
		for _, signatures := range [][]string{both, {both[1], both[0]}, both[1:], both[:1]} {
			if got := w.send(m.then(func(h http.Header) { h["Dkim-Signature"] = signatures })); got != delivered {
				t.Errorf("%q: %s (%s)", id, got, w.reason())
			}
		}
		if n := len(w.gw.deliveries()); n != 1 {
			t.Errorf("%q: %d deliveries", id, n)
		}
	}
}

// A message in delivery is not delivered beside itself; when nothing came of it, a repeat runs.
//
// Proves: IS-RECV-10, IS-RECV-2
func TestReplayInProgress(t *testing.T) {
	w := newWorld(t)
	during := ""
	w.gw.answer = func(_ context.Context, d *backend.Delivery) ([]backend.Result, error) {
		w.gw.answer = always(ischedule.StatusDelivered)
		resp := w.do(invitation(t, "1").request(t))
		during = outcome(resp) + " " + resp.Header.Get("Retry-After")
		return nil, backend.ErrUnavailable
	}
	if got := w.send(invitation(t, "1")); got != "503" {
		t.Errorf("first: %s", got)
	}
	if during != "503 5" {
		t.Errorf("during the delivery: %s", during)
	}
	if got := w.send(invitation(t, "1")); got != delivered {
		t.Errorf("after a delivery that failed: %s (%s)", got, w.reason())
	}
}

// A free/busy question whose back end was away may be asked again.
//
// Proves: IS-RECV-10
func TestReplayFreeBusyUnavailable(t *testing.T) {
	w := newWorld(t)
	w.gw.answer = func(context.Context, *backend.Delivery) ([]backend.Result, error) { return nil, backend.ErrUnavailable }
	ask := func() string {
		return w.send(question(t, "1", "20261125T000000Z", "20261126T000000Z", "mailto:guest@gw.example"))
	}
	if got := ask(); got != "503" {
		t.Errorf("first: %s", got)
	}
	w.gw.answer = nil
	if got := ask(); got != delivered {
		t.Errorf("again: %s (%s)", got, w.reason())
	}
}

// A message without t= is remembered for thirty days.
//
// Proves: IS-RECV-10, IS-DKIM-7
func TestReplayUntimed(t *testing.T) {
	w := newWorld(t, func(w *world) { w.policy("sender").Inbound.SignatureTimeOptional = true })
	w.gw.answer = always(ischedule.StatusDelivered)
	claims := &recording{ReplayMemory: receiver.NewReplayMemory(receiver.ReplayOptions{Now: func() time.Time { return w.now }})}
	w.shared = &receiver.Shared{Replay: claims}
	w.compile()
	m := bedework(t)
	if got := w.send(m); got != delivered {
		t.Fatalf("%s", got)
	}
	w.now = start.Add(30 * 24 * time.Hour)
	if got := w.send(m); got != delivered || len(w.gw.deliveries()) != 1 {
		t.Errorf("after 30 days: %s, %d deliveries", got, len(w.gw.deliveries()))
	}
	if keep := claims.last.Keep; keep.Before(start.Add(30 * 24 * time.Hour)) {
		t.Errorf("kept until %v", keep)
	}
	w.policy("sender").Inbound.SignatureTimeOptional = false
	w.compile()
	if got := w.send(m); got != "403 verification-failed" {
		t.Errorf("where the policy wants t=: %s", got)
	}
}

// recording notes the last claim, and fails where told.
type recording struct {
	receiver.ReplayMemory
	last      receiver.Claim
	err       error
	finishErr error
}

func (r *recording) Begin(ctx context.Context, c receiver.Claim) (receiver.State, error) {
	r.last = c
	if r.err != nil {
		return receiver.State{}, r.err
	}
	return r.ReplayMemory.Begin(ctx, c)
}

func (r *recording) Finish(ctx context.Context, c receiver.Claim, answer []byte) error {
	if r.finishErr != nil {
		return r.finishErr
	}
	return r.ReplayMemory.Finish(ctx, c, answer)
}

// The replay memory down or full: nothing is delivered. Down only when the answer is recorded: the peer still gets it.
//
// Proves: IS-RECV-2, IS-RECV-10
func TestReplayMemoryFails(t *testing.T) {
	w := newWorld(t)
	memory := &recording{ReplayMemory: receiver.NewReplayMemory(receiver.ReplayOptions{Now: func() time.Time { return w.now }}), err: receiver.ErrReplayFull}
	w.shared = &receiver.Shared{Replay: memory}
	w.compile()
	resp := w.do(invitation(t, "1").request(t))
	if got := outcome(resp); got != "503" || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%s", got)
	}
	w.undelivered()
	memory.err, memory.finishErr = nil, errors.New("down")
	w.gw.answer = always(ischedule.StatusDelivered)
	if got := w.send(invitation(t, "1")); got != delivered {
		t.Errorf("%s", got)
	}
}

// A partly failed delivery is final: the recorded answer names the recipients that are to be tried with a new Message-ID.
//
// Proves: IS-RECV-10
func TestReplayPartly(t *testing.T) {
	const want = "200 mailto:guest@gw.example 2.0 mailto:amy@two.example 5.1"
	w := newWorld(t)
	w.gw.answer = always(ischedule.StatusDelivered)
	w.two.answer = func(context.Context, *backend.Delivery) ([]backend.Result, error) { return nil, backend.ErrUnavailable }
	m := invitation(t, "1", "mailto:guest@gw.example", "mailto:amy@two.example")
	if got := w.send(m); got != want {
		t.Errorf("first: %s", got)
	}
	w.two.answer = always(ischedule.StatusDelivered)
	if got := w.send(m); got != want || len(w.two.deliveries()) != 1 {
		t.Errorf("again: %s, %d deliveries", got, len(w.two.deliveries()))
	}
}
