package receiver_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

// The policy is asked per recipient domain; the request fails as a whole only when all fall alike.
//
// Proves: IS-RECV-1, IS-RECV-9, IS-STAT-1, IS-CAP-4, IS-ADDR-1, IS-ITIP-2, IS-RECV-7
func TestPolicyPerRecipient(t *testing.T) {
	const guest, guest2, amy, narrow, foreign = "mailto:guest@gw.example", "mailto:guest2@gw.example", "mailto:amy@two.example",
		"mailto:guest@narrow.example", "mailto:eve@foreign.example"
	denyTwo := func(w *world) {
		w.snap.Policies = append(w.snap.Policies, snapshot.Policy{ID: "test/no", Peers: []string{"sender.example"}, Action: snapshot.Deny})
		w.snap.Domains[2].Policies = []string{"test/no"}
	}
	for _, tt := range []struct {
		name       string
		edit       func(*world)
		mail       *mail
		want       string
		deliveries int
	}{
		{"two domains", nil, invitation(t, "1", guest, amy), "200 " + guest + " 2.0 " + amy + " 2.0", 2},
		{"one domain refuses", denyTwo, invitation(t, "1", guest, amy), "200 " + guest + " 2.0 " + amy + " 3.8", 1},
		{"the only domain refuses", denyTwo, invitation(t, "1", amy), "403 originator-denied", 0},
		{"no policy matches", func(w *world) { w.snap.Domains[2].Policies = nil }, invitation(t, "1", guest, amy), "200 " + guest + " 2.0 " + amy + " 3.8", 1},
		{"no policy matches, but the gateway allows", func(w *world) {
			w.snap.Domains[2].Policies = nil
			w.snap.Gateway.DefaultAction = snapshot.Allow
		}, invitation(t, "1", amy), "200 " + amy + " 2.0", 1},
		{"a domain not served here", nil, invitation(t, "1", guest, foreign), "200 " + guest + " 2.0 " + foreign + " 3.7", 1},
		{"only domains not served here", nil, invitation(t, "1", foreign), "200 " + foreign + " 3.7", 0},
		{"refused and not served do not fall alike", denyTwo, invitation(t, "1", amy, foreign), "200 " + amy + " 3.8 " + foreign + " 3.7", 0},
		{"an unknown user", nil, invitation(t, "1", guest, "mailto:nobody@gw.example"), "200 " + guest + " 2.0 mailto:nobody@gw.example 3.7", 1},
		{"an invalid address among the recipients", nil, invitation(t, "1", guest).set("Recipient", guest+",mailto:a b@gw.example"),
			"200 " + guest + " 2.0 mailto:a b@gw.example 3.7", 1},
		{"an invalid address beside refused ones", denyTwo, invitation(t, "1", amy).set("Recipient", amy+",mailto:a b@two.example"),
			"200 " + amy + " 3.8 mailto:a b@two.example 3.7", 0},
		{"a recipient without a domain", nil, invitation(t, "1", guest, "urn:uuid:1"), "200 " + guest + " 2.0 urn:uuid:1 3.7", 1},
		{"recipients without mailto:", nil, invitation(t, "1", "guest@gw.example"), "200 guest@gw.example 2.0", 1},
		{"duplicates are answered once, as first sent", nil, invitation(t, "1", guest).set("Recipient", "MAILTO:guest@GW.example", guest), "200 MAILTO:guest@GW.example 2.0", 1},
		{"a domain that takes less than advertised", nil,
			message(t, "1", "VEVENT", "CANCEL", "mailto:boss@sender.example", []string{narrow}, event("CANCEL", "u", narrow)), "200 " + narrow + " 3.14", 0},
		{"a policy that takes less", senderPolicy(func(in *snapshot.Inbound) {
			in.Messages = []snapshot.Messages{{Component: "VEVENT", Methods: []string{"CANCEL"}}}
		}), invitation(t, "1", guest, foreign), "200 " + guest + " 3.8 " + foreign + " 3.7", 0},
		{"a policy that takes less, of the only recipient", senderPolicy(func(in *snapshot.Inbound) {
			in.Messages = []snapshot.Messages{{Component: "VFREEBUSY"}}
		}), invitation(t, "1", guest), "403 originator-denied", 0},
		{"Content-Type without parameters where the policy allows it", senderPolicy(func(in *snapshot.Inbound) { in.ContentTypeParametersOptional = true }),
			invitation(t, "1", guest).set("Content-Type", "text/calendar"), "200 " + guest + " 2.0", 1},
		{"Content-Type without parameters where no policy decides", func(w *world) {
			w.snap.Domains[2].Policies = nil
			w.snap.Gateway.DefaultAction = snapshot.Allow
		}, invitation(t, "1", amy).set("Content-Type", "text/calendar"), "400 invalid-scheduling-message", 0},
		{"no parameters, and a policy that takes less", senderPolicy(func(in *snapshot.Inbound) {
			in.ContentTypeParametersOptional = true
			in.Messages = []snapshot.Messages{{Component: "VEVENT", Methods: []string{"CANCEL"}}}
		}), invitation(t, "1", guest, foreign).set("Content-Type", "text/calendar"), "200 " + guest + " 3.8 " + foreign + " 3.7", 0},
		{"strict, for one domain of two", func(w *world) {
			w.snap.Policies = append(w.snap.Policies, snapshot.Policy{ID: "test/strict", Peers: []string{"sender.example"}, Action: snapshot.Allow, Inbound: snapshot.Inbound{Strict: true}})
			w.snap.Domains[2].Policies = []string{"test/strict"}
		}, withBody(invitation(t, "1", guest, amy), "SEQUENCE:1", "SEQUENCE:1\nREQUEST-STATUS:2.0;Success"), "200 " + guest + " 2.0 " + amy + " 3.8", 1},
		{"too many recipients for one policy of two", func(w *world) {
			w.snap.Policies = append(w.snap.Policies, snapshot.Policy{ID: "test/one", Peers: []string{"sender.example"}, Action: snapshot.Allow, Inbound: snapshot.Inbound{MaxRecipients: 1}})
			w.snap.Domains[0].Policies = []string{"test/one"}
		}, invitation(t, "1", guest, guest2, amy), "200 " + guest + " 3.8 " + guest2 + " 3.8 " + amy + " 2.0", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var edits []func(*world)
			if tt.edit != nil {
				edits = append(edits, tt.edit)
			}
			w := newWorld(t, edits...)
			if got := w.send(tt.mail); got != tt.want {
				t.Errorf("%s (%s), want %s", got, w.reason(), tt.want)
			}
			if n := w.gw.store.Deliveries() + w.two.store.Deliveries(); n != tt.deliveries {
				t.Errorf("%d deliveries, want %d", n, tt.deliveries)
			}
			for _, q := range w.dns.queries() {
				if !strings.HasSuffix(q, "._domainkey.sender.example") {
					t.Errorf("looked up %s", q)
				}
			}
		})
	}
}

