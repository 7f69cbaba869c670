package dkim_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/dkim"
)

// Proves: IS-DKIM-4, IS-DKIM-5, IS-DKIM-7
func TestSignedMessagesVerify(t *testing.T) {
	for _, tc := range []struct {
		name string
		key  crypto.Signer
		alg  string
	}{
		{"RSA", rsaKey(t, 2048), "rsa-sha256"},
		{"Ed25519", ed25519Key(t), "ed25519-sha256"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &dkim.Signer{Domain: "Sender.Example", Selector: "sel", Key: tc.key, Query: []string{dkim.MethodWellKnown, dkim.MethodDNS}}
			h := header()
			value, err := s.Sign(h, body, now)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(header(), h); diff != "" {
				t.Errorf("Sign changed the header (-before +after):\n%s", diff)
			}
			form := regexp.MustCompile(`^v=1; a=` + tc.alg + `; c=ischedule-relaxed/simple; d=sender\.example; s=sel; ` +
				`t=1795348800; x=1795349100; q=http/well-known:dns/txt; ` +
				`h=Content-Type:iSchedule-Version:Originator:Recipient:iSchedule-Message-ID:User-Agent; bh=[A-Za-z0-9+/=]+; b=[A-Za-z0-9+/=]+$`)
			if !form.MatchString(value) {
				t.Errorf("field value %s", value)
			}
			rec := published(t, tc.key)
			if err := verify(h, body, value, rec, now, dkim.Rules{}); err != nil {
				t.Error(err)
			}
			sig, err := dkim.ParseSignature(value)
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]bool{"originator": true, "USER-AGENT": true, "Cache-Control": false, "Content-Length": false} {
				if sig.Signs(name) != want {
					t.Errorf("Signs(%s) = %v", name, !want)
				}
			}
		})
	}
}

// Proves: IS-DKIM-2, IS-DKIM-4
func TestSignCoversWhatIsPresent(t *testing.T) {
	s := &dkim.Signer{Domain: "sender.example", Selector: "sel", Key: ed25519Key(t)}
	h := with("User-Agent")
	h.Del("iSchedule-Message-ID")
	h.Set("Authorization", "Bearer x")
	h.Set("Content-Length", "33")
	h.Set("Connection", "close")
	value, err := s.Sign(h, body, now)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := dkim.ParseSignature(value)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Content-Type", "iSchedule-Version", "Originator", "Recipient", "Authorization"}
	if diff := cmp.Diff(want, sig.Headers); diff != "" {
		t.Errorf("h= (-want +got):\n%s", diff)
	}
	if strings.Contains(value, "q=") {
		t.Errorf("q= without methods: %s", value)
	}
}

// Names may be spelled as the wire shall show them.
//
// Proves: IS-DKIM-2
func TestSignTakesAnySpellingOfNames(t *testing.T) {
	key := ed25519Key(t)
	s := &dkim.Signer{Domain: "sender.example", Selector: "sel", Key: key}
	h := header()
	h["iSchedule-Version"] = h["Ischedule-Version"]
	delete(h, "Ischedule-Version")
	value, err := s.Sign(h, body, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(header(), body, value, published(t, key), now, dkim.Rules{}); err != nil {
		t.Error(err)
	}
	h["ISCHEDULE-VERSION"] = []string{"2.0"}
	if value, err := s.Sign(h, body, now); err == nil {
		t.Errorf("two spellings of a field were signed: %s", value)
	}
}

// Proves: IS-DKIM-7
func TestSignLifetime(t *testing.T) {
	for _, tc := range []struct {
		set, want time.Duration
	}{
		{0, 300 * time.Second},
		{time.Hour, time.Hour},
		{time.Second, time.Minute},
		{-time.Hour, time.Minute},
	} {
		s := &dkim.Signer{Domain: "sender.example", Selector: "sel", Key: ed25519Key(t), Lifetime: tc.set}
		value, err := s.Sign(header(), body, now)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := dkim.ParseSignature(value)
		if err != nil {
			t.Fatal(err)
		}
		if got := sig.Expires.Sub(sig.Time); got != tc.want || !sig.Time.Equal(now) {
			t.Errorf("Lifetime %v: t=%v, x=t+%v, want t+%v", tc.set, sig.Time, got, tc.want)
		}
	}
}

// willing signs with any key.
type willing struct{ public crypto.PublicKey }

func (k willing) Public() crypto.PublicKey { return k.public }

func (k willing) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return []byte("signed"), nil
}

// Proves: IS-DKIM-4, IS-DKIM-5
func TestSignRefuses(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := ed25519Key(t)
	for _, tc := range []struct {
		name string
		s    dkim.Signer
		h    http.Header
	}{
		{"no key", dkim.Signer{Domain: "sender.example", Selector: "sel"}, header()},
		{"a key of another kind", dkim.Signer{Domain: "sender.example", Selector: "sel", Key: ec}, header()},
		{"an RSA key below 1024 bits", dkim.Signer{Domain: "sender.example", Selector: "sel", Key: willing{sized(1016)}}, header()},
		{"an RSA key above 4096 bits", dkim.Signer{Domain: "sender.example", Selector: "sel", Key: willing{sized(4104)}}, header()},
		{"no domain", dkim.Signer{Selector: "sel", Key: good}, header()},
		{"a domain that is none", dkim.Signer{Domain: "sender.example; x=1", Selector: "sel", Key: good}, header()},
		{"a selector that is none", dkim.Signer{Domain: "sender.example", Selector: "a_b", Key: good}, header()},
		{"a look-up method with a semicolon", dkim.Signer{Domain: "sender.example", Selector: "sel", Key: good, Query: []string{"dns/txt; l=1"}}, header()},
		{"a message without Originator", dkim.Signer{Domain: "sender.example", Selector: "sel", Key: good}, with("Originator")},
		{"a field with a line end", dkim.Signer{Domain: "sender.example", Selector: "sel", Key: good}, with("User-Agent", "a\r\nRecipient:b")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if value, err := tc.s.Sign(tc.h, body, now); err == nil {
				t.Errorf("signed: %s", value)
			}
		})
	}
}
