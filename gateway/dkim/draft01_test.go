package dkim_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/dkim"
)

const davicalRequest, davicalKey = "davical-vevent-simple-http.req", "davical-dav.example.net.pub.pem"

// verifyDraft01 runs what the submit listener runs.
func verifyDraft01(host string, h http.Header, body []byte, value string, rec *dkim.Record, now time.Time) error {
	sig, err := dkim.ParseSignature(value)
	if err != nil {
		return err
	}
	if err := sig.CheckDraft01(host, h, rec, dkim.Rules{}); err != nil {
		return err
	}
	if err := sig.CheckTime(now, dkim.Rules{}); err != nil {
		return err
	}
	return sig.CheckBodyDraft01(body)
}

// What DAViCal 1.1.12 signed verifies as it came, and nothing else does.
//
// Proves: IS-SUB-1
func TestDraft01OfDAViCal(t *testing.T) {
	const sent = 1795349441 // t= of the file
	replace := func(old, repl string) func(*string, http.Header, *[]byte) {
		return func(value *string, _ http.Header, _ *[]byte) { *value = strings.Replace(*value, old, repl, 1) }
	}
	field := func(name string, values ...string) func(*string, http.Header, *[]byte) {
		return func(_ *string, h http.Header, _ *[]byte) { h[http.CanonicalHeaderKey(name)] = values }
	}
	for _, tc := range []struct {
		rule   string
		change func(value *string, h http.Header, body *[]byte)
		want   string
	}{
		{"as it came", nil, ""},
		{"another name's case", replace("h=iSchedule-Version:Originator", "h=ischedule-version:Originator"), dkim.ReasonBadSignature},
		{"another Recipient", field("Recipient", "other@gw.example"), dkim.ReasonBadSignature},
		{"a second Recipient field", field("Recipient", "guest@gw.example", "other@gw.example"), dkim.ReasonHeaders},
		{"no Originator", field("Originator"), dkim.ReasonHeaders},
		{"a blank more", field("Recipient", "guest@gw.example "), dkim.ReasonBadSignature},
		{"a line end in a field", field("Recipient", "guest@gw.example\r\nX: y"), dkim.ReasonHeaders},
		{"another body", func(_ *string, _ http.Header, body *[]byte) { (*body)[20]++ }, dkim.ReasonBodyHash},
		{"text behind l=", func(_ *string, _ http.Header, body *[]byte) { *body = append(*body, "more"...) }, dkim.ReasonLength},
		{"a shorter body", func(_ *string, _ http.Header, body *[]byte) { *body = (*body)[:400] }, dkim.ReasonLength},
		{"another l=", replace("l=462", "l=0"), dkim.ReasonBadSignature},
		{"t= moved", replace("t=1795349441", "t=1795349442"), dkim.ReasonBadSignature},
		{"Recipient is not signed", replace(":Recipient:", ":"), dkim.ReasonHeaders},
		{"a name twice", replace(":Recipient:", ":Recipient:recipient:"), dkim.ReasonHeaders},
		{"a hop-by-hop field is signed", func(value *string, h http.Header, body *[]byte) {
			field("Connection", "close")(value, h, body)
			replace(":Recipient:", ":Recipient:Connection:")(value, h, body)
		}, dkim.ReasonHeaders},
		{"the profile of draft-05", replace("c=simple-http", "c=ischedule-relaxed/simple"), dkim.ReasonCanonicalization},
		{"another algorithm of draft-05", replace("a=rsa-sha256", "a=ed25519-sha256"), dkim.ReasonAlgorithm},
		{"rsa-sha1", replace("a=rsa-sha256", "a=rsa-sha1"), dkim.ReasonAlgorithm},
		{"i= elsewhere", replace("q=dns/txt", "i=@example.org; q=dns/txt"), dkim.ReasonIdentity},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			h, body := readRequest(t, davicalRequest)
			value := h.Get(dkim.FieldName)
			if tc.change != nil {
				tc.change(&value, h, &body)
			}
			err := verifyDraft01("127.0.0.1:18600", h, body, value, recordOf(t, davicalKey), time.Unix(sent, 0))
			if got := reasonOf(t, err); got != tc.want {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	for _, tc := range []struct {
		rule string
		at   int64
		want string
	}{
		{"an hour and its grace", sent + 3600 + 60, ""},
		{"more than an hour later", sent + 3600 + 61, dkim.ReasonExpired},
		{"five minutes ahead", sent - 300, ""},
		{"more than five minutes ahead", sent - 301, dkim.ReasonFuture},
	} {
		h, body := readRequest(t, davicalRequest)
		err := verifyDraft01("", h, body, h.Get(dkim.FieldName), recordOf(t, davicalKey), time.Unix(tc.at, 0))
		if got := reasonOf(t, err); got != tc.want {
			t.Errorf("%s: got %v, want %q", tc.rule, err, tc.want)
		}
	}
}

// A key record limits its key in this profile too; DAViCal's own service name is known here only.
//
// Proves: IS-SUB-1, IS-DKIM-10
func TestDraft01KeyRecord(t *testing.T) {
	good := recordOf(t, davicalKey)
	for _, tc := range []struct {
		rule   string
		change func(*dkim.Record)
		want   string
	}{
		{"s=calendar", func(r *dkim.Record) { r.Services = []string{"calendar"} }, ""},
		{"s=email", func(r *dkim.Record) { r.Services = []string{"email"} }, dkim.ReasonKeyMismatch},
		{"revoked", func(r *dkim.Record) { r.Revoked = true }, dkim.ReasonKeyRevoked},
		{"being tested", func(r *dkim.Record) { r.Testing = true }, dkim.ReasonKeyTesting},
	} {
		rec := *good
		tc.change(&rec)
		h, body := readRequest(t, davicalRequest)
		err := verifyDraft01("", h, body, h.Get(dkim.FieldName), &rec, time.Unix(1795349441, 0))
		if got := reasonOf(t, err); got != tc.want {
			t.Errorf("%s: got %v, want %q", tc.rule, err, tc.want)
		}
	}
	weak := rsaKey(t, 1024)
	signer := &dkim.Signer{Domain: "sender.example", Selector: "sel", Key: weak}
	value, err := signer.SignDraft01("dav.example", header(), body, now)
	if err != nil {
		t.Fatal(err)
	}
	if got := reasonOf(t, verifyDraft01("dav.example", header(), body, value, published(t, weak), now)); got != dkim.ReasonKeySize {
		t.Errorf("1024 bits: got %q", got)
	}
}

// What we sign for DAViCal has the shape its parser wants, and covers Host.
//
// Proves: IS-DKIM-7
func TestSignDraft01(t *testing.T) {
	key := rsaKey(t, 2048)
	signer := &dkim.Signer{Domain: "Sender.example", Selector: "sel", Key: key, Query: []string{dkim.MethodWellKnown}}
	value, err := signer.SignDraft01("dav.example:8443", header(), body, now)
	if err != nil {
		t.Fatal(err)
	}
	want := "v=1; a=rsa-sha256; c=simple-http; d=sender.example; s=sel; t=1795348800; x=1795349100; q=dns/txt; " +
		"h=Host:iSchedule-Version:Originator:Recipient:Content-Type; bh="
	if !strings.HasPrefix(value, want) || strings.Count(value, " b=") != 1 || strings.ContainsAny(value, "\r\n\t") {
		t.Errorf("got  %s\nwant %s…", value, want)
	}
	for host, reason := range map[string]string{"dav.example:8443": "", "dav.example": dkim.ReasonBadSignature} {
		if got := reasonOf(t, verifyDraft01(host, header(), body, value, published(t, key), now)); got != reason {
			t.Errorf("Host %s: got %q, want %q", host, got, reason)
		}
	}
	// the raw body, not its simple form
	if got := reasonOf(t, verifyDraft01("dav.example:8443", header(), append(bytes.Clone(body), "\r\n"...), value, published(t, key), now)); got != dkim.ReasonBodyHash {
		t.Errorf("an empty line more: got %q", got)
	}

	signer.Key = ed25519Key(t)
	if _, err := signer.SignDraft01("dav.example", header(), body, now); err == nil {
		t.Error("an Ed25519 key signs in a profile that knows RSA only")
	}
	signer.Key = key
	for rule, h := range map[string]http.Header{"no Recipient": with("Recipient"), "two Recipient fields": with("Recipient", "a@b.example", "c@b.example")} {
		if _, err := signer.SignDraft01("dav.example", h, body, now); err == nil {
			t.Errorf("%s: signed", rule)
		}
	}
	if _, err := signer.SignDraft01("dav.example\r\nX: y", header(), body, now); err == nil {
		t.Error("a Host with a line end: signed")
	}
}

// Under draft-05 rules a draft-01 signature is none, however good.
//
// Proves: IS-DKIM-6
func TestDraft01IsNotDraft05(t *testing.T) {
	key := rsaKey(t, 2048)
	signer := &dkim.Signer{Domain: "sender.example", Selector: "sel", Key: key}
	value, err := signer.SignDraft01("dav.example", header(), body, now)
	if err != nil {
		t.Fatal(err)
	}
	if got := reasonOf(t, verify(header(), body, value, published(t, key), now, dkim.Rules{})); got != dkim.ReasonCanonicalization {
		t.Errorf("got %q", got)
	}
}
