package submission_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/snapshot"
	"github.com/calfed/calfed/gateway/submission"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	tokenOne    = "token-of-example-org"
	tokenShared = "token-of-two-domains"
)

// recorder is a sender that takes everything.
type recorder struct {
	mu   sync.Mutex
	got  []*sender.Submission
	fail *ischedule.Error
}

func (r *recorder) Send(_ context.Context, sub *sender.Submission) (*ischedule.Response, *ischedule.Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, sub)
	if r.fail != nil {
		return nil, r.fail
	}
	response := &ischedule.Response{}
	for _, to := range sub.Request.Recipients {
		response.Results = append(response.Results, ischedule.RecipientResult{Recipient: to.String(), Status: ischedule.StatusDelivered})
	}
	return response, nil
}

// testCA issues the certificates of submitters, otherCA those of somebody else.
var testCA, otherCA = sync.OnceValue(newCA), sync.OnceValue(newCA)

func newCA() *catest.CA {
	ca, err := catest.New()
	if err != nil {
		panic(err)
	}
	return ca
}

// config: example.org by two tokens, branch.example by one of them and by certificate.
func config(t testing.TB) *snapshot.Snapshot {
	t.Helper()
	leaf, err := testCA().Issue(catest.Leaf{DNS: []string{"gw.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := catest.EncodePEM(leaf)
	if err != nil {
		t.Fatal(err)
	}
	token := func(name, token string) snapshot.Submitter {
		sum := sha256.Sum256([]byte(token))
		return snapshot.Submitter{Name: name, TokenSHA256: sum[:]}
	}
	domain := func(name string, who ...snapshot.Submitter) snapshot.Domain {
		return snapshot.Domain{
			Name: name, Source: "default/" + name, Submitters: who,
			Backend: snapshot.Backend{Type: snapshot.BackendISchedule, ISchedule: &snapshot.ISchedule{URL: "http://127.0.0.1:8008/ischedule"}},
		}
	}
	return &snapshot.Snapshot{
		Format: snapshot.FormatVersion,
		Gateway: snapshot.Gateway{
			Name: "default/edge", Host: "gw.example.org", TLS: snapshot.KeyPair{Certificate: cert, Key: key}, DefaultAction: snapshot.Deny,
			Capabilities: ischedule.Capabilities{
				Serial: 42, Versions: []string{"1.0"}, Messages: []ischedule.Component{{Name: "VEVENT", Methods: []string{"REQUEST"}}},
				DataTypes: []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}}, RScales: []string{"GREGORIAN"},
				MaxContentLength: 1000, MaxRecipients: 3, MaxInstances: 10, Administrator: "mailto:postmaster@example.org",
				MinDateTime: time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), MaxDateTime: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
			},
			Limits: snapshot.Limits{
				MaxConnections: 100, MaxConnsPerSource: 100, RequestsPerSource: 100, KeyLookupsPerSource: 100, KeyLookupsPerDomain: 100,
				KeyLookups: 100, MaxHeaderBytes: 32 << 10, MaxInFlightBytes: 64 << 20,
				HeaderTimeout: 5 * time.Second, BodyTimeout: 5 * time.Second, DeliveryTimeout: 5 * time.Second,
			},
		},
		Domains: []snapshot.Domain{
			domain("branch.example", token("both", tokenShared), snapshot.Submitter{
				Name: "by-certificate", Certificate: &snapshot.ClientCertificate{CA: testCA().PEM(), Names: []string{"calendar.branch.example"}},
			}),
			domain("example.org", token("one", tokenOne), token("both", tokenShared)),
		},
	}
}

