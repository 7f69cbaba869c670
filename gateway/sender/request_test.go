package sender_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/sender"
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

// TestSigningKey: the first RSA key signs; without one the first key does; without any nothing leaves.
//
// Proves: IS-DKIM-4
func TestSigningKey(t *testing.T) {
	tests := []struct {
		name      string
		keys      []string
		algorithm string
	}{
		{"RSA is preferred", []string{"ed", "rsa"}, "rsa-sha256"},
		{"Ed25519 where there is no RSA key", []string{"ed"}, "ed25519-sha256"},
		{"no key", nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := &finder{receivers: map[string]*discovery.Receiver{"peer.example": receiver("cal.peer.example")}}
			c := config(t)
			c.Domains[1].Signing.Keys = nil
			for _, k := range test.keys {
				c.Domains[1].Signing.Keys = append(c.Domains[1].Signing.Keys, signingKey(t, "example.org", k))
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
	body := strings.Replace(invitation([]string{"MAILTO:Bob@Peer.EXAMPLE", "mailto:b%6Fnd@peer.example"}), "ORGANIZER:mailto:alice@example.org", "ORGANIZER:mailto:alice@Example.Org", 1)
	sub := submission(t, a, body, "mailto:Bob@peer.example", "bond@peer.example", "MAILTO:Bob@peer.example")
	response, err := s.Send(t.Context(), sub)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"peer.example"}, f.found); diff != "" {
		t.Errorf("looked up (-want +got):\n%s", diff)
	}
	if got, want := f.posts[0].header.Get("Recipient"), "MAILTO:Bob@Peer.EXAMPLE,mailto:b%6Fnd@peer.example"; got != want {
		t.Errorf("Recipient %q, want %q", got, want)
	}
	if got, want := f.posts[0].header.Get("Originator"), "mailto:alice@Example.Org"; got != want {
		t.Errorf("Originator %q, want %q", got, want)
	}
	want := []ischedule.RecipientResult{
		{Recipient: "mailto:Bob@peer.example", Status: ischedule.StatusDelivered},
		{Recipient: "bond@peer.example", Status: ischedule.StatusDelivered},
		{Recipient: "MAILTO:Bob@peer.example", Status: ischedule.StatusDelivered},
	}
	if diff := cmp.Diff(want, response.Results); diff != "" {
		t.Errorf("response (-want +got):\n%s", diff)
	}
}

// TestGrouping: one request for each receiver, whatever the number of domains behind it; another credential is another
// request.
//
// Proves: IS-SEND-1
func TestGrouping(t *testing.T) {
	shared, withCredential := receiver("hosting.example"), receiver("hosting.example")
	withCredential.Key += " with a credential"
	f := &finder{receivers: map[string]*discovery.Receiver{
		"a.example": shared, "b.example": shared, "friend.example": withCredential, "c.example": receiver("c.example"),
	}}
	s, a := newSender(t, f)
	to := []string{"mailto:1@a.example", "mailto:2@c.example", "mailto:3@b.example", "mailto:4@a.example", "mailto:5@friend.example"}
	response, err := s.Send(t.Context(), submission(t, a, invitation(to), to...))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range f.posts {
		got[p.header.Get("Recipient")] = p.url
	}
	want := map[string]string{
		"mailto:1@a.example,mailto:4@a.example,mailto:3@b.example": "https://hosting.example/ischedule",
		"mailto:2@c.example":      "https://c.example/ischedule",
		"mailto:5@friend.example": "https://hosting.example/ischedule",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	for i, r := range response.Results {
		if r.Recipient != to[i] || r.Status != ischedule.StatusDelivered {
			t.Errorf("result %d: %+v", i, r)
		}
	}
	if len(f.found) != 4 {
		t.Errorf("looked up %v: want every domain once", f.found)
	}
	if f.outs["a.example"] != nil || f.outs["friend.example"] == nil || f.outs["friend.example"].Authorization == "" {
		t.Errorf("outbound settings %v", f.outs)
	}
	if d := f.timeout["friend.example"]; d > 5*time.Second || d < time.Second {
		t.Errorf("time-out for friend.example %v, want the policy's 5 s", d)
	}
	if d := f.timeout["a.example"]; d > 30*time.Second || d < 20*time.Second {
		t.Errorf("time-out for a.example %v, want 30 s", d)
	}
}

// TestReceiversInParallel: a receiver that is slow to answer does not hold up the others.
//
// Proves: IS-SEND-1
func TestReceiversInParallel(t *testing.T) {
	const n = 5
	f := &finder{receivers: map[string]*discovery.Receiver{}}
	var to []string
	for i := range n {
		host := fmt.Sprintf("r%d.example", i)
		f.receivers[host] = receiver(host)
		to = append(to, "mailto:u@"+host)
	}
	arrived, all := make(chan struct{}, n), make(chan struct{})
	go func() {
		for range n {
			<-arrived
		}
		close(all)
	}()
	f.answer = func(p posted) (*discovery.Answer, error) {
		arrived <- struct{}{}
		select {
		case <-all: // only when the others are under way too
		case <-time.After(10 * time.Second):
			return nil, errUnplugged
		}
		r := ischedule.Response{Results: []ischedule.RecipientResult{{Recipient: p.header.Get("Recipient"), Status: ischedule.StatusDelivered}}}
		return &discovery.Answer{Status: 200, Body: r.Marshal()}, nil
	}
	s, a := newSender(t, f)
	response, err := s.Send(t.Context(), submission(t, a, invitation(to), to...))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range response.Results {
		if r.Status != ischedule.StatusDelivered {
			t.Errorf("%+v", r)
		}
	}
}

// TestSplitting: requests respect max-recipients, and 4 KiB of Recipient field.
//
// Proves: IS-CAP-7
func TestSplitting(t *testing.T) {
	var many, long []string
	for i := range 7 {
		many = append(many, fmt.Sprintf("mailto:u%d@peer.example", i))
	}
	for i := range 40 {
		long = append(long, fmt.Sprintf("mailto:%s%02d@peer.example", strings.Repeat("x", 40), i))
	}
	long = append(long, long[0][:len(long[0])-len("@peer.example")]+"-and-more"+"@peer.example")
	tests := []struct {
		name string
		max  int
		to   []string
		want []int
	}{
		{"max-recipients", 3, many, []int{3, 3, 1}},
		{"exactly max-recipients", 7, many, []int{7}},
		{"no max-recipients", 0, many, []int{7}},
		{"4 KiB of Recipient field", 0, append(long, manyLong(200)...), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := &finder{receivers: map[string]*discovery.Receiver{
				"peer.example": receiver("cal.peer.example", func(c *ischedule.Capabilities) { c.MaxRecipients = test.max }),
			}}
			s, a := newSender(t, f)
			response, err := s.Send(t.Context(), submission(t, a, invitation(test.to), test.to...))
			if err != nil {
				t.Fatal(err)
			}
			sizes := map[int]int{}
			total := 0
			for _, p := range f.posts {
				field := p.header.Get("Recipient")
				n := len(strings.Split(field, ","))
				sizes[n]++
				total += n
				if len(field) > 4096 {
					t.Errorf("a Recipient field of %d octets", len(field))
				}
			}
			if total != len(test.to) {
				t.Errorf("%d recipients sent, want %d", total, len(test.to))
			}
			if test.want != nil {
				want := map[int]int{}
				for _, n := range test.want {
					want[n]++
				}
				if diff := cmp.Diff(want, sizes); diff != "" {
					t.Errorf("requests by size (-want +got):\n%s", diff)
				}
			} else if len(f.posts) < 3 {
				t.Errorf("%d requests for a Recipient field that needs three", len(f.posts))
			}
			for i, r := range response.Results {
				if r.Recipient != test.to[i] || r.Status != ischedule.StatusDelivered {
					t.Fatalf("result %d: %+v", i, r)
				}
			}
		})
	}
}

func manyLong(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("mailto:%s-%03d@peer.example", strings.Repeat("y", 30), i))
	}
	return out
}