func withBody(m *mail, old, replacement string) *mail {
	if !strings.Contains(m.body, old) {
		panic("the body holds no " + old)
	}
	m.body = strings.Replace(m.body, old, crlf(replacement), 1)
	return m
}

// Whether a peer is unknown or refused, it reads the same.
//
// Proves: IS-RECV-1, IS-RECV-2
func TestDeniedReadsTheSame(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.snap.Policies = append(w.snap.Policies, snapshot.Policy{ID: "test/two", Peers: []string{"denied.example"}, Action: snapshot.Allow})
		w.snap.Domains[2].Policies = []string{"test/two"} // known, but not to gw.example
	})
	guest := []string{"mailto:guest@gw.example"}
	answer := func(domain string) string {
		m := message(t, "1", "VEVENT", "REQUEST", "mailto:boss@"+domain, guest, event("REQUEST", "1", guest...)).sign(t, domain, "ed", "other.ed25519.pem")
		resp := w.do(m.request(t))
		var b strings.Builder
		_ = resp.Write(&b)
		return b.String()
	}
	unknown, denied := answer("stranger.example"), answer("denied.example")
	if d := cmp.Diff(unknown, denied); d != "" {
		t.Errorf("they differ:\n%s", d)
	}
	if !strings.Contains(unknown, "403 Forbidden") || len(w.dns.queries()) != 1 {
		t.Errorf("unknown peers must not be looked up: %v\n%s", w.dns.queries(), unknown)
	}
}