func newHandler(t testing.TB, out submission.Sender, change ...func(*submission.Config)) *submission.Handler {
	t.Helper()
	a, err := snapshot.Activate(config(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg := submission.Config{Active: a, Sender: out}
	for _, c := range change {
		c(&cfg)
	}
	h, err := submission.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

const body = "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"

// post is a proper submission by alice of example.org over TLS, as change leaves it.
func post(change ...func(*http.Request)) *http.Request {
	req := httptest.NewRequest(http.MethodPost, "https://gw.example.org:8444/", strings.NewReader(body))
	req.RemoteAddr = "192.0.2.7:4711"
	req.TLS = &tls.ConnectionState{}
	req.Header.Set("iSchedule-Version", "1.0")
	req.Header.Set("Originator", "mailto:alice@example.org")
	req.Header.Set("Recipient", "mailto:bob@peer.example")
	req.Header.Set("Content-Type", "text/calendar; component=VEVENT; method=REQUEST")
	req.Header.Set("Authorization", "Bearer "+tokenOne)
	for _, c := range change {
		c(req)
	}
	return req
}

func serve(h http.Handler, req *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

func with(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		if value == "" {
			r.Header.Del(name)
			return
		}
		r.Header.Set(name, value)
	}
}

func withCertificate(t *testing.T, ca *catest.CA, leaf catest.Leaf) func(*http.Request) {
	t.Helper()
	issued, err := ca.Issue(leaf)
	if err != nil {
		t.Fatal(err)
	}
	var chain []*x509.Certificate
	for _, der := range issued.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, cert)
	}
	return func(r *http.Request) { r.TLS = &tls.ConnectionState{PeerCertificates: chain} }
}

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

// TestGuessingIsLimited: failed authentications of one source run out; right credentials of others do not, and one
// wrong token again and again is one guess.
//
// Proves: IS-SUB-1
func TestGuessingIsLimited(t *testing.T) {
	clock := time.Now()
	out := &recorder{}
	h := newHandler(t, out, func(c *submission.Config) { c.Now = func() time.Time { return clock } })
	for range 50 {
		if w := serve(h, post(with("Authorization", "Bearer old-token"))); w.Code != 401 {
			t.Fatalf("the same wrong token: %d", w.Code)
		}
	}
	blocked := 0
	for i := range 50 {
		w := serve(h, post(with("Authorization", "Bearer guess-"+strings.Repeat("x", i))))
		if w.Code == 429 {
			blocked++
			if w.Header().Get("Retry-After") == "" {
				t.Fatal("429 without Retry-After")
			}
		}
	}
	if blocked < 40 {
		t.Errorf("%d of 50 guesses were refused unseen", blocked)
	}
	if w := serve(h, post()); w.Code != 429 {
		t.Errorf("a right guess after many: %d, want 429", w.Code)
	}
	if w := serve(h, post(func(r *http.Request) { r.RemoteAddr = "192.0.2.8:1" })); w.Code != 200 {
		t.Errorf("a neighbour: %d", w.Code)
	}
	clock = clock.Add(time.Minute)
	if w := serve(h, post()); w.Code != 200 {
		t.Errorf("a minute later: %d", w.Code)
	}
}

// TestGuessingMemoryIsBounded: many sources cost little and forget the oldest state only.
//
// Proves: IS-SUB-1
func TestGuessingMemoryIsBounded(t *testing.T) {
	h := newHandler(t, &recorder{})
	for i := range 10_000 {
		remote := "[2001:db8:" + strings.ToLower(hex16(i)) + "::1]:1"
		if w := serve(h, post(with("Authorization", "Bearer wrong"), func(r *http.Request) { r.RemoteAddr = remote })); w.Code != 401 {
			t.Fatalf("%s: %d", remote, w.Code)
		}
	}
	if n := submission.Remembered(h); n > 4096 {
		t.Errorf("%d sources remembered", n)
	}
}

func hex16(i int) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[i>>12&15], digits[i>>8&15], digits[i>>4&15], digits[i&15]})
}

// TestRequestForm: the iSchedule form, judged by its header before the body is read.
//
// Proves: IS-SUB-1, IS-CAP-4
func TestRequestForm(t *testing.T) {
	tests := []struct {
		name   string
		change func(*http.Request)
		status int
		want   ischedule.ErrorName
	}{
		{"no version", with("iSchedule-Version", ""), 400, ischedule.VersionNotSupported},
		{"another media type", with("Content-Type", "text/plain"), 400, ischedule.InvalidCalendarDataType},
		{"no Originator", with("Originator", ""), 400, ischedule.OriginatorMissing},
		{"two Originators", func(r *http.Request) { r.Header.Add("Originator", "mailto:al@example.org") }, 400, ischedule.TooManyOriginators},
		{"an invalid Originator", with("Originator", "mailto:alice"), 400, ischedule.OriginatorInvalid},
		{"no Recipient", with("Recipient", ""), 400, ischedule.RecipientMissing},
		{"more than max-recipients", with("Recipient", "a@b.example,c@b.example,d@b.example,e@b.example"), 403, ischedule.MaxRecipients},
		{"Content-Encoding", with("Content-Encoding", "gzip"), 415, ischedule.InvalidCalendarDataType},
		{"a declared length above max-content-length", func(r *http.Request) { r.ContentLength = 1001 }, 413, ischedule.MaxContentLength},
		{"a chunked body above max-content-length", func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", 1001))), -1
		}, 413, ischedule.MaxContentLength},
		{"another path", func(r *http.Request) { r.URL.Path = "/inbox" }, 404, ""},
		{"PUT", func(r *http.Request) { r.Method = http.MethodPut }, 405, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out := &recorder{}
			w := serve(newHandler(t, out), post(test.change))
			refusal, ok := ischedule.ReadError(w.Code, w.Body.Bytes())
			if w.Code != test.status || !ok || refusal.Name != test.want {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, test.status, test.want)
			}
			if len(out.got) > 0 {
				t.Error("the message was taken")
			}
			if w.Header().Get("iSchedule-Version") != "1.0" || w.Header().Get("iSchedule-Capabilities") != "42" {
				t.Errorf("header %v", w.Header())
			}
			if test.status == 405 && w.Header().Get("Allow") != "GET, HEAD, POST" {
				t.Errorf("Allow %q", w.Header().Get("Allow"))
			}
		})
	}
}

