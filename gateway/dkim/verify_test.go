package dkim_test

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/calfed/calfed/gateway/dkim"
)

// Every rule about the signature itself, each on a signature whose b= is right.
//
// Proves: IS-DKIM-4, IS-DKIM-5, IS-DKIM-6, IS-DKIM-8
func TestStaticRules(t *testing.T) {
	key := rsaKey(t, 2048)
	h := "h=Content-Type:iSchedule-Version:Originator:Recipient"
	for _, tc := range []struct {
		name, old, new string
		header         http.Header
		want           string
	}{
		{"a good signature", "v=1", "v=1", nil, ""},
		{"ischedule-relaxed alone means a simple body", "/simple", "", nil, ""},
		{"unknown tags are ignored", "v=1", "v=1; foo=bar; http=x", nil, ""},
		{"a name twice in h= adds nothing", ":Recipient", ":Recipient:RECIPIENT", nil, ""},
		{"a field of h= that is absent adds nothing", ":Recipient", ":Recipient:X-None", nil, ""},
		{"rsa-sha1", "rsa-sha256", "rsa-sha1", nil, dkim.ReasonAlgorithm},
		{"an unknown algorithm", "rsa-sha256", "rsa-sha512", nil, dkim.ReasonAlgorithm},
		{"relaxed", "c=ischedule-relaxed/simple", "c=relaxed/simple", nil, dkim.ReasonCanonicalization},
		{"a relaxed body", "c=ischedule-relaxed/simple", "c=ischedule-relaxed/relaxed", nil, dkim.ReasonCanonicalization},
		{"simple", "c=ischedule-relaxed/simple", "c=simple/simple", nil, dkim.ReasonCanonicalization},
		{"no c= means simple", "c=ischedule-relaxed/simple; ", "", nil, dkim.ReasonCanonicalization},
		{"an empty c=", "c=ischedule-relaxed/simple", "c=", nil, dkim.ReasonCanonicalization},
		{"DAViCal's simple-http", "c=ischedule-relaxed/simple", "c=simple-http", nil, dkim.ReasonCanonicalization},
		{"l= of the whole body", "v=1", "v=1; l=33", nil, dkim.ReasonLength},
		{"an empty l=", "v=1", "v=1; l=", nil, dkim.ReasonLength},
		{"h= without Content-Type", "h=Content-Type:", "h=", nil, dkim.ReasonHeaders},
		{"h= without iSchedule-Version", "iSchedule-Version:", "", nil, dkim.ReasonHeaders},
		{"h= without Originator", "Originator:", "", nil, dkim.ReasonHeaders},
		{"h= without Recipient", ":Recipient", "", nil, dkim.ReasonHeaders},
		{"a signed Originator that the message lacks", "v=1", "v=1", with("Originator"), dkim.ReasonHeaders},
		{"a signed Recipient that the message lacks", "v=1", "v=1", with("Recipient"), dkim.ReasonHeaders},
		{"Authorization that is not signed", "v=1", "v=1", with("Authorization", "Bearer x"), dkim.ReasonHeaders},
		{"Authorization that is signed", ":Recipient", ":Recipient:authorization", with("Authorization", "Bearer x"), ""},
		{"a signed field with a line end", "v=1", "v=1", with("Originator", "a\nb"), dkim.ReasonHeaders},
		{"h= with Cache-Control", h, h + ":cache-control", nil, dkim.ReasonHeaders},
		{"h= with Connection", h, h + ":Connection", nil, dkim.ReasonHeaders},
		{"h= with Content-Length", h, h + ":Content-Length", nil, dkim.ReasonHeaders},
		{"h= with DKIM-Signature", h, h + ":DKIM-Signature", nil, dkim.ReasonHeaders},
		{"h= with Host", h, h + ":Host", nil, dkim.ReasonHeaders},
		{"h= with Keep-Alive", h, h + ":Keep-Alive", nil, dkim.ReasonHeaders},
		{"h= with Proxy-Authenticate", h, h + ":Proxy-Authenticate", nil, dkim.ReasonHeaders},
		{"h= with Proxy-Authorization", h, h + ":Proxy-Authorization", nil, dkim.ReasonHeaders},
		{"h= with TE", h, h + ":TE", nil, dkim.ReasonHeaders},
		{"h= with Trailer", h, h + ":Trailer", nil, dkim.ReasonHeaders},
		{"h= with Transfer-Encoding", h, h + ":Transfer-Encoding", nil, dkim.ReasonHeaders},
		{"h= with Upgrade", h, h + ":Upgrade", nil, dkim.ReasonHeaders},
		{"i= equal to d=", "v=1", "v=1; i=anna@Sender.example", nil, ""},
		{"i= below d=", "v=1", "v=1; i=@a.sender.example", nil, ""},
		{"i= elsewhere", "v=1", "v=1; i=@other.example", nil, dkim.ReasonIdentity},
		{"i= that only ends like d=", "v=1", "v=1; i=@xsender.example", nil, dkim.ReasonIdentity},
		{"i= above d=", "v=1", "v=1; i=@example", nil, dkim.ReasonIdentity},
		{"i= without @", "v=1", "v=1; i=sender.example", nil, dkim.ReasonIdentity},
		{"i= with a domain that is none", "v=1", "v=1; i=@.sender.example", nil, dkim.ReasonIdentity},
	} {
		t.Run(tc.name, func(t *testing.T) {
			hdr := tc.header
			if hdr == nil {
				hdr = header()
			}
			if !strings.Contains(goodTags, tc.old) {
				t.Fatalf("%q is not in the tags", tc.old)
			}
			value, err := dkim.Forge(key, hdr, body, strings.Replace(goodTags, tc.old, tc.new, 1))
			if err != nil {
				// The message cannot be hashed at all: take a signature over another one.
				value = forge(t, key, header(), strings.Replace(goodTags, tc.old, tc.new, 1))
			}
			err = verify(hdr, body, value, published(t, key), now, dkim.Rules{})
			if got := reasonOf(t, err); got != tc.want {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// Proves: IS-DKIM-1, IS-DKIM-2, IS-DKIM-3
func TestChangedMessagesFail(t *testing.T) {
	for _, key := range []crypto.Signer{rsaKey(t, 2048), ed25519Key(t)} {
		s := &dkim.Signer{Domain: "sender.example", Selector: "sel", Key: key}
		value, err := s.Sign(header(), body, now)
		if err != nil {
			t.Fatal(err)
		}
		twice := header()
		twice.Add("User-Agent", "more")
		for _, tc := range []struct {
			name  string
			h     http.Header
			body  []byte
			value string
			rec   *dkim.Record
			want  string
		}{
			{"the body", header(), append([]byte("X"), body...), value, nil, dkim.ReasonBodyHash},
			{"text after the body", header(), append(body[:len(body):len(body)], "X"...), value, nil, dkim.ReasonBodyHash},
			{"the Originator", with("Originator", "mailto:eve@sender.example"), body, value, nil, dkim.ReasonBadSignature},
			{"one Recipient more", with("Recipient", header().Get("Recipient"), "mailto:eve@receiver.example"), body, value, nil, dkim.ReasonBadSignature},
			{"Recipients in another order", with("Recipient", "mailto:cleo@receiver.example,mailto:ben@receiver.example"), body, value, nil, dkim.ReasonBadSignature},
			{"an optional signed field taken away", with("User-Agent"), body, value, nil, dkim.ReasonBadSignature},
			{"an optional signed field added to", twice, body, value, nil, dkim.ReasonBadSignature},
			{"an unsigned field", with("Cache-Control", "no-store"), body, value, nil, ""},
			{"the signature's own x=", header(), body, strings.Replace(value, "x=1795349100", "x=1795349101", 1), nil, dkim.ReasonBadSignature},
			{"the signature's own s=", header(), body, strings.Replace(value, "s=sel", "s=sem", 1), nil, dkim.ReasonBadSignature},
			{"the key", header(), body, value, published(t, otherKey(t, key)), dkim.ReasonBadSignature},
		} {
			t.Run(tc.name, func(t *testing.T) {
				rec := tc.rec
				if rec == nil {
					rec = published(t, key)
				}
				err := verify(tc.h, tc.body, tc.value, rec, now, dkim.Rules{})
				if got := reasonOf(t, err); got != tc.want {
					t.Errorf("got %v, want %q", err, tc.want)
				}
			})
		}
	}
}

func otherKey(t *testing.T, key crypto.Signer) crypto.Signer {
	if _, ok := key.Public().(interface{ Size() int }); ok {
		other, err := dkim.GenerateKey("rsa-2048")
		if err != nil {
			t.Fatal(err)
		}
		return other
	}
	return ed25519Key(t)
}

// What proxies may do to fields between the two ends.
//
// Proves: IS-DKIM-2, IS-DKIM-3
func TestProxiesMayFoldJoinSplit(t *testing.T) {
	key := ed25519Key(t)
	s := &dkim.Signer{Domain: "sender.example", Selector: "sel", Key: key}
	value, err := s.Sign(header(), body, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		h    http.Header
	}{
		{"blanks after commas", with("Recipient", "mailto:ben@receiver.example, \t mailto:cleo@receiver.example")},
		{"blanks before commas", with("Recipient", "mailto:ben@receiver.example ,mailto:cleo@receiver.example")},
		{"one field each", with("Recipient", "mailto:ben@receiver.example", "mailto:cleo@receiver.example")},
		{"folded", with("Recipient", "mailto:ben@receiver.example,\r\n\tmailto:cleo@receiver.example")},
		{"folded between words", with("Content-Type", " text/calendar;\r\n charset=utf-8;  component=VEVENT;\tmethod=REQUEST ")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, v := range []string{value, strings.ReplaceAll(value, "; ", ";\r\n\t"), " " + strings.ReplaceAll(value, "; ", ";  ") + " "} {
				if err := verify(tc.h, body, v, published(t, key), now, dkim.Rules{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	// The value of b= is not part of what is hashed, so it may be broken anywhere.
	at := strings.LastIndex(value, "b=") + 10
	if err := verify(header(), body, value[:at]+"\r\n "+value[at:]+";", published(t, key), now, dkim.Rules{}); reasonOf(t, err) != dkim.ReasonBadSignature {
		t.Errorf("a semicolon after b= is hashed: %v", err)
	}
	if err := verify(header(), body, value[:at]+"\r\n "+value[at:], published(t, key), now, dkim.Rules{}); err != nil {
		t.Error(err)
	}
}

// RFC 6376 §3.4.3.
//
// Proves: IS-DKIM-1
func TestSimpleBody(t *testing.T) {
	for _, tc := range []struct{ name, body, canonical string }{
		{"no body becomes one line end", "", "\r\n"},
		{"empty lines only become one line end", "\r\n\r\n", "\r\n"},
		{"a missing last line end is added", "a", "a\r\n"},
		{"one line end stays", "a\r\n", "a\r\n"},
		{"empty lines at the end go", "a\r\n\r\n\r\n", "a\r\n"},
		{"a line with a blank is not empty", "a\r\n \r\n", "a\r\n \r\n"},
		{"empty lines inside stay", "a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n"},
		{"bare line feeds are text", "a\n\n", "a\n\n\r\n"},
		{"a bare CR is text", "a\r", "a\r\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := sha256.Sum256([]byte(tc.canonical))
			sig, err := dkim.ParseSignature("v=1; a=rsa-sha256; d=a.example; s=s; h=Originator; b=eA==; bh=" + base64.StdEncoding.EncodeToString(want[:]))
			if err != nil {
				t.Fatal(err)
			}
			if err := sig.CheckBody([]byte(tc.body)); err != nil {
				t.Error(err)
			}
		})
	}
}
