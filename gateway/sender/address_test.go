package sender_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/discovery"
)

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
	slices.Sort(f.found)
	if diff := cmp.Diff([]string{"peer.example", "xn--bcher-kva.example"}, f.found); diff != "" {
		t.Errorf("looked up (-want +got):\n%s", diff)
	}
	if got, want := f.posts[0].header.Get("Recipient"), "mailto:bob@xn--bcher-kva.example,https://peer.example/principals/bob"; got != want {
		t.Errorf("Recipient %q, want %q", got, want)
	}
}