// A policy's rate holds per peer domain, for its own recipients.
//
// Proves: IS-RECV-1, IS-RECV-2
func TestPolicyRate(t *testing.T) {
	w := newWorld(t, senderPolicy(func(in *snapshot.Inbound) { in.Rate = 0.5 }), func(w *world) {
		w.snap.Domains[2].Policies = nil
		w.snap.Gateway.DefaultAction = snapshot.Allow
	})
	if got := w.send(invitation(t, "1")); got != delivered {
		t.Fatal(got)
	}
	resp := w.do(invitation(t, "2").request(t))
	if got := outcome(resp); got != "429" || resp.Header.Get("Retry-After") != "2" {
		t.Errorf("%s, Retry-After %q", got, resp.Header.Get("Retry-After"))
	}
	if got, want := w.send(invitation(t, "3", "mailto:guest@gw.example", "mailto:amy@two.example")), "200 mailto:guest@gw.example 5.1 mailto:amy@two.example 2.0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	w.now = w.now.Add(2 * time.Second)
	if got := w.send(invitation(t, "4")); got != delivered {
		t.Errorf("after the wait: %s", got)
	}
}

// A policy's limits are per request, however many of its domains the request is for.
//
// Proves: IS-RECV-1
func TestPolicyLimitsPerRequest(t *testing.T) {
	both := []string{"mailto:guest@gw.example", "mailto:amy@two.example"}
	w := newWorld(t, senderPolicy(func(in *snapshot.Inbound) { in.Rate = 0.5 }))
	if got, want := w.send(invitation(t, "1", both...)), "200 mailto:guest@gw.example 2.0 mailto:amy@two.example 2.0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	w = newWorld(t, senderPolicy(func(in *snapshot.Inbound) { in.MaxRecipients = 1 }))
	if got, want := w.send(invitation(t, "1", both...)), "403 max-recipients"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Where the policy says so, a user who does not exist and one who refuses answer the same, after the same time.
//
// Proves: IS-RECV-9
func TestHideUnknownUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, senderPolicy(func(in *snapshot.Inbound) { in.HideUnknownUsers = true }))
		type seen struct {
			Answer string
			Took   time.Duration
		}
		ask := func(id string, status ischedule.RequestStatus, takes time.Duration) seen {
			w.gw.answer = func(_ context.Context, d *backend.Delivery) ([]backend.Result, error) {
				time.Sleep(takes)
				return []backend.Result{{Recipient: d.Recipients[0], Status: status, Description: "because " + status.Code}}, nil
			}
			began := time.Now()
			resp := w.do(invitation(t, id).request(t))
			var b strings.Builder
			_ = resp.Write(&b)
			return seen{b.String(), time.Since(began)}
		}
		unknown := ask("1", ischedule.StatusUnknownUser.WithText("who?"), 3*time.Millisecond)
		refuses := ask("2", ischedule.StatusNoAuthority, 180*time.Millisecond)
		if d := cmp.Diff(unknown, refuses); d != "" {
			t.Errorf("they differ:\n%s", d)
		}
		if unknown.Took < 200*time.Millisecond {
			t.Errorf("the answer came after %v", unknown.Took)
		}
		if known := ask("3", ischedule.StatusDelivered, time.Millisecond); known.Took > 10*time.Millisecond {
			t.Errorf("a delivery had to wait: %v", known.Took)
		}
		w.policy("sender").Inbound.HideUnknownUsers = false
		w.compile()
		if open := ask("4", ischedule.StatusUnknownUser, time.Millisecond); !strings.Contains(open.Answer, "3.7") || open.Took > 10*time.Millisecond {
			t.Errorf("without the setting: %+v", open)
		}
	})
}

