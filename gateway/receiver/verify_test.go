package receiver_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/snapshot"
)

const delivered = "200 mailto:guest@gw.example 2.0"

// A message is taken when a signature holds under the policy's rules, and refused for its reason otherwise.
//
// Proves: IS-DKIM-1, IS-DKIM-2, IS-DKIM-4, IS-DKIM-5, IS-DKIM-6, IS-DKIM-7, IS-DKIM-8, IS-DKIM-9, IS-DKIM-10, IS-RECV-1
func TestVerification(t *testing.T) {
	const refused = "403 verification-failed"
	late := func(name string, values ...string) func(*mail) {
		return func(m *mail) { m.after = func(h http.Header) { h[http.CanonicalHeaderKey(name)] = values } }
	}
	edit := func(old, replacement string) func(*mail) {
		return func(m *mail) {
			m.after = func(h http.Header) {
				h.Set("DKIM-Signature", strings.Replace(h.Get("DKIM-Signature"), old, replacement, 1))
			}
		}
	}
	for _, tt := range []struct {
		name   string
		mail   func(*mail)
		policy func(*snapshot.Inbound)
		want   string
		reason string
	}{
		{"as it should be", func(*mail) {}, nil, delivered, "delivered"},
		{"RSA", func(m *mail) { m.sign(t, "sender.example", "rsa", "sender.rsa.pem") }, nil, delivered, "delivered"},
		{"another body", func(m *mail) {
			m.body = strings.Replace(m.body, "Secret", "Public", 1)
			late("DKIM-Signature", signatureOf(t, invitation(t, "1")))(m)
		}, nil, refused, dkim.ReasonBodyHash},
		{"another Recipient", late("Recipient", "mailto:guest2@gw.example"), nil, refused, dkim.ReasonBadSignature},
		{"one Recipient more", late("Recipient", "mailto:guest@gw.example", "mailto:guest2@gw.example"), nil, refused, dkim.ReasonBadSignature},
		{"another Originator of the domain", late("Originator", "mailto:eve@sender.example"), nil, refused, dkim.ReasonBadSignature},
		{"another Content-Type", late("Content-Type", "text/calendar; component=VEVENT; method=ADD"), nil, refused, dkim.ReasonBadSignature},
		{"another Message-ID", late("iSchedule-Message-ID", "2"), nil, refused, dkim.ReasonBadSignature},
		{"Authorization that is not signed", late("Authorization", "Basic Zm9v"), nil, refused, dkim.ReasonHeaders},
		{"unsigned fields may change", late("Cache-Control", "max-age=0"), nil, delivered, "delivered"},
		{"blanks after commas may change", late("Recipient", " mailto:guest@gw.example "), nil, delivered, "delivered"},
		{"l=", edit("; d=", "; l=10; d="), nil, refused, dkim.ReasonLength},
		{"rsa-sha1", edit("a=ed25519-sha256", "a=rsa-sha1"), nil, refused, dkim.ReasonAlgorithm},
		{"c=relaxed/relaxed", edit("ischedule-relaxed/simple", "relaxed/relaxed"), nil, refused, dkim.ReasonCanonicalization},
		{"no such key", func(m *mail) { m.sign(t, "sender.example", "nokey", "sender.ed25519.pem") }, nil, refused, dkim.ReasonKeyMissing},
		{"a revoked key", func(m *mail) { m.sign(t, "sender.example", "revoked", "sender.ed25519.pem") }, nil, refused, dkim.ReasonKeyRevoked},
		{"another's key", func(m *mail) { m.sign(t, "sender.example", "ed", "other.ed25519.pem") }, nil, refused, dkim.ReasonBadSignature},
		{"another domain's signature", func(m *mail) { m.sign(t, "denied.example", "ed", "other.ed25519.pem") }, nil, refused, dkim.ReasonAlignment},
		{"a public suffix", func(m *mail) { m.sign(t, "example", "ed", "other.ed25519.pem") }, nil, refused, dkim.ReasonAlignment},
		{"a third party that the policy names", func(m *mail) { m.sign(t, "hosting.example", "ed", "other.ed25519.pem") },
			func(in *snapshot.Inbound) { in.ThirdPartySigners = []string{"hosting.example"} }, delivered, "delivered"},
		{"expired", func(m *mail) { m.signedAt = start.Add(-2 * time.Hour) }, nil, refused, dkim.ReasonExpired},
		{"from the future", func(m *mail) { m.signedAt = start.Add(6 * time.Minute) }, nil, refused, dkim.ReasonFuture},
		{"four minutes ahead", func(m *mail) { m.signedAt = start.Add(4 * time.Minute) }, nil, delivered, "delivered"},
		{"older than the policy's maxAge", func(m *mail) { m.signedAt = start.Add(-4 * time.Minute) },
			func(in *snapshot.Inbound) { in.MaxAge = time.Minute }, refused, dkim.ReasonExpired},
		{"RSA 1024", func(m *mail) { m.sign(t, "sender.example", "rsa1024", "sender.rsa1024.pem") }, nil, refused, dkim.ReasonKeySize},
		{"RSA 1024 where the policy allows it", func(m *mail) { m.sign(t, "sender.example", "rsa1024", "sender.rsa1024.pem") },
			func(in *snapshot.Inbound) { in.MinRSABits = 1024 }, delivered, "delivered"},
		{"a pinned key excludes DNS", func(*mail) {}, func(in *snapshot.Inbound) {
			in.PinnedKeys = []snapshot.PinnedKey{{Selector: "other", Record: record(t, "other.ed25519.pem")}}
		}, refused, dkim.ReasonKeyMissing},
		{"a pinned key applies whatever q= says", func(m *mail) { m.sign(t, "sender.example", "other", "other.ed25519.pem") }, func(in *snapshot.Inbound) {
			in.PinnedKeys = []snapshot.PinnedKey{{Selector: "other", Record: record(t, "other.ed25519.pem")}}
		}, delivered, "delivered"},
		{"a key that no method of q= has", func(m *mail) { m.signers[0].Query = []string{dkim.MethodWellKnown} }, nil, refused, dkim.ReasonKeyMissing},
		{"a method the policy does not permit", func(*mail) {}, func(in *snapshot.Inbound) { in.KeyLookup = []string{dkim.MethodWellKnown} }, refused, "key-method"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			if tt.policy != nil {
				tt.policy(&w.policy("sender").Inbound)
				w.compile()
			}
			m := invitation(t, "1")
			tt.mail(m)
			got := w.send(m)
			if got != tt.want || w.reason() != tt.reason {
				t.Errorf("%s (%s), want %s (%s)", got, w.reason(), tt.want, tt.reason)
			}
			if tt.want == refused {
				w.undelivered()
			}
		})
	}
}