// TestAnswer: the sender's answer goes back as a schedule-response; recipients that are no address are answered here.
//
// Proves: IS-SUB-1, IS-ADDR-1
func TestAnswer(t *testing.T) {
	out := &recorder{}
	h := newHandler(t, out)
	for _, path := range []string{"/", ischedule.WellKnownPath} {
		w := serve(h, post(with("Recipient", "mailto:bob@peer.example, nobody, mailto:eve@peer.example"), func(r *http.Request) { r.URL.Path = path }))
		response, err := ischedule.ReadResponse(w.Body.Bytes())
		if w.Code != 200 || err != nil {
			t.Fatalf("%s: %d %v", path, w.Code, err)
		}
		got := map[string]string{}
		for _, r := range response.Results {
			got[r.Recipient] = r.Status.Code
		}
		if diff := cmp.Diff(map[string]string{"mailto:bob@peer.example": "2.0", "mailto:eve@peer.example": "2.0", "nobody": "3.7"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		if w.Header().Get("Content-Type") != "application/xml; charset=utf-8" || w.Header().Get("Cache-Control") != "no-cache, no-transform" {
			t.Errorf("header %v", w.Header())
		}
	}
	if got := out.got[0].Request; string(got.Body) != body || got.Component != "VEVENT" || got.Method != "REQUEST" {
		t.Errorf("handed on %+v", got)
	}
}

// TestSenderRefusal: a refusal by the sender is the answer.
//
// Proves: IS-SUB-1
func TestSenderRefusal(t *testing.T) {
	h := newHandler(t, &recorder{fail: ischedule.NewError(ischedule.InvalidSchedulingMessage, "originator-not-party", "not the ORGANIZER")})
	w := serve(h, post())
	if refusal, ok := ischedule.ReadError(w.Code, w.Body.Bytes()); !ok || w.Code != 400 || refusal.Name != ischedule.InvalidSchedulingMessage {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestCapabilities: submitters can read what they may send, asked for in every usual way.
//
// Proves: IS-SUB-1, IS-CAP-1
func TestCapabilities(t *testing.T) {
	h := newHandler(t, &recorder{})
	for query, status := range map[string]int{"": 200, "action=capabilities": 200, "query=capabilities": 200, "action=dance": 400, "query=": 400} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			req := post(with("Authorization", ""), func(r *http.Request) { r.Method, r.URL.RawQuery = method, query })
			w := serve(h, req)
			if w.Code != status {
				t.Errorf("%s ?%s: %d, want %d", method, query, w.Code, status)
			}
			if status == 200 && method == http.MethodGet {
				got, err := ischedule.ReadCapabilities(w.Body.Bytes())
				if err != nil || got.Serial != 42 || got.MaxContentLength != 1000 {
					t.Errorf("?%s: %+v, %v", query, got, err)
				}
			}
		}
	}
}

// TestOverTLS: a real listener, a client that waits for 100 Continue, a certificate that the handler asks for.
//
// Proves: IS-SUB-1
func TestOverTLS(t *testing.T) {
	out := &recorder{}
	h := newHandler(t, out)
	if h.ClientAuth() != tls.RequestClientCert {
		t.Fatalf("ClientAuth %v", h.ClientAuth())
	}
	server := httptest.NewUnstartedServer(h)
	server.TLS = &tls.Config{ClientAuth: h.ClientAuth()}
	server.StartTLS()
	defer server.Close()

	identity, err := testCA().Issue(catest.Leaf{DNS: []string{"calendar.branch.example"}, Client: true})
	if err != nil {
		t.Fatal(err)
	}
	transport := server.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.Certificates = []tls.Certificate{identity}
	transport.ExpectContinueTimeout = time.Minute
	defer transport.CloseIdleConnections()

	submit := func(originator, token string, body io.Reader) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = post(with("Originator", originator), with("Authorization", token)).Header
		req.Header.Set("Expect", "100-continue")
		res, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res
	}
	if res := submit("mailto:bea@branch.example", "", strings.NewReader(body)); res.StatusCode != http.StatusOK || out.got[0].Submitter != "by-certificate" {
		t.Errorf("by certificate: %s", res.Status)
	}
	unread := &counter{}
	if res := submit("mailto:alice@example.org", "Bearer wrong", unread); res.StatusCode != http.StatusForbidden {
		t.Errorf("a wrong token beside a certificate of another domain: %s", res.Status)
	}
	if unread.n > 0 {
		t.Errorf("%d octets of a body were asked for that could never be taken", unread.n)
	}
}

// counter is a body that counts what is read of it.
type counter struct{ n int }

func (c *counter) Read(p []byte) (int, error) {
	c.n += len(p)
	return 0, io.EOF
}

// TestNoSecretsInLogs: neither token nor address appears in what is logged.
//
// Proves: IS-SUB-1
func TestNoSecretsInLogs(t *testing.T) {
	var log bytes.Buffer
	h := newHandler(t, &recorder{}, func(c *submission.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	serve(h, post(with("Authorization", "Bearer s3cret-guess")))
	serve(h, post(with("Originator", "mailto:private@peer.example")))
	serve(h, post())
	if strings.Contains(log.String(), "s3cret") || strings.Contains(log.String(), "private@") || strings.Contains(log.String(), tokenOne) {
		t.Errorf("log:\n%s", log.String())
	}
	if !strings.Contains(log.String(), "credentials-invalid") || !strings.Contains(log.String(), "originator-domain") {
		t.Errorf("no reason codes in the log:\n%s", log.String())
	}
}

// FuzzServeHTTP: whatever the header and body, the answer is one of a few statuses with a well-formed document, and what
// reaches the sender is for the domain of the credentials.
func FuzzServeHTTP(f *testing.F) {
	f.Add("POST", "/", "", "Bearer "+tokenOne, "1.0", "mailto:alice@example.org", "mailto:bob@peer.example", "text/calendar", body, true)
	f.Add("POST", "/.well-known/ischedule", "", "Bearer "+tokenShared, "1.0", "alice@EXAMPLE.org", "a@b.example, c", "text/calendar; component=VEVENT", "", true)
	f.Add("GET", "/", "action=capabilities", "", "", "", "", "", "", false)
	f.Add("POST", "/", "", "bearer  "+tokenOne, "1.0,2.0", "mailto:x%40y@example.org", ",,,", "text/calendar; charset=utf-8", "\x00", true)
	out := &recorder{}
	a, err := snapshot.Activate(config(f))
	if err != nil {
		f.Fatal(err)
	}
	clock := time.Now()
	f.Fuzz(func(t *testing.T, method, path, query, authorization, version, originator, recipient, contentType, body string, secure bool) {
		clock = clock.Add(time.Hour) // no input is answered with 429
		h, err := submission.New(submission.Config{Active: a, Sender: out, Now: func() time.Time { return clock }})
		if err != nil {
			t.Fatal(err)
		}
		req := post()
		req.Method, req.URL.Path, req.URL.RawQuery = method, path, query
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		if !secure {
			req.TLS = nil
		}
		req.Header = http.Header{"Authorization": {authorization}, "Ischedule-Version": {version}, "Originator": {originator}, "Recipient": {recipient}, "Content-Type": {contentType}}
		out.got = nil
		w := serve(h, req)
		switch w.Code {
		case 200, 400, 401, 403, 404, 405, 413, 415:
		default:
			t.Errorf("status %d", w.Code)
		}
		if w.Code != 200 && method != http.MethodHead {
			if _, ok := ischedule.ReadError(w.Code, w.Body.Bytes()); !ok {
				t.Errorf("%d without an error document: %q", w.Code, w.Body)
			}
		}
		for _, sub := range out.got {
			token, _ := strings.CutPrefix(strings.TrimSpace(authorization), "Bearer ")
			if !secure || sub.Domain.Name != sub.Request.Originator.Domain() {
				t.Errorf("taken for %s from %s", sub.Domain.Name, sub.Request.Originator)
			}
			if strings.HasPrefix(authorization, "Bearer ") && strings.TrimSpace(token) != tokenOne && strings.TrimSpace(token) != tokenShared {
				t.Errorf("taken with token %q", token)
			}
		}
	})
}