// What back ends answer becomes statuses; when all of it is transient, the request is tried again instead.
//
// Proves: IS-STAT-1, IS-RECV-2, IS-RECV-8
func TestBackendOutcomes(t *testing.T) {
	const guest, amy = "mailto:guest@gw.example", "mailto:amy@two.example"
	fails := func(err error) func(context.Context, *backend.Delivery) ([]backend.Result, error) {
		return func(context.Context, *backend.Delivery) ([]backend.Result, error) { return nil, err }
	}
	type answers = func(context.Context, *backend.Delivery) ([]backend.Result, error)
	for _, tt := range []struct {
		name    string
		gw, two answers
		want    string
	}{
		{"both deliver", nil, nil, "200 " + guest + " 2.0 " + amy + " 2.0"},
		{"one is away", fails(backend.ErrUnavailable), nil, "200 " + guest + " 5.1 " + amy + " 2.0"},
		{"both are away", fails(backend.ErrUnavailable), fails(backend.ErrUnavailable), "503"},
		{"away, and 5.1 by itself", fails(backend.ErrUnavailable), always(ischedule.StatusUnavailable), "503"},
		{"one is misconfigured", fails(errors.New("404")), nil, "200 " + guest + " 5.3 " + amy + " 2.0"},
		{"one panics", func(context.Context, *backend.Delivery) ([]backend.Result, error) { panic("bug") }, nil, "200 " + guest + " 5.1 " + amy + " 2.0"},
		{"one answers nothing", fails(nil), nil, "200 " + guest + " 5.1 " + amy + " 2.0"},
		{"one answers for somebody else", func(context.Context, *backend.Delivery) ([]backend.Result, error) {
			return []backend.Result{{Status: ischedule.StatusDelivered}}, nil
		}, nil, "200 " + guest + " 5.1 " + amy + " 2.0"},
		{"one refuses", always(ischedule.StatusNoAuthority), always(ischedule.StatusUnsupported), "200 " + guest + " 3.8 " + amy + " 3.14"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.gw.answer, w.two.answer = tt.gw, tt.two
			resp := w.do(invitation(t, "1", guest, amy).request(t))
			if got := outcome(resp); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if tt.want == "503" && resp.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		})
	}
}

// A back end gets the bytes as they came, and all its recipients at once; a back end that two domains share is asked
// once; one that hangs is given up on.
//
// Proves: IS-RECV-11, IS-RECV-2
func TestDelivery(t *testing.T) {
	w := newWorld(t)
	m := invitation(t, "1", "mailto:guest@gw.example", "mailto:guest@narrow.example", "mailto:amy@two.example")
	w.send(m)
	if n := len(w.gw.deliveries()); n != 1 {
		t.Fatalf("%d deliveries to the shared back end", n)
	}
	d := w.gw.deliveries()[0]
	if string(d.Body) != m.body || d.ContentType != m.header.Get("Content-Type") || d.MessageID != "1" || len(d.Recipients) != 2 {
		t.Errorf("delivered %+v", d)
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.gw.answer = func(ctx context.Context, _ *backend.Delivery) ([]backend.Result, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		began := time.Now()
		if got := w.send(invitation(t, "1")); got != "503" || time.Since(began) != 30*time.Second {
			t.Errorf("%s after %v", got, time.Since(began))
		}
	})
}

// A peer that hangs up does not undo a delivery: the repeat gets the recorded answer.
//
// Proves: IS-RECV-10
func TestPeerHangsUp(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(context.Background())
	w.gw.answer = func(dctx context.Context, d *backend.Delivery) ([]backend.Result, error) {
		cancel()
		if err := dctx.Err(); err != nil {
			t.Errorf("the delivery was cancelled: %v", err)
		}
		return always(ischedule.StatusDelivered)(dctx, d)
	}
	w.do(invitation(t, "1").request(t).WithContext(ctx))
	if got := w.send(invitation(t, "1")); got != delivered || len(w.gw.deliveries()) != 1 {
		t.Errorf("repeat: %s, %d deliveries", got, len(w.gw.deliveries()))
	}
}
