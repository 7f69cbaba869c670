package dkim_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/calfed/calfed/gateway/dkim"
)

// What parses keeps to the syntax that the rest relies on, and every check ends in an *Error.
//
// Proves: IS-DKIM-6, IS-RECV-1
func FuzzParseSignature(f *testing.F) {
	f.Add(minimal)
	f.Add(goodTags)
	for _, file := range []string{"cyrus-vevent.req", "davical-vevent-simple-http.req"} {
		h, _ := readRequest(f, file)
		f.Add(h.Get(dkim.FieldName))
	}
	f.Add("v=1;a=;b=\r\n ;;")
	rec := published(f, ed25519Key(f))
	f.Fuzz(func(t *testing.T, value string) {
		sig, err := dkim.ParseSignature(value)
		if err != nil {
			_ = reasonOf(t, err)
			return
		}
		name := sig.Selector + "._domainkey." + sig.Domain
		if len(name) > 253 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-._") != "" || strings.Contains(name, "..") {
			t.Errorf("name %q", name)
		}
		if len(sig.Headers) == 0 || len(sig.Headers) > 64 || len(sig.Query) == 0 || len(sig.Value) == 0 || len(sig.BodyHash) == 0 {
			t.Errorf("%+v", sig)
		}
		for _, c := range sig.Checks(http.Header{}, nil, rec, now, dkim.Rules{}) {
			_ = reasonOf(t, c.Err)
		}
		_ = reasonOf(t, sig.CheckDraft01("gw.example", http.Header{}, rec, dkim.Rules{}))
		_ = reasonOf(t, sig.CheckBodyDraft01(nil))
		// Folding a value changes nothing of what it says, as the receiver sees it.
		if again, err := dkim.ParseSignature(" " + value + "\t"); err == nil && string(again.Value) != string(sig.Value) {
			t.Errorf("b= changed with the blanks around the field")
		}
	})
}

// A record is either revoked or has a key of its type, and what is formatted again is the same key.
//
// Proves: IS-DKIM-10
func FuzzParseRecord(f *testing.F) {
	f.Add("v=DKIM1; k=ed25519; p=" + ed25519P)
	f.Add("v=DKIM1; p=")
	f.Add("k=rsa; h=sha256; s=*; t=y:s; n=; p=AAAA")
	text, err := dkim.FormatRecord(rsaKey(f, 1024).Public(), true)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text string) {
		rec, err := dkim.ParseRecord(text)
		if err != nil {
			if got := reasonOf(t, err); got != dkim.ReasonKeySyntax {
				t.Errorf("reason %q", got)
			}
			return
		}
		if rec.Revoked != (rec.Public == nil) {
			t.Errorf("%+v", rec)
		}
		if rec.Revoked {
			return
		}
		out, err := dkim.FormatRecord(rec.Public, false)
		if err != nil {
			t.Fatal(err)
		}
		again, err := dkim.ParseRecord(out)
		if err != nil || again.KeyType != rec.KeyType {
			t.Errorf("%q: %+v, %v", out, again, err)
		}
	})
}

// Proves: IS-DKIM-5
func FuzzParsePrivateKey(f *testing.F) {
	for _, algorithm := range []string{"rsa-2048", "ed25519"} {
		key, err := dkim.GenerateKey(algorithm)
		if err != nil {
			f.Fatal(err)
		}
		text, err := dkim.MarshalPrivateKey(key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := dkim.ParsePrivateKey(text)
		if err != nil {
			return
		}
		if _, err := dkim.FormatRecord(key.Public(), false); err != nil {
			t.Error(err)
		}
	})
}
