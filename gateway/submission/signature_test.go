package submission_test

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/submission"
)

// sent is the t= of the recorded request.
var sent = time.Unix(1795349441, 0)

// recorded is what DAViCal 1.1.12 sent, over TLS.
func recorded(t testing.TB, change ...func(*http.Request)) *http.Request {
	t.Helper()
	data, err := os.ReadFile("../dkim/testdata/davical-vevent-simple-http.req")
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	req.RemoteAddr, req.TLS = "192.0.2.7:4711", &tls.ConnectionState{}
	for _, c := range change {
		c(req)
	}
	return req
}

func davicalRecord(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("../dkim/testdata/davical-dav.example.net.pub.pem")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	return "k=rsa; t=s; p=" + base64.StdEncoding.EncodeToString(block.Bytes) // as DAViCal's own page tells people to publish it
}

var ownKey = sync.OnceValue(func() crypto.Signer {
	key, err := dkim.GenerateKey("rsa-2048")
	if err != nil {
		panic(err)
	}
	return key
})

func ownRecord(t testing.TB) string {
	t.Helper()
	record, err := dkim.FormatRecord(ownKey().Public(), false)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// signed is a submission for sender.example, signed by the key pinned there; change comes before the signature.
func signed(t testing.TB, change ...func(*http.Request, *dkim.Signer)) *http.Request {
	t.Helper()
	req := post(with("Authorization", ""), with("Originator", "mailto:anna@sender.example"))
	signer := &dkim.Signer{Domain: "keys.example", Selector: "sel", Key: ownKey()}
	for _, c := range change {
		c(req, signer)
	}
	value, err := signer.Sign(req.Header, []byte(body), sent)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("DKIM-Signature", value)
	return req
}

func signedHandler(t testing.TB, out submission.Sender, now func() time.Time) *submission.Handler {
	t.Helper()
	return newHandler(t, out, func(c *submission.Config) { c.Now = now })
}

// TestPinnedKey: a signature by the key pinned to a submitter authorises it, in the profile of draft-05 and in DAViCal's of
// draft-01, over the whole message and for a short time.
//
// Proves: IS-SUB-1, IS-SEND-4, IS-DKIM-7
func TestPinnedKey(t *testing.T) {
	setBody := func(s string) func(*http.Request) {
		return func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader(s)), int64(len(s)) }
	}
	original, err := io.ReadAll(recorded(t).Body)
	if err != nil {
		t.Fatal(err)
	}
	at := func(d time.Duration) func() time.Time { return func() time.Time { return sent.Add(d) } }
	signature := func(old, repl string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("DKIM-Signature", strings.Replace(r.Header.Get("DKIM-Signature"), old, repl, 1))
		}
	}
	then := func(r *http.Request, change func(*http.Request)) *http.Request { change(r); return r }
	for _, tc := range []struct {
		rule   string
		req    *http.Request
		now    func() time.Time
		as     string
		status int
		reason string // of the refusal
	}{
		{"DAViCal's own", recorded(t), at(0), "davical dav.example.net", 200, ""},
		{"DAViCal's own, later", recorded(t), at(time.Hour), "davical dav.example.net", 200, ""},
		{"DAViCal's own, much later", recorded(t), at(62 * time.Minute), "", 403, dkim.ReasonExpired},
		{"DAViCal's own, too early", recorded(t), at(-6 * time.Minute), "", 403, dkim.ReasonFuture},
		{"l= without the end of the body", recorded(t, setBody(string(original)+"BEGIN:VCALENDAR\r\n")), at(0), "", 403, dkim.ReasonLength},
		{"another body of the same length", recorded(t, setBody(strings.Replace(string(original), "Dav out", "Dav OUT", 1))), at(0), "", 403, dkim.ReasonBodyHash},
		{"another recipient", recorded(t, with("Recipient", "mallory@gw.example")), at(0), "", 403, dkim.ReasonBadSignature},
		{"another Originator of the domain", recorded(t, with("Originator", "mailto:boss@dav.example.net")), at(0), "", 403, dkim.ReasonBadSignature},
		{"a selector that is not pinned", recorded(t, signature("s=cal", "s=other")), at(0), "", 403, dkim.ReasonKeyMissing},
		{"a domain that is not pinned", recorded(t, signature("d=dav.example.net", "d=example.org")), at(0), "", 403, dkim.ReasonKeyMissing},
		{"a second signature", recorded(t, func(r *http.Request) { r.Header.Add("DKIM-Signature", "v=1") }), at(0), "", 403, dkim.ReasonSyntax},
		{"no signature at all", recorded(t, with("DKIM-Signature", "")), at(0), "", 401, ""},

		{"draft-05", signed(t), at(0), "by-key sender.example", 200, ""},
		{"draft-05, another body", then(signed(t), setBody("BEGIN:VCALENDAR\r\nX:1\r\nEND:VCALENDAR\r\n")), at(0), "", 403, dkim.ReasonBodyHash},
		{"draft-05 past x=", signed(t), at(7 * time.Minute), "", 403, dkim.ReasonExpired},
		{"another domain's Originator", signed(t, func(r *http.Request, _ *dkim.Signer) { r.Header.Set("Originator", "mailto:alice@example.org") }), at(0), "", 403, "not for the Originator"},
		{"another key", signed(t, func(_ *http.Request, s *dkim.Signer) { s.Key = otherKey() }), at(0), "", 403, dkim.ReasonBadSignature},
		{"the domain of the Originator where another is pinned", signed(t, func(_ *http.Request, s *dkim.Signer) { s.Domain = "sender.example" }), at(0), "", 403, dkim.ReasonKeyMissing},
		{"in clear from elsewhere", then(signed(t), func(r *http.Request) { r.TLS = nil }), at(0), "", 403, "https"},
		{"a wrong token beside it", then(signed(t, func(r *http.Request, _ *dkim.Signer) { r.Header.Set("Authorization", "Bearer wrong") }), func(*http.Request) {}), at(0), "by-key sender.example", 200, ""},
		{"a wrong token that is not signed", then(signed(t), with("Authorization", "Bearer wrong")), at(0), "", 401, ""},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			out := &recorder{}
			w := serve(signedHandler(t, out, tc.now), tc.req)
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.reason) {
				t.Fatalf("%d %s, want %d %s", w.Code, w.Body, tc.status, tc.reason)
			}
			if tc.as == "" {
				if len(out.got) > 0 {
					t.Error("the message was taken")
				}
				return
			}
			if got := out.got[0].Submitter + " " + out.got[0].Domain.Name; got != tc.as {
				t.Errorf("taken as %s, want %s", got, tc.as)
			}
		})
	}
}

