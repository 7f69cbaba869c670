package sender_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/ischedule"
)

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
