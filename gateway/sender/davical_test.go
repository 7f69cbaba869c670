package sender_test

import (
	"testing"

	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/snapshot"
)

// davical is a sender whose policy for friend.example is that of a DAViCal.
func davical(t *testing.T, f *finder, change func(*snapshot.Snapshot)) (*sender.Sender, *snapshot.Active) {
	t.Helper()
	s := config(t)
	s.Policies[1].Outbound = snapshot.Outbound{SignatureProfile: snapshot.SignatureDAViCal, Authorization: "Basic eA=="}
	change(s)
	a := active(t, s)
	out, _ := newSender(t, f, func(c *sender.Config) { c.Active = a })
	return out, a
}

// TestSignatureForDAViCal: a policy has one peer's messages signed in the profile of draft-01, over the fields and the Host as
// they go out, and recipients spelled as DAViCal finds them.
//
// Proves: IS-SEND-2
func TestSignatureForDAViCal(t *testing.T) {
	at := receiver("dav.friend.example")
	at.URL = "https://dav.friend.example:8443/.well-known/ischedule"
	f := &finder{receivers: map[string]*discovery.Receiver{"friend.example": at}}
	s, a := davical(t, f, func(*snapshot.Snapshot) {})
	body := invitation([]string{"MAILTO:Bob@friend.example", "mailto:eve@friend.example"})
	answer, refusal := s.Send(t.Context(), submission(t, a, body, "MAILTO:Bob@friend.example", "mailto:eve@friend.example"))
	if refusal != nil || answer.Results[0].Status.Code != "2.0" {
		t.Fatalf("%+v %v", answer, refusal)
	}
	p := f.posts[0]
	if got := p.header.Get("Recipient"); got != "mailto:Bob@friend.example,mailto:eve@friend.example" {
		t.Errorf("Recipient %q", got)
	}
	values := p.header.Values(ischedule.HeaderDKIMSignature)
	if len(values) != 1 {
		t.Fatalf("%d DKIM-Signature fields", len(values))
	}
	sig, err := dkim.ParseSignature(values[0])
	if err != nil {
		t.Fatal(err)
	}
	rec, err := dkim.ParseRecord(config(t).Domains[1].Signing.Keys[1].Record)
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"header": sig.CheckDraft01("dav.friend.example:8443", p.header, rec, dkim.Rules{}),
		"time":   sig.CheckTime(now, dkim.Rules{}), "body": sig.CheckBodyDraft01(p.body),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if sig.Domain != "example.org" || sig.Selector != "rsa" || len(sig.Query) != 1 || sig.Query[0] != dkim.MethodDNS || !sig.Signs("Host") || sig.Signs("Authorization") {
		t.Errorf("signature %+v", sig)
	}
}

// TestTheProfileIsThePolicys: one peer's profile changes nothing for the others.
//
// Proves: IS-DKIM-2
func TestTheProfileIsThePolicys(t *testing.T) {
	f := &finder{receivers: map[string]*discovery.Receiver{"other.example": receiver("cal.other.example")}}
	s, a := davical(t, f, func(s *snapshot.Snapshot) {
		s.Policies = append(s.Policies, snapshot.Policy{ID: "default/other", Peers: []string{"other.example"}, Domains: []string{"example.org"}, Action: snapshot.Allow})
		s.Domains[1].Policies = append(s.Domains[1].Policies, "default/other")
	})
	if _, refusal := s.Send(t.Context(), submission(t, a, invitation([]string{"mailto:x@other.example"}), "mailto:x@other.example")); refusal != nil {
		t.Fatal(refusal)
	}
	if sig := verify(t, f.posts[0], config(t).Domains[1].Signing.Keys[1].Record); sig.IsDraft01() {
		t.Errorf("signature %+v", sig)
	}
}

// TestNoRSAKeyForDAViCal: a domain that has only a key DAViCal cannot verify sends it nothing.
func TestNoRSAKeyForDAViCal(t *testing.T) {
	f := &finder{receivers: map[string]*discovery.Receiver{"friend.example": receiver("dav.friend.example")}}
	s, a := davical(t, f, func(s *snapshot.Snapshot) { s.Domains[1].Signing.Keys = s.Domains[1].Signing.Keys[:1] })
	answer, refusal := s.Send(t.Context(), submission(t, a, invitation([]string{"mailto:bob@friend.example"}), "mailto:bob@friend.example"))
	if refusal != nil || answer.Results[0].Status.Code != "5.1" || len(f.posts) > 0 {
		t.Errorf("%+v %v, %d posts", answer, refusal, len(f.posts))
	}
}