var otherKey = sync.OnceValue(func() crypto.Signer {
	key, err := dkim.GenerateKey("rsa-2048")
	if err != nil {
		panic(err)
	}
	return key
})

// TestSignatureRepeated: DAViCal posts a changed series once for every component that names the attendee, within one second
// the very same bytes. It is sent once, and every post gets the answer to the first.
//
// Proves: IS-SUB-1
func TestSignatureRepeated(t *testing.T) {
	out, shared := &recorder{}, &submission.Shared{}
	var first string
	for range 3 {
		w := serve(newHandler(t, out, func(c *submission.Config) { c.Shared, c.Now = shared, func() time.Time { return sent } }), recorded(t))
		if first == "" {
			first = w.Body.String()
		}
		if w.Code != 200 || w.Body.String() != first {
			t.Errorf("%d %s, the first was answered %s", w.Code, w.Body, first)
		}
	}
	if len(out.got) != 1 {
		t.Errorf("sent %d times", len(out.got))
	}
}

// TestSignatureCountsOnce: who saw a signed question cannot have it answered again, also not after a change of configuration.
//
// Proves: IS-SUB-1
func TestSignatureCountsOnce(t *testing.T) {
	out, shared := &recorder{data: []byte("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")}, &submission.Shared{}
	clock := sent
	newOne := func() *submission.Handler {
		return newHandler(t, out, func(c *submission.Config) { c.Shared, c.Now = shared, func() time.Time { return clock } })
	}
	if w := serve(newOne(), recorded(t)); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	for range 2 {
		w := serve(newOne(), recorded(t))
		refusal, ok := ischedule.ReadError(w.Code, w.Body.Bytes())
		if w.Code != 403 || !ok || refusal.Name != ischedule.VerificationFailed || !strings.Contains(refusal.Description, "signature-repeated") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		clock = clock.Add(time.Hour)
	}
	if len(out.got) != 1 {
		t.Errorf("sent %d times", len(out.got))
	}
	// a body that does not fit must not use up the signature of the one that does
	other := signed(t)
	other.Body = io.NopCloser(strings.NewReader("x"))
	clock = sent
	if w := serve(newOne(), other); w.Code != 403 {
		t.Errorf("another body: %d", w.Code)
	}
	if w := serve(newOne(), signed(t)); w.Code != 200 {
		t.Errorf("the right body after a wrong one: %d %s", w.Code, w.Body)
	}
}

