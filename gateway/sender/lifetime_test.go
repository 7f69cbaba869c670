package sender_test

import (
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/sender"
)

// TestSignatureLifetime: x= lies as far from t= as the domain says, five minutes when it says nothing.
//
// Proves: IS-DKIM-7
func TestSignatureLifetime(t *testing.T) {
	for configured, want := range map[time.Duration]time.Duration{0: 5 * time.Minute, 10 * time.Minute: 10 * time.Minute} {
		f := &finder{receivers: map[string]*discovery.Receiver{"peer.example": receiver("cal.peer.example")}}
		c := config(t)
		c.Domains[1].Signing.Lifetime = configured
		a := active(t, c)
		s, _ := newSender(t, f, func(cfg *sender.Config) { cfg.Active = a })
		if _, refusal := s.Send(t.Context(), submission(t, a, invitation([]string{"mailto:bob@peer.example"}), "mailto:bob@peer.example")); refusal != nil {
			t.Fatal(refusal)
		}
		sig := verify(t, f.posts[0], c.Domains[1].Signing.Keys[1].Record)
		if got := sig.Expires.Sub(sig.Time); got != want || !sig.Time.Equal(now) {
			t.Errorf("configured %s: signed at %s for %s, want %s", configured, sig.Time, got, want)
		}
	}
}
