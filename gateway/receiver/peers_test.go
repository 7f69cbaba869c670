package receiver_test

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

// recorded reads a raw request of testdata.
func recorded(t testing.TB, name string) *http.Request {
	t.Helper()
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(testdata(t, name))))
	if err != nil {
		t.Fatal(err)
	}
	req.RemoteAddr = "192.0.2.1:1"
	return req
}

// What Cyrus really sends is taken: folded signature, q=private-exchange, Message-ID that is no token, Recipient without
// mailto:, Expect: 100-continue.
//
// Proves: IS-DKIM-2, IS-DKIM-3, IS-DKIM-9, IS-RECV-6, IS-ADDR-1
func TestCyrus(t *testing.T) {
	w := newWorld(t)
	w.gw.answer = always(ischedule.StatusDelivered)
	w.now = time.Unix(1795348663, 0)
	if got, want := outcome(w.do(recorded(t, "cyrus-vevent.req"))), "200 guest@gw.example 2.0"; got != want {
		t.Errorf("%s (%s), want %s", got, w.reason(), want)
	}
	w.gw.answer = nil
	w.now = time.Unix(1795348962, 0)
	resp := w.do(recorded(t, "cyrus-vfreebusy-2rcpt.req"))
	for recipient, data := range calendarData(t, resp) {
		if !strings.Contains(data, "METHOD:REPLY") || !strings.Contains(strings.ReplaceAll(data, "\r\n ", ""), "ATTENDEE:"+recipient) {
			t.Errorf("%s: %s", recipient, data)
		}
	}
	if len(w.dns.queries()) > 0 {
		t.Errorf("looked up %v for a pinned key", w.dns.queries())
	}
	// the same over the wire
	w.now = time.Unix(1795348663, 0)
	if resp, body := w.raw(w.receiver, string(testdata(t, "cyrus-vevent.req"))); resp.StatusCode != http.StatusContinue && resp.StatusCode != http.StatusOK {
		t.Errorf("over the wire: %d %s", resp.StatusCode, body)
	}
	// and no longer an hour and a half later
	w.now = w.now.Add(90 * time.Minute)
	if got := outcome(w.do(recorded(t, "cyrus-vevent.req"))); got != "403 verification-failed" {
		t.Errorf("later: %s", got)
	}
}

// A recipient who is not served here is refused in words even for a peer whose only key is pinned.
//
// Proves: IS-RECV-9, IS-DKIM-9
func TestPinnedPeerElsewhere(t *testing.T) {
	pin := senderPolicy(func(in *snapshot.Inbound) {
		in.PinnedKeys = []snapshot.PinnedKey{{Selector: "pinned", Record: record(t, "sender.ed25519.pem")}}
	})
	w := newWorld(t, pin)
	m := invitation(t, "1", "mailto:eve@foreign.example").sign(t, "sender.example", "pinned", "sender.ed25519.pem")
	if got, want := w.send(m), "200 mailto:eve@foreign.example 3.7"; got != want {
		t.Errorf("%s (%s), want %s", got, w.reason(), want)
	}
	forged := invitation(t, "2", "mailto:eve@foreign.example").sign(t, "sender.example", "pinned", "other.ed25519.pem")
	if got, want := w.send(forged), "403 verification-failed"; got != want {
		t.Errorf("forged: %s, want %s", got, want)
	}
}

// DAViCal's own signature (draft-01, l=) is refused here, though its key is right.
//
// Proves: IS-DKIM-6
func TestDAViCal(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.snap.Policies = append(w.snap.Policies, snapshot.Policy{ID: "test/zdav", Peers: []string{"dav.example.net"}, Action: snapshot.Allow, Inbound: snapshot.Inbound{
			PinnedKeys: []snapshot.PinnedKey{{Selector: "cal", Record: publicRecord(t, "davical-dav.example.net.pub.pem")}},
		}})
		w.snap.Domains[0].Policies = append(w.snap.Domains[0].Policies, "test/zdav")
	})
	w.now = time.Unix(1795349441, 0)
	got := outcome(w.do(recorded(t, "davical-vevent-simple-http.req")))
	if got != "403 verification-failed" || w.reason() != dkim.ReasonLength && w.reason() != dkim.ReasonCanonicalization {
		t.Errorf("%s (%s)", got, w.reason())
	}
	w.undelivered()
}