// TestOriginatorOfOthers: only DAViCal's Originator is put right; others have said who sends.
//
// Proves: IS-SEND-4
func TestOriginatorOfOthers(t *testing.T) {
	event := strings.ReplaceAll("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//EN\nMETHOD:REPLY\nBEGIN:VEVENT\nUID:1\nDTSTAMP:20261122T110000Z\n"+
		"DTSTART:20261125T140000Z\nORGANIZER:mailto:boss@sender.example\nATTENDEE;PARTSTAT=ACCEPTED:mailto:anna@sender.example\nEND:VEVENT\nEND:VCALENDAR\n", "\n", "\r\n")
	req := signed(t)
	value, err := (&dkim.Signer{Domain: "keys.example", Selector: "sel", Key: ownKey()}).Sign(req.Header, []byte(event), sent)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("DKIM-Signature", value)
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(event)), int64(len(event))
	out := &recorder{}
	if w := serve(signedHandler(t, out, func() time.Time { return sent }), req); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if got := out.got[0].Request.Originator.String(); got != "mailto:anna@sender.example" {
		t.Errorf("sent as %s", got)
	}
}

// TestSignatureMemoryIsBounded: it holds what could come again, forgets the rest, and refuses rather than forget too early.
//
// Proves: IS-SUB-1
func TestSignatureMemoryIsBounded(t *testing.T) {
	m := submission.NewMemory()
	for i := range submission.MaxUsed {
		if !m.First(fmt.Sprint(i), sent.Add(time.Hour), sent) {
			t.Fatalf("signature %d", i)
		}
	}
	if m.First("one more", sent.Add(time.Hour), sent) {
		t.Error("took one more than it may hold")
	}
	if m.First("0", sent.Add(time.Hour), sent.Add(time.Hour)) {
		t.Error("forgot one that would still be accepted")
	}
	if !m.First("one more", sent.Add(3*time.Hour), sent.Add(2*time.Hour)) || m.Len() != 1 {
		t.Errorf("holds %d after all have expired", m.Len())
	}
}

// TestFailedSignaturesAreNoGuesses: a system with a wrong key does not lock out its neighbours behind one address.
//
// Proves: IS-SUB-1
func TestFailedSignaturesAreNoGuesses(t *testing.T) {
	h := signedHandler(t, &recorder{}, func() time.Time { return sent })
	for i := range 50 {
		if w := serve(h, recorded(t, with("Recipient", fmt.Sprintf("user%d@gw.example", i)))); w.Code != 403 {
			t.Fatalf("%d", w.Code)
		}
	}
	if w := serve(h, recorded(t)); w.Code != 200 {
		t.Errorf("the right one after many: %d", w.Code)
	}
}

// TestAnswerForDAViCal: status codes alone, and calendar-data that does not begin with a letter; others get the usual answer.
//
// Proves: IS-SUB-1
func TestAnswerForDAViCal(t *testing.T) {
	out := &recorder{data: []byte("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")}
	w := serve(signedHandler(t, out, func() time.Time { return sent }), recorded(t))
	if got := w.Body.String(); !strings.Contains(got, "<request-status>2.0</request-status>") || !strings.Contains(got, "<calendar-data>&#13;\nBEGIN:VCALENDAR") {
		t.Errorf("DAViCal is answered\n%s", got)
	}
	w = serve(signedHandler(t, out, func() time.Time { return sent }), signed(t))
	if got := w.Body.String(); !strings.Contains(got, "<request-status>2.0;Success</request-status>") || !strings.Contains(got, "<calendar-data>BEGIN:VCALENDAR") {
		t.Errorf("others are answered\n%s", got)
	}
}