func signatureOf(t testing.TB, m *mail) string { return m.request(t).Header.Get("DKIM-Signature") }

// Several signatures: each is tried, at most four; the reason is that of the one that came farthest.
//
// Proves: IS-DKIM-6
func TestSeveralSignatures(t *testing.T) {
	const refused = "403 verification-failed"
	good := signatureOf(t, invitation(t, "1"))
	forged := strings.Replace(good, "b=", "b=AAAA", 1)
	expired := invitation(t, "1")
	expired.signedAt = start.Add(-2 * time.Hour)
	for _, tt := range []struct {
		name       string
		signatures []string
		want       string
		reason     string
	}{
		{"the second holds", []string{"v=1; nonsense", good}, delivered, "delivered"},
		{"the fourth holds", []string{"x", "y", "z", good}, delivered, "delivered"},
		{"the fifth is not tried", []string{"x", "y", "z", "z", good}, refused, dkim.ReasonSyntax},
		{"the farthest failure is told", []string{"x", signatureOf(t, expired), "y"}, refused, dkim.ReasonExpired},
		{"forged comes farther than expired", []string{signatureOf(t, expired), strings.Replace(good, "ed; ", "rsa; ", 1), forged}, refused, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			m := invitation(t, "1").then(func(h http.Header) { h["Dkim-Signature"] = tt.signatures })
			got := w.send(m)
			if got != tt.want || tt.reason != "" && w.reason() != tt.reason {
				t.Errorf("%s (%s), want %s (%s)", got, w.reason(), tt.want, tt.reason)
			}
		})
	}
}

