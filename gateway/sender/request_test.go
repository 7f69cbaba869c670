package sender_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/snapshot"
)

// verify judges a posted request as a receiver would, with the key record of the domain.
func verify(t *testing.T, p posted, record string) *dkim.Signature {
	t.Helper()
	values := p.header.Values(ischedule.HeaderDKIMSignature)
	if len(values) != 1 {
		t.Fatalf("%d DKIM-Signature fields", len(values))
	}
	sig, err := dkim.ParseSignature(values[0])
	if err != nil {
		t.Fatal(err)
	}
	rec, err := dkim.ParseRecord(record)
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"static": sig.CheckStatic(p.header), "time": sig.CheckTime(now, dkim.Rules{}), "body": sig.CheckBody(p.body),
		"key": sig.CheckKey(p.header, rec, dkim.Rules{}), "alignment": sig.AlignedWith("example.org", nil),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	return sig
}

// TestRequestOnTheWire: the header of D05 §6.1 as every peer takes it, and a signature over it.
//
// Proves: IS-SEND-2, IS-DKIM-4
func TestRequestOnTheWire(t *testing.T) {
	f := &finder{receivers: map[string]*discovery.Receiver{"friend.example": receiver("cal.friend.example")}}
	s, a := newSender(t, f)
	body := invitation([]string{"mailto:Bob@friend.example", "mailto:eve@friend.example"})
	if _, err := s.Send(t.Context(), submission(t, a, body, "mailto:Bob@friend.example", "mailto:eve@friend.example")); err != nil {
		t.Fatal(err)
	}
	p := f.posts[0]
	id := p.header.Get("iSchedule-Message-ID")
	if len(id) < 20 || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		t.Errorf("Message-ID %q is no unique token", id)
	}
	got := p.header.Clone()
	got.Del(ischedule.HeaderDKIMSignature)
	got.Del(ischedule.HeaderMessageID)
	want := http.Header{
		"Ischedule-Version": {"1.0"},
		"Originator":        {"mailto:alice@example.org"},
		"Recipient":         {"mailto:Bob@friend.example,mailto:eve@friend.example"},
		"Cache-Control":     {"no-cache, no-transform"},
		"Content-Type":      {"text/calendar; charset=utf-8; component=VEVENT; method=REQUEST"},
		"User-Agent":        {"calfed/test"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}

	sig := verify(t, p, config(t).Domains[1].Signing.Keys[1].Record)
	if sig.Domain != "example.org" || sig.Selector != "rsa" || sig.Algorithm != "rsa-sha256" || sig.Canonicalization != "ischedule-relaxed/simple" {
		t.Errorf("signature %+v", sig)
	}
	if diff := cmp.Diff([]string{dkim.MethodWellKnown, dkim.MethodDNS}, sig.Query); diff != "" {
		t.Errorf("q= (-want +got):\n%s", diff)
	}
	for _, name := range []string{"Content-Type", "iSchedule-Version", "Originator", "Recipient", "iSchedule-Message-ID", "User-Agent"} {
		if !sig.Signs(name) {
			t.Errorf("%s is not signed", name)
		}
		if strings.Contains(p.header.Get(name), ", ") {
			t.Errorf("the signed field %s holds a blank after a comma: %q", name, p.header.Get(name))
		}
	}
	for _, name := range []string{"Cache-Control", "Host", "Content-Length"} {
		if sig.Signs(name) {
			t.Errorf("%s is signed", name)
		}
	}
	if value := p.header.Get(ischedule.HeaderDKIMSignature); strings.ContainsAny(value, "\r\n\t") {
		t.Errorf("the signature is folded: %q", value)
	}
}

