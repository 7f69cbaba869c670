package submission_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/submission"
)

// TestAuthentication: a token or a certificate of the Originator's domain, and nothing else, authorises.
//
// Proves: IS-SUB-1, IS-SEND-4
func TestAuthentication(t *testing.T) {
	asBranch := with("Originator", "mailto:bea@branch.example")
	noToken := with("Authorization", "")
	client := catest.Leaf{DNS: []string{"calendar.branch.example"}, Client: true}
	tests := []struct {
		name   string
		change []func(*http.Request)
		status int
		as     string // submitter and domain
	}{
		{"a bearer token", nil, 200, "one example.org"},
		{"the scheme in another case", []func(*http.Request){with("Authorization", "bearer "+tokenOne)}, 200, "one example.org"},
		{"a token of two domains, for the first", []func(*http.Request){with("Authorization", "Bearer "+tokenShared)}, 200, "both example.org"},
		{"a token of two domains, for the second", []func(*http.Request){with("Authorization", "Bearer "+tokenShared), asBranch}, 200, "both branch.example"},
		{"a token of another domain", []func(*http.Request){asBranch}, 403, ""},
		{"a domain that is not served here", []func(*http.Request){with("Originator", "mailto:eve@peer.example")}, 403, ""},
		{"a domain below one's own", []func(*http.Request){with("Originator", "mailto:alice@sub.example.org")}, 403, ""},
		{"nothing", []func(*http.Request){noToken}, 401, ""},
		{"nothing, from loopback", []func(*http.Request){noToken, func(r *http.Request) { r.RemoteAddr = "127.0.0.1:4711" }}, 401, ""},
		{"another token", []func(*http.Request){with("Authorization", "Bearer wrong")}, 401, ""},
		{"an empty token", []func(*http.Request){with("Authorization", "Bearer ")}, 401, ""},
		{"the hash of the token", []func(*http.Request){with("Authorization", "Bearer "+hashOf(tokenOne))}, 401, ""},
		{"another scheme", []func(*http.Request){with("Authorization", "Basic "+tokenOne)}, 401, ""},
		{"two Authorization fields", []func(*http.Request){func(r *http.Request) { r.Header.Add("Authorization", "Bearer wrong") }}, 401, ""},
		{"a token in the query", []func(*http.Request){noToken, func(r *http.Request) { r.URL.RawQuery = "access_token=" + tokenOne }}, 401, ""},
		{"a client certificate", []func(*http.Request){noToken, asBranch, withCertificate(t, testCA(), client)}, 200, "by-certificate branch.example"},
		{"a client certificate, for another domain", []func(*http.Request){noToken, withCertificate(t, testCA(), client)}, 403, ""},
		{"a certificate and a token, for the token's domain", []func(*http.Request){withCertificate(t, testCA(), client)}, 200, "one example.org"},
		{"a certificate of another CA", []func(*http.Request){noToken, asBranch, withCertificate(t, otherCA(), client)}, 401, ""},
		{"a certificate of another name", []func(*http.Request){noToken, asBranch, withCertificate(t, testCA(), catest.Leaf{DNS: []string{"other.branch.example"}, Client: true})}, 401, ""},
		{"a wildcard certificate", []func(*http.Request){noToken, asBranch, withCertificate(t, testCA(), catest.Leaf{DNS: []string{"*.branch.example"}, Client: true})}, 401, ""},
		{"a server's certificate", []func(*http.Request){noToken, asBranch, withCertificate(t, testCA(), catest.Leaf{DNS: client.DNS})}, 401, ""},
		{"an expired certificate", []func(*http.Request){noToken, asBranch, withCertificate(t, testCA(), catest.Leaf{DNS: client.DNS, Client: true, Expired: true})}, 401, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out := &recorder{}
			w := serve(newHandler(t, out), post(test.change...))
			if w.Code != test.status {
				t.Fatalf("status %d, want %d: %s", w.Code, test.status, w.Body)
			}
			if test.as == "" {
				if len(out.got) > 0 {
					t.Error("the message was taken")
				}
				refusal, ok := ischedule.ReadError(w.Code, w.Body.Bytes())
				if !ok || refusal.Name != ischedule.OriginatorDenied || refusal.Description == "" {
					t.Errorf("no proper error document: %s", w.Body)
				}
				if challenge := w.Header().Get("WWW-Authenticate"); (test.status == 401) != strings.HasPrefix(challenge, "Bearer") {
					t.Errorf("WWW-Authenticate %q with %d", challenge, test.status)
				}
				return
			}
			if got := out.got[0].Submitter + " " + out.got[0].Domain.Name; got != test.as {
				t.Errorf("taken as %s, want %s", got, test.as)
			}
		})
	}
}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// TestCertificateValidAtTheTimeOfTheRequest: the handler's clock decides, not the one at start.
//
// Proves: IS-SUB-1
func TestCertificateValidAtTheTimeOfTheRequest(t *testing.T) {
	clock := time.Now()
	h := newHandler(t, &recorder{}, func(c *submission.Config) { c.Now = func() time.Time { return clock } })
	leaf := catest.Leaf{DNS: []string{"calendar.branch.example"}, Client: true}
	req := func() *http.Request {
		return post(with("Authorization", ""), with("Originator", "mailto:bea@branch.example"), withCertificate(t, testCA(), leaf))
	}
	if w := serve(h, req()); w.Code != 200 {
		t.Fatalf("status %d", w.Code)
	}
	clock = clock.AddDate(100, 0, 0)
	if w := serve(h, req()); w.Code != 401 {
		t.Errorf("status %d a hundred years later", w.Code)
	}
}

// TestPlainHTTPOnlyOnLoopback: no credential is taken that crossed a network in clear.
//
// Proves: IS-SUB-1
func TestPlainHTTPOnlyOnLoopback(t *testing.T) {
	tests := []struct {
		remote string
		status int
	}{
		{"127.0.0.1:1", 200}, {"127.8.8.8:1", 200}, {"[::1]:1", 200}, {"[::ffff:127.0.0.1]:1", 200},
		{"192.0.2.7:1", 403}, {"10.0.0.1:1", 403}, {"[2001:db8::1]:1", 403}, {"[::2]:1", 403}, {"", 403}, {"@", 403},
	}
	for _, test := range tests {
		out := &recorder{}
		w := serve(newHandler(t, out), post(func(r *http.Request) { r.TLS, r.RemoteAddr = nil, test.remote }))
		if w.Code != test.status || len(out.got) != map[int]int{200: 1}[test.status] {
			t.Errorf("%q: status %d with %d messages, want %d", test.remote, w.Code, len(out.got), test.status)
		}
		if test.status == 403 && !strings.Contains(w.Body.String(), "https") {
			t.Errorf("%q: the refusal does not say what to do: %s", test.remote, w.Body)
		}
	}
}