// A key that cannot be looked up now is no verdict: 503 with Retry-After, never 403, and nothing is delivered. The
// same message is taken later.
//
// Proves: IS-DKIM-13, IS-RECV-2
func TestKeyTemporary(t *testing.T) {
	w := newWorld(t)
	w.dns.fail = errDNSDown
	resp := w.do(invitation(t, "1").request(t))
	if got := outcome(resp); got != "503" || resp.Header.Get("Retry-After") == "" || w.reason() != "key-temporary" {
		t.Errorf("%s (%s), Retry-After %q", got, w.reason(), resp.Header.Get("Retry-After"))
	}
	w.undelivered()
	w.dns.fail = nil
	if got := w.send(invitation(t, "1")); got != delivered {
		t.Errorf("later: %s (%s)", got, w.reason())
	}
}

// One of two signatures fails for good, the other for now: that is no verdict either.
//
// Proves: IS-DKIM-13
func TestKeyTemporaryBesideFailure(t *testing.T) {
	w := newWorld(t)
	w.dns.fail = errDNSDown
	m := invitation(t, "1").then(func(h http.Header) { h.Add("DKIM-Signature", "nonsense") })
	if got := w.send(m); got != "503" {
		t.Errorf("%s (%s)", got, w.reason())
	}
}

// Of several records at one name, each is tried.
//
// Proves: IS-DKIM-10
func TestSeveralRecords(t *testing.T) {
	sender, other := record(t, "sender.ed25519.pem"), record(t, "other.ed25519.pem")
	for name, txt := range map[string]string{"the first fits": sender + "\n" + other, "the second fits": other + "\n" + sender} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.dns.txt["ed._domainkey.sender.example"] = txt
			if got := w.send(invitation(t, "1")); got != delivered {
				t.Errorf("%s (%s)", got, w.reason())
			}
		})
	}
}

// After a failure with a cached key older than a minute, the key is asked for once more: it was replaced under its selector.
//
// Proves: IS-DKIM-12
func TestKeyReplaced(t *testing.T) {
	w := newWorld(t)
	if got := w.send(invitation(t, "1")); got != delivered {
		t.Fatal(got)
	}
	w.dns.txt["ed._domainkey.sender.example"] = record(t, "other.ed25519.pem")
	replaced := func(id string) *mail {
		m := invitation(t, id).sign(t, "sender.example", "ed", "other.ed25519.pem")
		m.signedAt = w.now
		return m
	}
	w.now = start.Add(30 * time.Second)
	if got := w.send(replaced("2")); got != "403 verification-failed" {
		t.Errorf("too early: %s", got)
	}
	w.now = start.Add(2 * time.Minute)
	if got := w.send(replaced("3")); got != delivered {
		t.Errorf("after a minute: %s (%s)", got, w.reason())
	}
}

// The same, but the second look-up fails for now, or is over budget: no verdict.
//
// Proves: IS-DKIM-12, IS-DKIM-13
func TestKeyReplacedTemporary(t *testing.T) {
	for name, tt := range map[string]struct {
		sabotage func(*world)
		want     string
	}{
		"temporary":   {func(w *world) { w.dns.fail = errDNSDown }, "503"},
		"over budget": {func(w *world) { w.snap.Gateway.Limits.KeyLookupsPerDomain = 1e-9; w.compile() }, "429"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if got := w.send(invitation(t, "1")); got != delivered {
				t.Fatal(got)
			}
			w.now = start.Add(2 * time.Minute)
			if name == "over budget" { // spend the one token
				w.snap.Gateway.Limits.KeyLookupsPerDomain = 1e-9
				w.compile()
				m := invitation(t, "x").sign(t, "sender.example", "nokey", "other.ed25519.pem")
				m.signedAt = w.now
				w.send(m)
			}
			tt.sabotage(w)
			m := invitation(t, "2").sign(t, "sender.example", "ed", "other.ed25519.pem")
			m.signedAt = w.now
			if got := w.send(m); got != tt.want {
				t.Errorf("%s (%s), want %s", got, w.reason(), tt.want)
			}
		})
	}
}