// TestMessageIDIsUnique: every request has its own, also those of one submission.
//
// Proves: IS-SEND-2
func TestMessageIDIsUnique(t *testing.T) {
	f := &finder{receivers: map[string]*discovery.Receiver{
		"a.example": receiver("a.example", func(c *ischedule.Capabilities) { c.MaxRecipients = 1 }),
		"b.example": receiver("b.example"),
	}}
	s, a := newSender(t, f)
	to := []string{"mailto:x@a.example", "mailto:y@a.example", "mailto:z@b.example"}
	for range 2 {
		if _, err := s.Send(t.Context(), submission(t, a, invitation(to), to...)); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for _, p := range f.posts {
		seen[p.header.Get("iSchedule-Message-ID")] = true
	}
	if len(f.posts) != 6 || len(seen) != 6 {
		t.Errorf("%d requests with %d ids", len(f.posts), len(seen))
	}
}

// TestSigningKey: the first RSA key signs; without one the first key does; without any nothing leaves. Keys that are only published
// do not count.
//
// Proves: IS-DKIM-4
func TestSigningKey(t *testing.T) {
	tests := []struct {
		name      string
		keys      []string // the last one signs
		algorithm string
		standby   int // so many of them are
	}{
		{"RSA is preferred", []string{"ed", "rsa"}, "rsa-sha256", 0},
		{"Ed25519 where there is no RSA key", []string{"ed"}, "ed25519-sha256", 0},
		{"no key", nil, "", 0},
		{"an RSA key that is only published", []string{"rsa", "ed"}, "ed25519-sha256", 1},
		{"no key that signs", []string{"rsa", "ed"}, "", 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := &finder{receivers: map[string]*discovery.Receiver{"peer.example": receiver("cal.peer.example")}}
			c := config(t)
			c.Domains[1].Signing.Keys = nil
			for _, k := range test.keys {
				c.Domains[1].Signing.Keys = append(c.Domains[1].Signing.Keys, signingKey(t, "example.org", k))
			}
			for i := range test.standby {
				k := &c.Domains[1].Signing.Keys[i]
				k.State, k.Private = snapshot.KeyStandby, nil
			}
			a := active(t, c)
			s, _ := newSender(t, f, func(cfg *sender.Config) { cfg.Active = a })
			response, refusal := s.Send(t.Context(), submission(t, a, invitation([]string{"mailto:bob@peer.example"}), "mailto:bob@peer.example"))
			if refusal != nil {
				t.Fatal(refusal)
			}
			if test.algorithm == "" {
				if len(f.posts) != 0 || response.Results[0].Status.Code != "5.1" {
					t.Errorf("%d posts, %+v", len(f.posts), response.Results[0])
				}
				return
			}
			record := c.Domains[1].Signing.Keys[len(test.keys)-1].Record
			if sig := verify(t, f.posts[0], record); sig.Algorithm != test.algorithm {
				t.Errorf("signed with %s, want %s", sig.Algorithm, test.algorithm)
			}
		})
	}
}

// TestSpellingOfAddresses: the calendar object's spelling goes out, with a scheme; the submitter's comes back.
//
// Proves: IS-ADDR-1, IS-SEND-2, IS-DISC-1
func TestSpellingOfAddresses(t *testing.T) {
	f := &finder{receivers: map[string]*discovery.Receiver{"peer.example": receiver("cal.peer.example")}}
	s, a := newSender(t, f)
	body := strings.Replace(invitation([]string{"MAILTO:Bob@Peer.EXAMPLE", "mailto:b%6Fnd@peer.example", "carol@peer.example"}), "ORGANIZER:mailto:alice@example.org", "ORGANIZER:mailto:alice@Example.Org", 1)
	sub := submission(t, a, body, "mailto:Bob@peer.example", "bond@peer.example", "MAILTO:Bob@peer.example", "carol@peer.example")
	response, err := s.Send(t.Context(), sub)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"peer.example"}, f.found); diff != "" {
		t.Errorf("looked up (-want +got):\n%s", diff)
	}
	if got, want := f.posts[0].header.Get("Recipient"), "MAILTO:Bob@Peer.EXAMPLE,mailto:b%6Fnd@peer.example,mailto:carol@peer.example"; got != want {
		t.Errorf("Recipient %q, want %q", got, want)
	}
	if got, want := f.posts[0].header.Get("Originator"), "mailto:alice@Example.Org"; got != want {
		t.Errorf("Originator %q, want %q", got, want)
	}
	want := []ischedule.RecipientResult{
		{Recipient: "mailto:Bob@peer.example", Status: ischedule.StatusDelivered},
		{Recipient: "bond@peer.example", Status: ischedule.StatusDelivered},
		{Recipient: "MAILTO:Bob@peer.example", Status: ischedule.StatusDelivered},
		{Recipient: "carol@peer.example", Status: ischedule.StatusDelivered},
	}
	if diff := cmp.Diff(want, response.Results); diff != "" {
		t.Errorf("response (-want +got):\n%s", diff)
	}
}