// TestFreeBusyAsksItsRecipients: the body holds exactly the ATTENDEEs of the request's Recipients, signed as it leaves.
//
// Proves: IS-SEND-3
func TestFreeBusyAsksItsRecipients(t *testing.T) {
	f := &finder{receivers: map[string]*discovery.Receiver{
		"a.example": receiver("a.example", func(c *ischedule.Capabilities) { c.MaxRecipients = 1 }),
		"b.example": receiver("b.example"),
	}}
	f.answer = func(p posted) (*discovery.Answer, error) {
		r := &ischedule.Response{}
		for _, to := range strings.Split(p.header.Get("Recipient"), ",") {
			r.Results = append(r.Results, ischedule.RecipientResult{Recipient: to, Status: ischedule.StatusDelivered, CalendarData: []byte(busy(to))})
		}
		return &discovery.Answer{Status: 200, Body: r.Marshal()}, nil
	}
	s, a := newSender(t, f)
	to := []string{"mailto:1@a.example", "mailto:2@b.example", "mailto:3@a.example", "mailto:4@b.example"}
	sub := submission(t, a, question(append([]string{"mailto:alice@example.org"}, to...)...), to...)
	response, err := s.Send(t.Context(), sub)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range f.posts {
		verify(t, p, config(t).Domains[1].Signing.Keys[1].Record)
		got[p.header.Get("Recipient")] = string(p.body)
	}
	want := map[string]string{
		"mailto:1@a.example":                    question("mailto:1@a.example"),
		"mailto:3@a.example":                    question("mailto:3@a.example"),
		"mailto:2@b.example,mailto:4@b.example": question("mailto:2@b.example", "mailto:4@b.example"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bodies by Recipient (-want +got):\n%s", diff)
	}
	for i, r := range response.Results {
		if r.Status != ischedule.StatusDelivered || string(r.CalendarData) != busy(to[i]) {
			t.Errorf("result %d: %+v", i, r)
		}
	}
}

// TestAddressesOfOtherForms: the header holds ASCII; an address that has no such form, or no domain, gets its own
// status and is no obstacle to the others.
//
// Proves: IS-ADDR-1, IS-DISC-1
func TestAddressesOfOtherForms(t *testing.T) {
	f := &finder{receivers: map[string]*discovery.Receiver{"peer.example": receiver("cal.peer.example"), "xn--bcher-kva.example": receiver("cal.peer.example")}}
	s, a := newSender(t, f)
	to := []string{"mailto:bob@bücher.example", "https://peer.example/principals/bob", "https://peer.example/ü", "urn:uuid:8a9d1d0e-62c8-4b0a-8dd1-0f3c5c2f9d1e"}
	response, err := s.Send(t.Context(), submission(t, a, invitation(to), to...))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{to[0]: "2.0", to[1]: "2.0", to[2]: "3.7", to[3]: "5.2"}
	if diff := cmp.Diff(want, statuses(response)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if got, want := f.posts[0].header.Get("Recipient"), "mailto:bob@xn--bcher-kva.example,https://peer.example/principals/bob"; got != want {
		t.Errorf("Recipient %q, want %q", got, want)
	}
}