// Look-ups are budgeted per source, per d=, and in all. A cached key costs nothing.
//
// Proves: IS-RECV-1, IS-RECV-2
func TestLookupBudgets(t *testing.T) {
	const few = 0.01 // one token, the next in 100 s
	for _, tt := range []struct {
		name  string
		limit func(*snapshot.Limits)
		other func(*mail) // still has budget
	}{
		{"per source", func(l *snapshot.Limits) { l.KeyLookupsPerSource = few }, func(m *mail) { m.remote = "192.0.2.2:1" }},
		{"per domain", func(l *snapshot.Limits) { l.KeyLookupsPerDomain = few }, func(m *mail) {
			m.set("Originator", "mailto:boss@elsewhere.example").sign(t, "elsewhere.example", "nokey", "other.ed25519.pem")
		}},
		{"in all", func(l *snapshot.Limits) { l.KeyLookups = few }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { tt.limit(&w.snap.Gateway.Limits) })
			if got := w.send(invitation(t, "1")); got != delivered { // takes the token
				t.Fatal(got, w.reason())
			}
			if got := w.send(invitation(t, "2")); got != delivered { // cached
				t.Errorf("cached key: %s (%s)", got, w.reason())
			}
			asked := len(w.dns.queries())
			unknown := invitation(t, "3").sign(t, "sender.example", "nokey", "other.ed25519.pem")
			resp := w.do(unknown.request(t))
			if got := outcome(resp); got != "429" || resp.Header.Get("Retry-After") != "100" {
				t.Errorf("over budget: %s, Retry-After %q", got, resp.Header.Get("Retry-After"))
			}
			if len(w.dns.queries()) != asked {
				t.Error("DNS was asked over budget")
			}
			if tt.other != nil {
				m := invitation(t, "4").sign(t, "sender.example", "nokey2", "other.ed25519.pem")
				tt.other(m)
				if got := w.send(m); got != "403 verification-failed" {
					t.Errorf("another's budget: %s (%s)", got, w.reason())
				}
			}
			w.now = w.now.Add(100 * time.Second)
			unknown.signedAt = w.now
			if got := w.send(unknown); got != "403 verification-failed" {
				t.Errorf("after the wait: %s (%s)", got, w.reason())
			}
		})
	}
}

// Messages of one domain that come at once share one look-up, and one token of the budgets.
//
// Proves: IS-RECV-1
func TestABurstCostsOneLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(w *world) { w.snap.Gateway.Limits.KeyLookupsPerDomain = 0.01 }) // one token
		w.dns.hold = make(chan struct{})
		for i := range 10 {
			req := invitation(t, strconv.Itoa(i)).request(t)
			go func() {
				if got := outcome(w.do(req)); got != delivered {
					t.Error(got)
				}
			}()
		}
		synctest.Wait() // for all to wait for the answer
		close(w.dns.hold)
		synctest.Wait()
		if q := w.dns.queries(); len(q) != 1 {
			t.Errorf("DNS was asked %v", q)
		}
	})
}

// A look-up by several methods costs one token.
//
// Proves: IS-RECV-1
func TestALookupOfSeveralStepsIsOne(t *testing.T) {
	w := newWorld(t, func(w *world) { w.snap.Gateway.Limits.KeyLookupsPerDomain = 0.01 }) // one token
	m := invitation(t, "1")
	m.signers[0].Query = []string{dkim.MethodWellKnown, dkim.MethodDNS}
	if got := w.send(m); got != delivered || len(w.dns.queries()) != 2 {
		t.Errorf("%s (%s), DNS was asked %v", got, w.reason(), w.dns.queries())
	}
}

// A body that does not fit bh= costs no look-up, nor does an expired signature.
//
// Proves: IS-RECV-1
func TestNoLookupForNothing(t *testing.T) {
	w := newWorld(t)
	m := invitation(t, "1")
	value := signatureOf(t, m)
	m.body += "X:1\r\n"
	w.send(m.then(func(h http.Header) { h.Set("DKIM-Signature", value) }))
	m = invitation(t, "2")
	m.signedAt = start.Add(-3 * time.Hour)
	w.send(m)
	w.untouched()
}

// Domains whose policies demand different things of a signature judge it each for its own recipients.
//
// Proves: IS-DKIM-5, IS-DKIM-7, IS-RECV-1
func TestRulesPerDomain(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.snap.Policies = append(w.snap.Policies, snapshot.Policy{
			ID: "test/weak", Peers: []string{"sender.example"}, Action: snapshot.Allow, Inbound: snapshot.Inbound{MinRSABits: 1024},
		})
		w.snap.Domains[2].Policies = []string{"test/weak"}
	})
	both := func(id, selector, key string) *mail {
		return invitation(t, id, "mailto:guest@gw.example", "mailto:amy@two.example").sign(t, "sender.example", selector, key)
	}
	if got, want := w.send(both("1", "rsa1024", "sender.rsa1024.pem")), "200 mailto:guest@gw.example 3.8 mailto:amy@two.example 2.0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := w.send(both("2", "ed", "sender.ed25519.pem")), "200 mailto:guest@gw.example 2.0 mailto:amy@two.example 2.0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := w.send(both("3", "rsa", "other.ed25519.pem")), "403 verification-failed"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A third party may sign only for the domains whose policy names it; and where one domain's key cannot be looked up
// now, the other's refusal is no verdict on the message.
//
// Proves: IS-DKIM-8, IS-DKIM-13
func TestRulesPerDomainDiffer(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.snap.Policies = append(w.snap.Policies,
			snapshot.Policy{ID: "test/hosted", Peers: []string{"sender.example"}, Action: snapshot.Allow, Inbound: snapshot.Inbound{ThirdPartySigners: []string{"hosting.example"}}},
			snapshot.Policy{ID: "test/pinned", Peers: []string{"sender.example"}, Action: snapshot.Allow, Inbound: snapshot.Inbound{
				PinnedKeys: []snapshot.PinnedKey{{Selector: "agreed", Record: record(t, "sender.ed25519.pem")}}}})
		w.snap.Domains[0].Policies = []string{"test/pinned"}
		w.snap.Domains[2].Policies = []string{"test/hosted"}
	})
	both := func(id, domain, selector, key string) *mail {
		return invitation(t, id, "mailto:guest@gw.example", "mailto:amy@two.example").sign(t, domain, selector, key)
	}
	hosted := invitation(t, "1", "mailto:guest@narrow.example", "mailto:amy@two.example").sign(t, "hosting.example", "ed", "other.ed25519.pem")
	if got, want := w.send(hosted), "200 mailto:guest@narrow.example 3.8 mailto:amy@two.example 2.0"; got != want {
		t.Errorf("%s (%s), want %s", got, w.reason(), want)
	}
	w.dns.fail = errDNSDown
	if got, want := w.send(both("2", "sender.example", "nokey", "sender.ed25519.pem")), "503"; got != want {
		t.Errorf("%s (%s), want %s", got, w.reason(), want)
	}
	if got, want := w.send(both("3", "sender.example", "agreed", "sender.ed25519.pem")), "200 mailto:guest@gw.example 2.0 mailto:amy@two.example 5.1"; got != want {
		t.Errorf("%s (%s), want %s", got, w.reason(), want)
	}
}
